// Why: a size that moves at the wrong time, or takes the wrong pods, is people's connections. Fake pods say how loaded they are;
// the API server, the Deployment and ReplicaSet controllers and the audit log are the real ones.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import type { AuditEvent } from "../../support/cluster/audit.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import type { FakePod } from "../../support/fake-pod.ts";
import { type Stage, settled, startStage, textOf } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";

setDefaultTimeout(120_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;
const FLAGS = { "--scaling-seconds": "1" };

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator(FLAGS);
});
afterAll(async () => {
  await paused?.[Symbol.asyncDispose]();
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

const REDIS = { mode: "External", external: { topology: "Standalone", addresses: ["redis.example:6379"] } };
const scaling = (change: object = {}) => ({
  ...{ provider: "Nexus", minReplicas: 2, maxReplicas: 6, targets: { connectionsPerPod: 100 } },
  ...{ scaleDown: { stabilizationSeconds: 3, podsPerStep: 1, stepSeconds: 4 }, ...change },
});

type Fleet = AsyncDisposable & { readonly kubelet: FakeKubelet; readonly ns: string };

async function fleet(ns: string, spec: object): Promise<Fleet> {
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: ns } });
  await apply(ns, spec);
  const kubelet = fakeKubelet(stage, ns, "live");
  const serving = kubelet.serve();
  return {
    ...{ kubelet, ns },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await kubelet[Symbol.asyncDispose]();
    },
  };
}
const apply = (ns: string, spec: object) => stage.plane.apply(cluster(ns, "live", { redis: REDIS, ...spec }));
const deploymentOf = async (ns: string) => await stage.get("deployment/live-server", ns);
const sizeOf = async (ns: string): Promise<number> => Number((await deploymentOf(ns))?.spec?.replicas);
const isReady = async (ns: string, count: number) => {
  const seen = await deploymentOf(ns);
  return seen?.spec?.replicas === count && seen.status?.readyReplicas === count && seen.status.replicas === count;
};
const untilSize = (ns: string, count: number, timeoutMs = 40_000) =>
  eventually(`${ns} has ${count} ready pods`, () => isReady(ns, count), { timeoutMs, intervalMs: 100 });
const podsOf = ({ kubelet }: Fleet): readonly FakePod[] => [...kubelet.pods.values()];
const carry = (of: Fleet, ...sessions: readonly number[]) => {
  for (const [index, pod] of podsOf(of).entries()) pod.carry(sessions[index] ?? 0);
};
const writesTo = async (ns: string, resource: string, subresource?: string): Promise<readonly AuditEvent[]> =>
  (await stage.writes()).filter(
    ({ objectRef: ref }) => ref?.namespace === ns && ref.resource === resource && ref.subresource === subresource,
  );
const timeOf = ({ stageTimestamp }: AuditEvent): number => Date.parse(stageTimestamp);

test("by connections: grows, the fullest hand over, and the emptiest go, marked before the size falls", async () => {
  await using live = await fleet("byload", { autoscaling: scaling() });
  await untilSize("byload", 2);
  await stage.until("nexuscluster/live", "byload", { type: "AutoscalingActive", status: "True", reason: "ScalingActive" });
  const old = podsOf(live);
  carry(live, 200, 190);
  await untilSize("byload", 4);
  await eventually("the two full ones are asked to hand over", () => old.every(({ sheds }) => sheds.length > 0), { timeoutMs: 30_000 });
  for (const { sheds } of old) {
    expect(sheds[0]?.sessions).toBeGreaterThan(80); // what is above the mean of 97.5
    expect(sheds[0]?.sessions).toBeLessThanOrEqual(103);
  }
  const shedPerSecond = old.reduce((sum, { sheds }) => sum + (sheds[0]?.perSecond ?? 0), 0);
  expect(shedPerSecond).toBeLessThanOrEqual(1000); // what the two empty ones can take in
  expect(
    podsOf(live)
      .filter((pod) => !old.includes(pod))
      .flatMap(({ sheds }) => sheds),
  ).toEqual([]);

  const scaledUp = (await writesTo("byload", "deployments", "scale")).length;
  const names = [...live.kubelet.pods.keys()];
  carry(live, 3, 90, 0, 80); // 173 sessions: two pods
  await untilSize("byload", 2);
  expect([...live.kubelet.pods.keys()].sort()).toEqual(names.filter((_, index) => index === 1 || index === 3).sort());

  const scales = (await writesTo("byload", "deployments", "scale")).slice(scaledUp);
  expect(scales.length).toBe(2); // a pod each
  const costs = await writesTo("byload", "pods");
  expect(costs.length).toBeGreaterThanOrEqual(3);
  const first = Math.min(...scales.map(timeOf));
  const before = costs.filter((event) => timeOf(event) <= first).map(timeOf);
  expect(before.length).toBeGreaterThanOrEqual(3); // every pod that is not empty
  expect(first - Math.max(...before)).toBeGreaterThanOrEqual(2_000);
  expect(Math.abs(timeOf(scales[1] as AuditEvent) - timeOf(scales[0] as AuditEvent))).toBeGreaterThanOrEqual(3_900); // stepSeconds
  const perPod = Map.groupBy(costs, ({ objectRef }) => objectRef?.name);
  for (const writes of perPod.values()) {
    const times = writes.map(timeOf).sort((a, b) => a - b);
    for (const [index, at] of times.entries()) if (index > 0) expect(at - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(59_000);
  }
  const events = await stage.kubectl("get", "events", "-n", "byload", "-o", "jsonpath={.items[*].reason}");
  expect(events).toContain("Scaled");
  expect(events).toContain("SessionsMoved");
});

test("pods that say nothing keep a fleet from shrinking and not from growing, and the status says so", async () => {
  await using live = await fleet("silent", { autoscaling: scaling() });
  await untilSize("silent", 2);
  carry(live, 150, 150);
  await untilSize("silent", 3);
  const [first, ...others] = podsOf(live);
  first?.mute(true);
  for (const pod of others) pod.carry(1);
  await stage.until("nexuscluster/live", "silent", { type: "AutoscalingActive", status: "False", reason: "MetricsUnavailable" }, 30_000);
  for (const pod of others) pod.carry(300);
  await eventually("it grows", async () => (await sizeOf("silent")) === 6, { timeoutMs: 30_000 });
  first?.mute(false);
  await stage.until("nexuscluster/live", "silent", { type: "AutoscalingActive", status: "True" }, 30_000);
});

test("an edit of replicas, by hand too, marks the pods first; without autoscaling the size is the spec's", async () => {
  await using live = await fleet("fixed", { replicas: 4 });
  await untilSize("fixed", 4);
  const names = [...live.kubelet.pods.keys()];
  carry(live, 50, 0, 40, 1);
  await stage.kubectl("scale", "nexuscluster/live", "-n", "fixed", "--replicas=2");
  await untilSize("fixed", 2);
  expect((await stage.get("nexuscluster/live", "fixed"))?.spec?.replicas).toBe(2);
  expect([...live.kubelet.pods.keys()].sort()).toEqual(names.filter((_, index) => index === 0 || index === 2).sort());
  expect((await stage.condition("nexuscluster/live", "fixed", "AutoscalingActive"))?.reason).toBe("NotRequested");
  // Somebody else's size is put back.
  await stage.kubectl("scale", "deployment/live-server", "-n", "fixed", "--replicas=5");
  await untilSize("fixed", 2);
  await stage.kubectl("scale", "nexuscluster/live", "-n", "fixed", "--replicas=0");
  await stage.until("nexuscluster/live", "fixed", { type: "Available", status: "False", reason: "ScaledToZero" });
});

test("a restart writes nothing to a fleet that is scaled and content", async () => {
  await using live = await fleet("quiet", { autoscaling: scaling() });
  await untilSize("quiet", 2);
  carry(live, 100, 90);
  await stage.until("nexuscluster/live", "quiet", { type: "Ready", status: "True" });
  await stage.until("nexuscluster/live", "quiet", { type: "AutoscalingActive", status: "True", reason: "ScalingActive" });
  const ofQuiet = async () => (await settled(stage, 8_000)).filter(({ objectRef }) => objectRef?.namespace === "quiet").map(textOf);
  const before = await ofQuiet();
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator(FLAGS);
  expect((await ofQuiet()).slice(before.length)).toEqual([]);
});

test("a new leader, and one whose rules changed, may grow at once and shrinks after a whole window", async () => {
  await using live = await fleet("leader", { autoscaling: scaling({ minReplicas: 4 }) });
  await untilSize("leader", 4);
  await operator[Symbol.asyncDispose]();
  await apply("leader", { autoscaling: scaling({ scaleDown: { stabilizationSeconds: 12, podsPerStep: 1, stepSeconds: 1 } }) });
  const startedMs = performance.now();
  await using standby = await stage.operator(FLAGS);
  operator = await stage.operator(FLAGS); // two: one leads, and never two sizes
  void standby;
  await eventually("it shrinks", async () => (await sizeOf("leader")) < 4, { timeoutMs: 60_000, intervalMs: 50 });
  expect(performance.now() - startedMs).toBeGreaterThan(12_000);
  await untilSize("leader", 2);
  carry(live, 160, 160);
  await untilSize("leader", 4);
  // The standby takes over in the middle: the size does not fall, although nobody has any load.
  carry(live, 0, 0, 0, 0);
  await standby[Symbol.asyncDispose]();
  expect(await sizeOf("leader")).toBe(4);
  await untilSize("leader", 2, 60_000);
});

/** Its rollout waits while the next test runs. */
let paused: Fleet | undefined;

test("a rollout that turns clients away is paused, and the status says why", async () => {
  paused = await fleet("errors", { replicas: 2, rollout: { upgrades: "Automatic" } });
  const live = paused;
  await untilSize("errors", 2);
  await stage.until("nexuscluster/live", "errors", { type: "Ready", status: "True" });
  await apply("errors", { replicas: 2, pods: { env: [{ name: "BROKEN", value: "1" }] } });
  const before = new Set(live.kubelet.pods.keys());
  const fresh = await eventually("a new pod runs", () => [...live.kubelet.pods].find(([name]) => !before.has(name))?.[1], {
    timeoutMs: 30_000,
  });
  let refused = 0;
  await eventually(
    "the rollout is paused",
    async () => {
      refused += 10;
      fresh.carry(0, { sessions_refused: refused, sessions_opened: 3 });
      return (await deploymentOf("errors"))?.spec?.paused === true;
    },
    { timeoutMs: 30_000, intervalMs: 300 },
  );
  const ready = await stage.until("nexuscluster/live", "errors", { type: "Ready", status: "False", reason: "RolloutPausedOnErrors" });
  expect(ready.message).toContain("two minutes");
  await stage.until("nexuscluster/live", "errors", { type: "Available", status: "True" });
});

test("taking autoscaling away goes down to replicas by a pod a minute, not at once", async () => {
  await using _live = await fleet("removed", { replicas: 1, autoscaling: scaling({ minReplicas: 4 }) });
  await untilSize("removed", 4);
  await stage.until("nexuscluster/live", "removed", { type: "AutoscalingActive", status: "True", reason: "ScalingActive" });
  await stage.kubectl("patch", "nexuscluster/live", "-n", "removed", "--type=json", `--patch=[{"op":"remove","path":"/spec/autoscaling"}]`);
  await stage.until("nexuscluster/live", "removed", { type: "AutoscalingActive", status: "True", reason: "MovingToReplicas" });
  // A restart does not forget it, and begins a new minute.
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator(FLAGS);
  const startedMs = performance.now();
  await untilSize("removed", 3, 90_000);
  expect(performance.now() - startedMs).toBeGreaterThan(59_000);
  expect((await stage.condition("nexuscluster/live", "removed", "AutoscalingActive"))?.reason).toBe("MovingToReplicas");
});

test("a rollout that waits goes on after two quiet minutes, also under another leader", async () => {
  const isPaused = async () => (await deploymentOf("errors"))?.spec?.paused === true;
  expect(await isPaused()).toBe(true); // the leader that paused it is gone
  await eventually("it goes on", async () => !(await isPaused()), { timeoutMs: 110_000, intervalMs: 500 });
  const ready = await stage.condition("nexuscluster/live", "errors", "Ready");
  expect(ready?.reason).not.toBe("RolloutPausedOnErrors");
});
