// Why: how people reach a fleet, against a real API server: what is made, what is taken away again, what waits for kinds and
// Secrets that are not there, and that none of it rolls pods or fights with whoever fills in addresses.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { createAuthority } from "../../support/cluster/pki.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeKubelet } from "../../support/fake-kubelet.ts";
import { CERTIFICATE, installPublished, ROUTE } from "../../support/kube/published-crds.ts";
import { type Seen, type Stage, settled, startStage, textOf, within } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";

setDefaultTimeout(60_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator({ "--pod-namespace": "nexus-system", "--pod-labels": "app.kubernetes.io/name=nexus-operator" });
});
afterAll(async () => {
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

async function fleet(namespace: string, spec: object = {}): Promise<string> {
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await stage.plane.apply(cluster(namespace, "live", spec));
  return namespace;
}

const child = (resource: string, namespace: string): Promise<Seen> =>
  eventually(`${resource} in ${namespace}`, () => stage.get(resource, namespace), { timeoutMs: 20_000 });
const gone = (resource: string, namespace: string) =>
  eventually(`${resource} is gone`, async () => (await stage.get(resource, namespace)) === undefined, { timeoutMs: 20_000 });
const endpoints = async (namespace: string) => (await stage.get("nexuscluster/live", namespace))?.status?.endpoints;
const untilEndpoints = (namespace: string, wanted: readonly string[]) =>
  eventually(
    `endpoints ${wanted.join(" ")}`,
    async () => {
      const now = await endpoints(namespace);
      if (JSON.stringify(now) !== JSON.stringify(wanted)) throw new Error(JSON.stringify(now ?? "none"));
      return true;
    },
    { timeoutMs: 20_000 },
  );

async function patchStatus(resource: string, namespace: string, status: object): Promise<void> {
  await stage.kubectl("patch", resource, "-n", namespace, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status }));
}
const patchSpec = (namespace: string, spec: object) =>
  stage.kubectl("patch", "nexuscluster/live", "-n", namespace, "--type=merge", "-p", JSON.stringify({ spec }));

async function tlsSecret(namespace: string, name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const authority = await createAuthority("test public");
  const { certPem, keyPem } = await authority.issue({ commonName: "push.example.com", hosts: ["push.example.com"] });
  const stringData = { "tls.crt": certPem, "tls.key": keyPem };
  await stage.plane.apply({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels },
    type: "kubernetes.io/tls",
    stringData,
  });
}

const volumes = async (namespace: string): Promise<readonly string[]> => {
  const path = "jsonpath={.spec.template.spec.volumes[*].name}";
  return (await stage.kubectl("get", "deployment/live-server", "-n", namespace, "-o", path)).split(" ");
};

test("an Ingress comes with what nginx must be told, the user's annotations win, and it goes with its field", async () => {
  const annotations = { "nginx.ingress.kubernetes.io/proxy-read-timeout": "7200" };
  const ns = await fleet("by-ingress", {
    exposure: { ingress: { host: "push.example.com", annotations, tls: { secretRef: { name: "t" } } } },
  });
  const made = await child("ingress/live-server", ns);
  expect(Reflect.get(made.metadata, "annotations")).toMatchObject({
    ...annotations,
    "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
  });
  await untilEndpoints(ns, ["https://push.example.com", `http://live-server.${ns}.svc:8081`]);
  await patchSpec(ns, { exposure: { ingress: null } });
  await gone("ingress/live-server", ns);
  await untilEndpoints(ns, [`http://live-server.${ns}.svc:8081`]);
});

test("node ports and addresses that others fill in are theirs: nothing is put back, and the address is told", async () => {
  const ns = await fleet("by-balancer", { exposure: { service: { type: "LoadBalancer", annotations: { "example.com/lb": "a" } } } });
  const nodePort = async () =>
    (await stage.kubectl("get", "service/live-server", "-n", ns, "-o", "jsonpath={.spec.ports[0].nodePort}")).trim();
  await child("service/live-server", ns);
  const port = await nodePort();
  expect(Number(port)).toBeGreaterThan(0);
  await patchStatus("service/live-server", ns, { loadBalancer: { ingress: [{ ip: "203.0.113.7" }, { hostname: "lb.example.com" }] } });
  const inside = `http://live-server.${ns}.svc:8081`;
  await untilEndpoints(ns, ["http://203.0.113.7:8081", "http://lb.example.com:8081", inside]);
  const before = (await settled(stage)).length;
  await stage.kubectl("annotate", "nexuscluster/live", "-n", ns, "touched=1");
  expect(within(ns, (await settled(stage)).slice(before)).map(textOf)).toEqual([]);
  expect(await nodePort()).toBe(port);
  await patchSpec(ns, { exposure: { service: { type: "ClusterIP", annotations: null } } });
  await eventually("no node port is left", async () => (await nodePort()) === "", { timeoutMs: 20_000 });
});

test("a route waits for its kind by name, comes within seconds of the kind, tells what the Gateway says, and goes", async () => {
  const gateway = { parentRefs: [{ name: "public", namespace: "infra" }], hostnames: ["push.example.com", "*.example.org"] };
  const ns = await fleet("by-gateway", { exposure: { gateway } });
  const stalled = await stage.until("nexuscluster/live", ns, { type: "Stalled", status: "True", reason: "KindNotServed" });
  expect(stalled.message).toContain("HTTPRoute (gateway.networking.k8s.io/v1)");
  await child("deployment/live-server", ns); // the rest is there
  await installPublished(stage.plane, "newest", [ROUTE]);
  const route = await child("httproute/live-server", ns);
  expect(route.spec).toMatchObject({ hostnames: gateway.hostnames, rules: [{ timeouts: { request: "0s" } }] });
  await untilEndpoints(ns, ["push.example.com", `http://live-server.${ns}.svc:8081`]);
  const told = (status: "True" | "False", reason: string) => ({
    parents: [
      {
        parentRef: { name: "public" },
        controllerName: "example.com/gateway",
        conditions: [{ type: "Accepted", status, reason, message: "no listener takes it", lastTransitionTime: "2026-01-01T00:00:00Z" }],
      },
    ],
  });
  await patchStatus("httproute/live-server", ns, told("False", "NotAllowedByListeners"));
  const refused = await stage.until("nexuscluster/live", ns, { type: "Stalled", reason: "RouteNotAccepted" });
  expect(refused.message).toBe("Gateway public: NotAllowedByListeners: no listener takes it");
  await patchStatus("httproute/live-server", ns, told("True", "Accepted"));
  await eventually("it is not Stalled any more", async () => (await stage.condition("nexuscluster/live", ns, "Stalled")) === undefined);
  await patchSpec(ns, { exposure: { gateway: null } });
  await gone("httproute/live-server", ns);
});

test("a fleet that serves is not rolled onto a certificate that is not there", async () => {
  const ns = await fleet("tls-later");
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
  await patchSpec(ns, { tls: { secretRef: { name: "public-tls" } } });
  const stalled = await stage.until("nexuscluster/live", ns, { type: "Stalled", reason: "SecretNotFound" });
  expect(stalled.message).toContain("public-tls");
  expect(await volumes(ns)).not.toContain("listener-tls");
  await tlsSecret(ns, "public-tls", { "nexus.dev/watch": "true" });
  await eventually("the pods get the certificate", async () => (await volumes(ns)).includes("listener-tls"), { timeoutMs: 20_000 });
  await untilEndpoints(ns, [`https://live-server.${ns}.svc:8081`]);
  expect((await child("service/live-server", ns)).spec).toMatchObject({ ports: [{ name: "https", appProtocol: "https", port: 8081 }] });
});

test("cert-manager is asked by a Certificate, and its Secret is waited for without calling it an error", async () => {
  const ns = await fleet("tls-issuer", { tls: { issuerRef: { name: "ca" } } });
  await stage.until("nexuscluster/live", ns, { type: "Stalled", reason: "KindNotServed" });
  await installPublished(stage.plane, "newest", [CERTIFICATE]);
  const certificate = await child("certificate/live-listener-tls", ns);
  expect(certificate.spec).toMatchObject({
    secretName: "live-listener-tls",
    issuerRef: { name: "ca", kind: "Issuer", group: "cert-manager.io" },
  });
  const told = [
    { type: "Ready", status: "False", reason: "Issuing", message: "the order is pending", lastTransitionTime: "2026-01-01T00:00:00Z" },
  ];
  await patchStatus("certificate/live-listener-tls", ns, { conditions: told });
  const waiting = "Certificate live-listener-tls: the order is pending";
  await stage.until("nexuscluster/live", ns, { type: "Reconciling", reason: "CertificatePending", message: waiting });
  expect(await stage.condition("nexuscluster/live", ns, "Stalled")).toBeUndefined();
  expect(await stage.get("deployment/live-server", ns)).toBeUndefined();
  await tlsSecret(ns, "live-listener-tls", { "nexus.dev/watch": "true" });
  await child("deployment/live-server", ns);
  expect(await volumes(ns)).toContain("listener-tls");
  await patchSpec(ns, { tls: null });
  await gone("certificate/live-listener-tls", ns);
});

test("the admin port is the operator's pods' alone; a policy that somebody opens is closed again", async () => {
  const ns = await fleet("policies");
  const policy = await child("networkpolicy/live-server", ns);
  const rule = (seen: Seen | undefined, port: number) => {
    const rules = (seen?.spec?.ingress ?? []) as readonly {
      readonly ports: readonly { readonly port: number }[];
      readonly from?: unknown;
    }[];
    return rules.find(({ ports }) => ports.some((one) => one.port === port));
  };
  expect(rule(policy, 8081)?.from).toBeUndefined();
  expect(rule(policy, 9090)?.from).toEqual([{ namespaceSelector: {} }]);
  const operators = {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "nexus-system" } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": "nexus-operator" } },
  };
  expect(rule(policy, 9091)?.from).toEqual([operators]);
  const open = JSON.stringify({ spec: { ingress: [{}] } });
  await stage.kubectl("patch", "networkpolicy/live-server", "-n", ns, "--type=merge", "-p", open);
  await eventually("it is closed again", async () => rule(await stage.get("networkpolicy/live-server", ns), 9091) !== undefined);
});

test("definitions of this release lack nothing; older ones are told, with the field, and nothing stops because of them", async () => {
  const lacking = async (url: string, kind: string) =>
    new RegExp(`^nexus_operator_crd_missing_fields\\{kind="${kind}"\\} (\\d+)$`, "m").exec(
      await (await fetch(`${url}/metrics`)).text(),
    )?.[1];
  for (const kind of ["NexusCluster", "Tenant", "Template"])
    await eventually(`${kind} is judged`, async () => (await lacking(operator.url, kind)) === "0", { timeoutMs: 20_000 });
  await operator[Symbol.asyncDispose]();
  const name = "crd/nexusclusters.nexus.dev";
  const path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/tls";
  await stage.kubectl("patch", name, "--type=json", "-p", JSON.stringify([{ op: "remove", path }]));
  const published = async () => await (await stage.plane.request("/openapi/v3/apis/nexus.dev/v1alpha1")).text();
  await eventually("the older definition is published", async () => !(await published()).includes("issuerRef"), { timeoutMs: 20_000 });
  operator = await stage.operator();
  const ns = await fleet("older");
  await child("deployment/live-server", ns);
  await eventually("it is counted", async () => (await lacking(operator.url, "NexusCluster")) === "1", { timeoutMs: 20_000 });
  const told = await eventually(
    "an event says it",
    async () => (await stage.kubectl("get", "events", "-A", "-o", "jsonpath={.items[?(@.reason=='CrdOutdated')].message}")) || undefined,
    { timeoutMs: 20_000 },
  );
  expect(told).toContain("drops spec.tls");
});
