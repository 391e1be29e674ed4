// Why: the reconciler's view of pushing: whole bundles in, acknowledgements out. Above all a cluster whose bundle is not known
// yet must never look like an empty one.
import { expect, test } from "bun:test";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { createPusher, type PodView } from "@nexus/operator/loop/pusher.ts";
import { BUCKET_COUNT, bucketOf, bundleDigest, makeBuckets } from "@nexus/protocol/bundle.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority, type FakePod, startFakePod } from "../../support/fake-pod.ts";
import { CLUSTER, entryOf, FakeLeadership, keyOf } from "./stage.ts";

type Desk = AsyncDisposable & Awaited<ReturnType<typeof openDesk>>;

async function openDesk(addresses: readonly string[] = ["127.9.1.1", "127.9.1.2"]) {
  const { authority, access } = await adminAuthority(CLUSTER);
  const [first = "127.0.0.1", ...others] = addresses;
  const options = { authority, token: access.token, cluster: CLUSTER };
  const pod = await startFakePod({ ...options, ip: first });
  // One admin port for all pods of a cluster, as in a cluster: each has an address of its own.
  const pods: FakePod[] = [pod, ...(await Promise.all(others.map((ip) => startFakePod({ ...options, ip, port: pod.port }))))];
  const changes: string[] = [];
  const logged: string[] = [];
  const leadership = new FakeLeadership();
  const pusher = createPusher({
    admin: createAdminClient({ userAgent: "nexus-test" }),
    leadership,
    clock: systemClock,
    random: () => 0.5,
    onChange: (cluster) => changes.push(cluster),
    onLog: (event) => logged.push(event),
  });
  const target = { key: CLUSTER, serverName: access.serverName, ca: access.caPem, token: access.token, port: pod.port };
  const views = (change: (view: PodView, index: number) => PodView = (view) => view) =>
    pods.map(({ ip }, index) => change({ uid: `pod-${index}`, name: `live-server-${index}`, address: ip, ready: true }, index));
  return {
    ...{ pusher, pods, target, views, changes, logged, leadership },
    synced: () => eventually("every pod has the bundle", () => pusher.state(CLUSTER)?.podsSynced === pods.length),
    [Symbol.asyncDispose]: async () => {
      await pusher.stop();
      for (const one of pods) await one[Symbol.asyncDispose]();
    },
  } satisfies AsyncDisposable & Record<string, unknown>;
}

const some = (count: number) => Array.from({ length: count }, (_, index) => entryOf(`t${index}`));

test("a cluster whose bundle is not known yet is not told that it is empty", async () => {
  await using desk: Desk = await openDesk();
  for (const pod of desk.pods) pod.restart(some(20));
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  expect(desk.pusher.state(CLUSTER)).toBeUndefined();
  expect(desk.pusher.buckets(CLUSTER)).toBeUndefined();
  expect(desk.pusher.acknowledged(CLUSTER, keyOf("t0"), "uid-t0", 1)).toEqual({ kind: "nobody" });
  // Another cluster's pods are served meanwhile, so the silence is no lack of time.
  const other = await openDesk(["127.9.2.1"]);
  await using _other = other;
  other.pusher.setTarget(other.target);
  other.pusher.setPods(CLUSTER, other.views());
  other.pusher.setEntries(CLUSTER, some(3));
  await other.synced();
  expect(desk.pods.map((pod) => [pod.received.length, pod.asked, pod.size()])).toEqual([
    [0, 0, 20],
    [0, 0, 20],
  ]);
  desk.pusher.setEntries(CLUSTER, some(20));
  await desk.synced();
  expect(desk.pods.flatMap((pod) => pod.received.flatMap(({ push }) => push.buckets))).toEqual([]);
});

test("answers digest and changed buckets, and costs no push when nothing changed", async () => {
  await using desk: Desk = await openDesk();
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  const whole = makeBuckets(some(30));
  const first = desk.pusher.setEntries(CLUSTER, some(30));
  expect(first.digest).toBe(bundleDigest(whole.map((bucket) => bucket.digest)));
  expect(first.changed).toEqual(whole.filter((bucket) => bucket.entries.length > 0).map((bucket) => bucket.index));
  expect(desk.pusher.buckets(CLUSTER)).toEqual([...whole]);
  await desk.synced();
  expect(desk.pods.map((pod) => pod.digest())).toEqual([first.digest, first.digest]);
  const received = desk.pods.map((pod) => pod.received.length);
  expect(desk.pusher.setEntries(CLUSTER, some(30)).changed).toEqual([]);
  desk.pusher.setPods(CLUSTER, desk.views());
  const second = desk.pusher.setEntries(CLUSTER, [...some(29), entryOf("t29", "edited", 2)]);
  expect(second.changed).toEqual([bucketOf("acme/t29")]);
  expect(desk.pusher.buckets(CLUSTER, second.changed)?.map((bucket) => bucket.index)).toEqual([...second.changed]);
  await desk.synced();
  expect(desk.pods.map((pod, index) => pod.received.length - (received[index] ?? 0))).toEqual([1, 1]);
  expect(BUCKET_COUNT).toBe(desk.pusher.buckets(CLUSTER)?.length ?? 0);
});

test("tells who acknowledged, who lags and why, what was refused, versions and sessions", async () => {
  await using desk: Desk = await openDesk();
  desk.pods[1]!.refuse(keyOf("bad"), "/spec/engine: unknown");
  desk.pusher.setTarget(desk.target);
  const gone: PodView = { uid: "gone", name: "live-server-9", address: "127.9.1.9", ready: true };
  desk.pusher.setPods(CLUSTER, [...desk.views(), gone]);
  desk.pusher.setEntries(CLUSTER, [entryOf("good"), entryOf("bad")]);
  await eventually("two have it", () => desk.pusher.state(CLUSTER)?.podsSynced === 2);
  const state = await eventually("the reason is known", () => {
    const seen = desk.pusher.state(CLUSTER);
    return seen?.lagging[0]?.why !== "not told yet" && seen;
  });
  expect(state).toMatchObject({ podsSynced: 2, podsTotal: 3, version: "fake", sessions: 0 });
  expect(state.lagging.map((one) => one.pod)).toEqual(["live-server-9"]);
  expect(state.lagging[0]?.why).toContain("127.9.1.9");
  expect(state.rejected).toEqual([{ key: keyOf("bad"), uid: "uid-bad", generation: 1, reason: "/spec/engine: unknown" }]);
  expect(desk.pusher.acknowledged(CLUSTER, keyOf("good"), "uid-good", 1)).toMatchObject({ kind: "waiting", pods: ["live-server-9"] });
  expect(desk.pusher.acknowledged(CLUSTER, keyOf("bad"), "uid-bad", 1)).toMatchObject({ kind: "rejected" });
  desk.pusher.setPods(CLUSTER, desk.views());
  expect(desk.pusher.acknowledged(CLUSTER, keyOf("good"), "uid-good", 1)).toEqual({ kind: "all" });
  expect(desk.pusher.state(CLUSTER)).toMatchObject({ podsSynced: 2, podsTotal: 2, lagging: [] });
  expect(desk.changes).toContain(CLUSTER);
  expect(desk.logged).toContain("push.failed");
  expect(desk.logged).toContain("push.rejected");
});

test("a pod that stops being ready is asked anew, so a container that restarted is whole before it is ready again", async () => {
  await using desk: Desk = await openDesk();
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  desk.pusher.setEntries(CLUSTER, some(12));
  await desk.synced();
  const asked = desk.pods[0]!.asked;
  desk.pods[0]!.restart();
  desk.pusher.setPods(
    CLUSTER,
    desk.views((view, index) => (index === 0 ? { ...view, ready: false } : view)),
  );
  await eventually("it is whole again", () => desk.pods[0]!.size() === 12 && desk.pods[0]!.confirmed);
  expect(desk.pods[0]!.asked).toBeGreaterThan(asked);
  expect(desk.pusher.state(CLUSTER)).toMatchObject({ podsSynced: 1, podsTotal: 1 });
});

test("a forgotten cluster is told nothing more, and a new one under its name starts from nothing", async () => {
  await using desk: Desk = await openDesk(["127.9.1.1"]);
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  desk.pusher.setEntries(CLUSTER, some(4));
  await desk.synced();
  desk.pusher.forget(CLUSTER);
  expect(desk.pusher.state(CLUSTER)).toBeUndefined();
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  expect(desk.pusher.state(CLUSTER)).toBeUndefined();
  expect(desk.pods[0]!.size()).toBe(4);
  desk.pusher.setEntries(CLUSTER, some(2));
  await desk.synced();
  expect(desk.pods[0]!.size()).toBe(2);
});

test("what pods say of their broker is told, by pod and why; one that cannot say was let in by it", async () => {
  await using desk: Desk = await openDesk(["127.9.3.1", "127.9.3.2", "127.9.3.3"]);
  const brokers = () => desk.pusher.state(CLUSTER)?.brokers;
  desk.pods[0]?.tell({ state: "down", detail: "waiting for redis:6379" });
  desk.pods[1]?.tell({ state: "up", detail: "" });
  desk.pusher.setTarget(desk.target);
  desk.pusher.setPods(CLUSTER, desk.views());
  desk.pusher.setEntries(CLUSTER, some(1));
  await desk.synced();
  expect(brokers()).toEqual({ up: 2, down: [{ pod: "live-server-0", why: "waiting for redis:6379" }] });
  // Neither ready nor heard of: it counts as nothing.
  desk.pusher.setPods(
    CLUSTER,
    desk.views((view, index) => (index === 2 ? { ...view, ready: false } : view)),
  );
  await eventually("the one that cannot say is left out", () => brokers()?.up === 1);
});
