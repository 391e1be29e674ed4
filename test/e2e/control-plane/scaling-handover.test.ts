// Why: the one who decides a size may change while people are connected. Each of the six changes between the three scalers, with
// Kubernetes' own autoscaling controller at work, must leave seven pods seven, at every moment.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { type PodMetrics, servePodMetrics } from "../../support/cluster/pod-metrics.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { installPublished, SCALED_OBJECT, TRIGGER_AUTHENTICATION } from "../../support/kube/published-crds.ts";
import { type Stage, settled, startStage } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";

setDefaultTimeout(180_000);

const NS = "handover";
const NAME = "live-server";
const KEDAS = `keda-hpa-${NAME}`;
let stage: Stage;
let operator: RunningOperator & AsyncDisposable;
let kubelet: FakeKubelet;
let serving: AsyncDisposable;
let metrics: PodMetrics;

/** What all pods of the namespace say they carry. */
let sessions = 100;

const autoscaling = (provider: string) => ({
  ...{ provider, minReplicas: 2, maxReplicas: 10, targets: { connectionsPerPod: 100 } },
  ...(provider === "KEDA"
    ? { prometheus: { serverAddress: "http://prometheus.example:9090", authSecretRef: { name: "prometheus" } } }
    : {}),
});
const REDIS = { mode: "External", external: { topology: "Standalone", addresses: ["redis.example:6379"] } };
const use = (provider: string) => stage.plane.apply(cluster(NS, "live", { redis: REDIS, autoscaling: autoscaling(provider) }));

beforeAll(async () => {
  stage = await startStage();
  await installPublished(stage.plane, "newest", [SCALED_OBJECT, TRIGGER_AUTHENTICATION]);
  metrics = await servePodMetrics(stage.plane, ["nexus_sessions"], () => sessions);
  await stage.kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.custom.metrics.k8s.io", "--timeout=60s");
  operator = await stage.operator({ "--scaling-seconds": "1" });
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NS } });
  await use("Nexus");
  kubelet = fakeKubelet(stage, NS, "live");
  serving = kubelet.serve();
});
afterAll(async () => {
  await serving?.[Symbol.asyncDispose]();
  await kubelet?.[Symbol.asyncDispose]();
  await operator?.[Symbol.asyncDispose]();
  await metrics?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

type Sizes = AsyncDisposable & { readonly seen: readonly number[] };

/** Every size the Deployment has from now on, as a watch tells it. */
async function watchSizes(): Promise<Sizes> {
  const abort = new AbortController();
  const answer = await stage.plane.request(`/apis/apps/v1/namespaces/${NS}/deployments?watch=1`, { signal: abort.signal });
  const seen: number[] = [];
  const reading = (async () => {
    let text = "";
    const decoder = new TextDecoder();
    if (!answer.body) throw new Error("a watch without a body");
    for await (const chunk of answer.body) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) seen.push((JSON.parse(line) as { object: { spec: { replicas: number } } }).object.spec.replicas); // Deployments
    }
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return {
    seen,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await reading;
    },
  };
}

/** What KEDA does with a ScaledObject, as far as sizes go: an autoscaler of its own, and Ready. It is gone after its owner. */
async function playKeda(): Promise<void> {
  const scaledObject = await eventually("a ScaledObject", () => stage.get(`scaledobject/${NAME}`, NS));
  await stage.plane.apply({
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: KEDAS, namespace: NS },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: NAME },
      ...{ minReplicas: 2, maxReplicas: 10 },
      metrics: [{ type: "Pods", pods: { metric: { name: "nexus_sessions" }, target: { type: "AverageValue", averageValue: "100" } } }],
      behavior: { scaleDown: { stabilizationWindowSeconds: 600 } },
    },
  });
  const conditions = [{ type: "Ready", status: "True", reason: "ScaledObjectReady", message: "" }];
  const path = `/apis/keda.sh/v1alpha1/namespaces/${NS}/scaledobjects/${scaledObject.metadata.name}/status`;
  const headers = { "content-type": "application/merge-patch+json" };
  await stage.plane.request(path, { method: "PATCH", headers, body: JSON.stringify({ status: { conditions } }) });
}

const active = (want: object) => stage.until("nexuscluster/live", NS, { type: "AutoscalingActive", ...want }, 40_000);
const isThere = async (resource: string) => (await stage.get(resource, NS)) !== undefined;
const isReady = async (count: number) => (await stage.get(`deployment/${NAME}`, NS))?.status?.readyReplicas === count;

async function arrived(provider: string): Promise<void> {
  if (provider === "KEDA") await playKeda();
  if (provider === "HPA")
    await eventually(
      "Kubernetes' own controller has looked",
      async () => (await stage.get(`hpa/${NAME}`, NS))?.status?.conditions !== undefined,
    );
  await active({ status: "True", reason: "ScalingActive" });
  expect(await isThere(`hpa/${NAME}`)).toBe(provider === "HPA");
  for (const kind of ["scaledobject", "triggerauthentication"]) expect(await isThere(`${kind}/${NAME}`)).toBe(provider === "KEDA");
}

test("the Nexus scaler brings a fleet to seven", async () => {
  await eventually("two pods", () => isReady(2), { timeoutMs: 30_000 });
  const full = [...kubelet.pods.values()];
  await eventually(
    "seven pods",
    () => {
      for (const pod of full) pod.carry(350); // also after they were asked to hand over
      return isReady(7);
    },
    { timeoutMs: 60_000 },
  );
});

// A walk over all six ordered pairs of the three.
const WALK = ["HPA", "KEDA", "HPA", "Nexus", "KEDA", "Nexus"];
test.each(WALK.map((to, index) => [index === 0 ? "Nexus" : (WALK[index - 1] ?? ""), to] as const))(
  "from %s to %s seven stay seven",
  async (from, to) => {
    await using sizes = await watchSizes();
    // Nobody is connected: whoever scales by the load, and forgets its window, would shrink at once.
    sessions = 0;
    for (const pod of kubelet.pods.values()) pod.carry(0);
    await use(to);
    if (from === "KEDA") {
      const waiting = await active({ status: "Unknown", reason: "Progressing" });
      expect(waiting.message).toContain("KEDA"); // its ScaledObject is gone, its autoscaler is not
      expect(await isThere(`hpa/${NAME}`)).toBe(false);
      await stage.kubectl("delete", "hpa", KEDAS, "-n", NS);
    }
    await arrived(to);
    const asked = metrics.asked;
    // The new one has had the time to look, several times.
    if (to !== "Nexus") await eventually("the controller looked three times", () => metrics.asked >= asked + 3, { timeoutMs: 30_000 });
    else await settled(stage, 3_000);
    expect([...new Set(sizes.seen)]).toEqual([7]);
  },
);

test("a scaler that cannot work says why in its own words, and the size stays", async () => {
  await use("HPA");
  await arrived("HPA");
  await stage.kubectl("delete", "apiservice", "v1beta1.custom.metrics.k8s.io");
  const told = await active({ status: "False", reason: "ScalerReports" });
  expect(told.message).toContain("FailedGetPodsMetric");
  expect(await isReady(7)).toBe(true);
});

test("what KEDA's release does not know is not asked of it, and without KEDA the size is left alone", async () => {
  await use("KEDA");
  const scaled = await eventually("a ScaledObject", () => stage.get(`scaledobject/${NAME}`, NS));
  expect(scaled.spec?.fallback).toEqual({ failureThreshold: 3, replicas: 2, behavior: "currentReplicasIfHigher" });
  await use("Nexus");
  await eventually("it is gone", async () => !(await isThere(`scaledobject/${NAME}`)));
  await operator[Symbol.asyncDispose]();
  await stage.kubectl("delete", "crd", SCALED_OBJECT);
  operator = await stage.operator({ "--scaling-seconds": "1" });
  await use("KEDA");
  const missing = await active({ status: "False", reason: "KindNotServed" });
  expect(missing.message).toContain("ScaledObject");
  expect(await isReady(7)).toBe(true);
  await operator[Symbol.asyncDispose]();
  await installPublished(stage.plane, "oldest", [SCALED_OBJECT]);
  operator = await stage.operator({ "--scaling-seconds": "1" });
  const old = await eventually("a ScaledObject again", () => stage.get(`scaledobject/${NAME}`, NS), { timeoutMs: 60_000 });
  expect(old.spec?.fallback).toBeUndefined();
});
