import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createEventRecorder } from "@nexus/operator/kube/events.ts";
import { type Elector, leaseApi, startElector } from "@nexus/operator/kube/lease.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createStatusWriter } from "@nexus/operator/kube/status.ts";
import { createTransport, type Transport } from "@nexus/operator/kube/transport.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";
import { isWrite } from "../../support/cluster/audit.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

setDefaultTimeout(120_000);

const TIMES = { leaseMs: 3000, renewMs: 2000, retryMs: 200 };
/** Nobody waits for this one to end. */
const LONG = { leaseMs: 15_000, renewMs: 10_000, retryMs: 200 };
let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: false });
  await plane.kubectl(["create", "namespace", "lease"]);
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

const transportTo = async (server?: string): Promise<Transport> => {
  const access = await kubeconfigAccess(plane.adminKubeconfig);
  return createTransport({ access: server ? { ...access, server } : access, userAgent: "nexus-test" });
};

const compete = (transport: Transport, name: string, identity: string, times = TIMES): Elector =>
  startElector({ api: leaseApi(transport, times), namespace: "lease", name, identity, times });

test("a leader that gives back hands over at once; terms only grow; a write without the lead is not sent", async () => {
  const transport = await transportTo();
  const a = compete(transport, "handover", "a", LONG);
  expect(await a.acquired).toBe(true);
  const b = compete(transport, "handover", "b", LONG);
  const fenced = createKubeApi({ transport, fence: b.leadership });
  const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "lease", name: "fenced" } };
  await expect(fenced.create(KINDS.ConfigMap, config)).rejects.toMatchObject({ reason: "NotLeader" });
  const first = a.leadership.term() ?? 0n;
  const raised = (await a.leadership.raiseTerm()) ?? 0n;
  expect(raised > first).toBe(true);
  await a.release();
  const startedMs = performance.now();
  await eventually("b leads", () => b.leadership.mayWrite());
  expect(performance.now() - startedMs).toBeLessThan(LONG.leaseMs);
  expect((b.leadership.term() ?? 0n) > raised).toBe(true);
  expect((await fenced.create(KINDS.ConfigMap, config)).metadata.name).toBe("fenced");
  await b.release();
});

test("a leader cut off from the API server stops writing before the other leads", async () => {
  const { hostname, port } = new URL(plane.server);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const a = compete(await transportTo(`https://127.0.0.1:${proxy.port}`), "cut", "a");
  expect(await a.acquired).toBe(true);
  const b = compete(await transportTo(), "cut", "b");
  await eventually("b knows the holder", () => b.holder() === "a");
  const order: string[] = [];
  a.leadership.lost.addEventListener("abort", () => order.push(`a lost, may write: ${a.leadership.mayWrite()}`));
  void b.acquired.then(() => order.push("b leads"));
  proxy.refuse();
  await eventually("b leads", () => b.leadership.mayWrite());
  expect(order).toEqual(["a lost, may write: false", "b leads"]);
  await Promise.all([a.release(), b.release()]);
});

test("a leader behind a half-open connection is fenced by its own clock", async () => {
  const { hostname, port } = new URL(plane.server);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const a = compete(await transportTo(`https://127.0.0.1:${proxy.port}`), "stalled", "a");
  expect(await a.acquired).toBe(true);
  proxy.blackhole();
  await eventually("everyone was told", () => a.leadership.lost.aborted, { timeoutMs: TIMES.renewMs * 5 });
  expect(a.leadership.mayWrite()).toBe(false);
  await a.release(); // does not wait for answers that never come
});

test("a status is written once, not again when nothing changed, and never to an object made anew", async () => {
  const transport = await transportTo();
  const api = createKubeApi({ transport });
  const counts = { written: 0, unchanged: 0 };
  const writer = createStatusWriter(api, {
    metrics: { written: () => void counts.written++, unchanged: () => void counts.unchanged++ },
  });
  const ref = { kind: KINDS.PodDisruptionBudget, namespace: "lease", name: "status" };
  const budget = { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { namespace: "lease", name: "status" }, spec: {} };
  const old = await api.create<Manifest>(ref.kind, budget);
  const condition = (type: string, status: string) => ({
    type,
    status,
    reason: "R",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  });
  const numbers = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  const status = { ...numbers, conditions: [condition("Ready", "True"), condition("Available", "False")] };
  expect(await writer.write({ kind: ref.kind, live: old, status })).toBe("written");
  const live = (await api.get<Manifest>(ref))!;
  const shuffled = { ...numbers, conditions: [...status.conditions].reverse() };
  expect(await writer.write({ kind: ref.kind, live, status: shuffled })).toBe("inSync");
  const fewer = { ...numbers, conditions: [condition("Ready", "False")] };
  expect(await writer.write({ kind: ref.kind, live, status: fewer })).toBe("written");
  const after = (await api.get<Manifest>(ref))!;
  expect((after.status as { conditions: unknown[] }).conditions).toEqual(fewer.conditions);
  expect(counts).toEqual({ written: 2, unchanged: 0 });

  await api.delete(ref);
  expect(await writer.write({ kind: ref.kind, live: after, status })).toBe("gone");
  await api.create<Manifest>(ref.kind, budget);
  expect(await writer.write({ kind: ref.kind, live: after, status })).toBe("gone");
  const isStatusWrite = (name: string | undefined, subresource: string | undefined) => name === "status" && subresource === "status";
  const events = (await plane.auditEvents()).filter(
    (event) => isWrite(event) && isStatusWrite(event.objectRef?.name, event.objectRef?.subresource),
  );
  expect(events.filter((event) => event.responseStatus?.code === 200)).toHaveLength(2);
});

test("events reach the API server: one per note with a count, cut to what it takes", async () => {
  const transport = await transportTo();
  const clock = new ManualClock(Date.now());
  const failures: unknown[] = [];
  const recorder = createEventRecorder({
    api: createKubeApi({ transport }),
    clock,
    controller: "nexus.dev/operator",
    instance: "pod-1",
    onError: (error) => failures.push(error),
  });
  const regarding = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "lease", name: "told" } };
  const note = { regarding, type: "Warning", reason: "Drift", action: "Applying", note: "é".repeat(2000) } as const;
  for (let i = 0; i < 5; i++) recorder.record(note);
  await clock.advance(31_000);
  recorder.record(note);
  await recorder.flush();
  expect(failures).toEqual([]);
  const api = createKubeApi({ transport });
  const { items } = await api.list<Manifest>(KINDS.Event, { namespace: "lease", fieldSelector: "reason=Drift" });
  expect(items).toHaveLength(1);
  expect(items[0]).toMatchObject({ type: "Warning", reportingController: "nexus.dev/operator", series: { count: 6 } });
  expect(Buffer.byteLength(String(items[0]?.note))).toBeLessThanOrEqual(1024);
});
