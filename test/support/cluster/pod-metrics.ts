// Why: autoscalers ask `custom.metrics.k8s.io` what pods carry, and in production an adapter over Prometheus answers. This is
// the smallest such adapter: real enough for Kubernetes' own controller, with the numbers a test sets.
import { eventually } from "../eventually.ts";
import type { ClusterApi } from "./api.ts";
import { createAuthority } from "./pki.ts";

const GROUP = "custom.metrics.k8s.io";
const VERSION = "v1beta1";
const LOCAL = "localhost";
const SERVICE = { name: "pod-metrics", namespace: "default" };

/** Value of a metric of one pod; undefined: nobody knows. */
export type PodMetric = (namespace: string, pod: string, metric: string) => number | undefined | Promise<number | undefined>;

export type PodMetrics = AsyncDisposable & { readonly asked: number };

/** Serves `metrics` for all pods and registers with the API server. `host`: where the API server reaches this machine. */
export async function servePodMetrics(api: ClusterApi, metrics: readonly string[], read: PodMetric, host = LOCAL): Promise<PodMetrics> {
  const authority = await createAuthority("pod metrics");
  const { certPem, keyPem } = await authority.issue({ commonName: "pod-metrics", hosts: ["localhost"] });
  let asked = 0;
  const server = Bun.serve({
    hostname: host === LOCAL ? "127.0.0.1" : host,
    port: 0,
    tls: { cert: certPem, key: keyPem },
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const path = pathname.split("/").slice(4); // apis/group/version
      if (!pathname.startsWith(`/apis/${GROUP}/${VERSION}`)) return new Response("not found", { status: 404 });
      if (path.length === 0) return Response.json(resources(metrics));
      const [, namespace = "", , , metric = ""] = path;
      asked++;
      const items = await values(api, { namespace, metric, selector: searchParams.get("labelSelector") ?? "" }, read);
      return Response.json({ kind: "MetricValueList", apiVersion: `${GROUP}/${VERSION}`, metadata: {}, items });
    },
  });
  const { port } = server;
  await api.apply([
    ...(host === LOCAL ? byName(port) : byAddress(host, port)),
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: `${VERSION}.${GROUP}` },
      spec: {
        ...{ group: GROUP, version: VERSION, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true },
        service: { ...SERVICE, port: host === LOCAL ? port : 443 },
      },
    },
  ]);
  await eventually("the API server passes questions on", async () => (await api.request(`/apis/${GROUP}/${VERSION}`)).ok, {
    timeoutMs: 30_000,
  });
  return {
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

const port443 = (targetPort: number | undefined) => [{ name: "https", port: 443, ...(targetPort === undefined ? {} : { targetPort }) }];

/** On loopback, which no endpoint may be: a name. */
const byName = (port: number | undefined) => [
  { apiVersion: "v1", kind: "Service", metadata: SERVICE, spec: { type: "ExternalName", externalName: LOCAL, ports: [{ port }] } },
];

/** An API server that routes to endpoints itself knows no names. */
const byAddress = (address: string, port: number | undefined) => [
  { apiVersion: "v1", kind: "Service", metadata: SERVICE, spec: { ports: port443(port) } },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${SERVICE.name}-1`, namespace: SERVICE.namespace, labels: { "kubernetes.io/service-name": SERVICE.name } },
    addressType: "IPv4",
    ports: [{ name: "https", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  },
];

const resources = (metrics: readonly string[]) => ({
  ...{ kind: "APIResourceList", apiVersion: "v1", groupVersion: `${GROUP}/${VERSION}` },
  resources: metrics.map((metric) => ({
    ...{ name: `pods/${metric}`, singularName: "", namespaced: true, kind: "MetricValueList", verbs: ["get"] },
  })),
});

type Question = { readonly namespace: string; readonly metric: string; readonly selector: string };
type PodList = { readonly items: readonly { readonly metadata: { readonly name: string } }[] };

async function values(api: ClusterApi, { namespace, metric, selector }: Question, read: PodMetric) {
  const answer = await api.request(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`);
  const { items } = (await answer.json()) as PodList; // the API server's own list
  const timestamp = new Date().toISOString();
  const found = await Promise.all(
    items.map(async ({ metadata: { name } }) => {
      const value = await read(namespace, name, metric);
      const describedObject = { kind: "Pod", namespace, name, apiVersion: "/v1" };
      return value === undefined ? [] : [{ describedObject, metric: { name: metric }, timestamp, value: String(value) }];
    }),
  );
  return found.flat();
}
