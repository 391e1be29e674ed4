// Why: fencing rests on a real Lease's resourceVersion and on pods that remember it; both are real here, only the pods' work is not.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import { leaseApi, startElector } from "@nexus/operator/kube/lease.ts";
import { createTransport, type Transport } from "@nexus/operator/kube/transport.ts";
import { type Clock, systemClock } from "@nexus/operator/loop/clock.ts";
import type { Leadership } from "@nexus/operator/loop/ports.ts";
import { createPusher, type Pusher } from "@nexus/operator/loop/push.ts";
import type { PushEvent } from "@nexus/operator/loop/push-ports.ts";
import { CLUSTER, entryOf, keyOf } from "../../operator/push/stage.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority, type FakePod, startFakePod } from "../../support/fake-pod.ts";

setDefaultTimeout(120_000);

const TIMES = { leaseMs: 3000, renewMs: 2000, retryMs: 200 };
let plane: ControlPlane;
let transport: Transport;

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: false });
  await plane.kubectl(["create", "namespace", "push"]);
  transport = createTransport({ access: await kubeconfigAccess(plane.adminKubeconfig), userAgent: "nexus-test" });
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

const compete = (name: string, identity: string, clock: Clock = systemClock) =>
  startElector({ api: leaseApi(transport, TIMES), namespace: "push", name, identity, times: TIMES, clock });

/** The system's clock until it is stopped, as a process sees time that was stopped between a check and the send after it. */
class StoppableClock implements Clock {
  #stoppedMs: number | undefined;
  #timersStopped = false;

  stop(): void {
    this.#stoppedMs = systemClock.monotonicMs();
    this.#timersStopped = true;
  }
  wallMs(): number {
    return systemClock.wallMs();
  }
  monotonicMs(): number {
    return this.#stoppedMs ?? systemClock.monotonicMs();
  }
  after(delayMs: number, fire: () => void): () => void {
    return systemClock.after(delayMs, () => {
      if (!this.#timersStopped) fire();
    });
  }
}

async function openFleet(count: number) {
  const { authority, access } = await adminAuthority(CLUSTER);
  const pods: FakePod[] = [];
  for (let index = 0; index < count; index++) pods.push(await startFakePod({ authority, token: access.token, cluster: CLUSTER }));
  const pushers: Pusher[] = [];
  return {
    pods,
    generations: (id: string) => pods.map((pod) => pod.entry(keyOf(id))?.generation),
    terms: () => pods.map((pod) => BigInt(pod.fence().term)),
    operator(leadership: Leadership, events: PushEvent[] = []): Pusher {
      const admin = createAdminClient({ userAgent: "nexus-test" });
      const pusher = createPusher({ admin, leadership, clock: systemClock, random: Math.random, observe: (event) => events.push(event) });
      pusher.replace(CLUSTER, []);
      pusher.setAccess(CLUSTER, access);
      pusher.setPods(
        CLUSTER,
        pods.map((pod, index) => ({ uid: `pod-${index}`, name: `pod-${index}`, ip: pod.ip, port: pod.port, ready: true })),
      );
      pusher.start();
      pushers.push(pusher);
      return pusher;
    },
    async [Symbol.asyncDispose]() {
      for (const pusher of pushers) pusher.stop();
      for (const pod of pods) await pod[Symbol.asyncDispose]();
    },
  };
}

test("a paused old leader is refused by the pods, cannot raise its term, and goes quiet", async () => {
  await using fleet = await openFleet(3);
  const clock = new StoppableClock();
  const old = compete("paused", "old", clock);
  expect(await old.acquired).toBe(true);
  const events: PushEvent[] = [];
  const oldPusher = fleet.operator(old.leadership, events);
  oldPusher.change(CLUSTER, { put: [entryOf("a", "old")] });
  await eventually("the old leader was heard", () => fleet.generations("a").every((generation) => generation === 1));
  const [oldTerm = 0n] = fleet.terms();
  clock.stop();

  const next = compete("paused", "next");
  await eventually("the next one leads", () => next.leadership.mayWrite(), { timeoutMs: 20_000 });
  const nextPusher = fleet.operator(next.leadership);
  nextPusher.change(CLUSTER, { put: [entryOf("a", "next", 2)] });
  await eventually("the next leader was heard", () => fleet.generations("a").every((generation) => generation === 2));
  expect(fleet.terms().every((term) => term > oldTerm)).toBe(true);

  expect(old.leadership.mayWrite()).toBe(true); // so it believes
  oldPusher.change(CLUSTER, { put: [entryOf("a", "from the past", 3)] });
  await eventually("it was refused and lost", () => old.leadership.lost.aborted);
  expect(events.filter((event) => event.kind === "stale").length).toBeGreaterThan(0);
  expect(fleet.generations("a")).toEqual([2, 2, 2]);
  expect(
    fleet.pods.flatMap((pod) =>
      pod.received.filter(
        ({ push, status }) =>
          status === 200 &&
          push.term === oldTerm.toString() &&
          push.buckets.some((bucket) => bucket.entries.some((entry) => entry.generation === 3)),
      ),
    ),
  ).toEqual([]);

  nextPusher.change(CLUSTER, { put: [entryOf("a", "next again", 4)] });
  await eventually("the next leader goes on", () => fleet.generations("a").every((generation) => generation === 4));
  await Promise.all([old.release(), next.release()]);
});

test("after the Lease was deleted pods accept again, under a higher term", async () => {
  await using fleet = await openFleet(2);
  const leader = compete("deleted", "leader");
  expect(await leader.acquired).toBe(true);
  const events: PushEvent[] = [];
  const pusher = fleet.operator(leader.leadership, events);
  pusher.change(CLUSTER, { put: [entryOf("a")] });
  await eventually("it was heard", () => fleet.generations("a").every((generation) => generation === 1));
  const [before = 0n] = fleet.terms();
  expect((await plane.kubectl(["delete", "lease", "deleted", "-n", "push"])).code).toBe(0);
  await eventually("the Lease is there again", () => (leader.leadership.term() ?? 0n) > before, { timeoutMs: 20_000 });
  pusher.change(CLUSTER, { put: [entryOf("a", "after", 2)] });
  await eventually("it was heard again", () => fleet.generations("a").every((generation) => generation === 2));
  expect(fleet.terms().every((term) => term > before)).toBe(true);
  expect(events.filter((event) => event.kind === "reset")).toEqual([]);
  await leader.release();
});

test("a leader whom pods outran raises its term with one update of the Lease", async () => {
  await using fleet = await openFleet(3);
  const leader = compete("outrun", "leader");
  expect(await leader.acquired).toBe(true);
  const first = leader.leadership.term() ?? 0n;
  for (const pod of fleet.pods) pod.hear((first + 1n).toString(), 1);
  const { stdout } = await plane.kubectl(["create", "configmap", "moves-the-clock", "-n", "push", "-o", "name"]);
  expect(stdout.trim()).toBe("configmap/moves-the-clock"); // versions are etcd's: something else moved them on
  const pusher = fleet.operator(leader.leadership);
  pusher.change(CLUSTER, { put: [entryOf("a")] });
  await eventually("it was heard", () => fleet.generations("a").every((generation) => generation === 1));
  expect(fleet.terms().every((term) => term > first + 1n)).toBe(true);
  expect(new Set(fleet.terms()).size).toBe(1);
  await leader.release();
});
