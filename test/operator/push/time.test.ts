// Why: what happens by time alone (comparison every minute, 30 s of silence, back-off), with a clock that the test moves.

import { expect, test } from "bun:test";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import { storedOf } from "@nexus/operator/loop/boot-bucket.ts";
import { createPusher } from "@nexus/operator/loop/push.ts";
import type { AdminPort, PushEvent } from "@nexus/operator/loop/push-ports.ts";
import { BUCKET_COUNT, BUNDLE_FORMAT, bundleDigest, EMPTY_BUCKET, makeBuckets } from "@nexus/protocol/bundle.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority, startFakePod } from "../../support/fake-pod.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { CLUSTER, entryOf, FakeLeadership, keyOf, syncedOf } from "./stage.ts";

/** Moves time until `done`, giving real requests a chance to be answered in between. */
async function until(clock: ManualClock, what: string, done: () => boolean, stepMs = 20): Promise<void> {
  await eventually(
    what,
    async () => {
      await clock.advance(stepMs);
      return done();
    },
    { intervalMs: 2 },
  );
}

test("a bundle that changed behind our back is found within 72 s and repaired; a pod that has everything hears so every minute", async () => {
  const { authority, access } = await adminAuthority(CLUSTER);
  await using pod = await startFakePod({ authority, token: access.token, cluster: CLUSTER });
  const clock = new ManualClock();
  const events: PushEvent[] = [];
  const admin = createAdminClient({ userAgent: "nexus-test" });
  const pusher = createPusher({
    admin,
    leadership: new FakeLeadership(),
    clock,
    random: () => 0.99,
    observe: (event) => events.push(event),
  });
  pusher.replace(CLUSTER, []);
  pusher.setAccess(CLUSTER, access);
  pusher.setPods(CLUSTER, [{ uid: "a", name: "a", ip: pod.ip, port: pod.port, ready: true }]);
  pusher.change(CLUSTER, { put: Array.from({ length: 50 }, (_, index) => entryOf(`t${index}`)) });
  pusher.start();
  await until(clock, "it is synced", () => pusher.state(CLUSTER).podsSynced === 1);
  const [pushes, asked] = [pod.received.length, pod.asked];

  await clock.advance(59_000);
  expect(pod.asked).toBe(asked);
  await until(clock, "the digests were compared", () => pod.asked === asked + 1, 1000);
  await until(clock, "a leader confirmed them", () => pod.received.length === pushes + 1);
  expect(pod.received.at(-1)?.push.buckets).toEqual([]);
  expect(pod.received.at(-1)?.push.digest).toBe(pod.digest());
  expect(pusher.state(CLUSTER).podsSynced).toBe(1);

  pod.corrupt(keyOf("t7"));
  await until(clock, "it is whole again", () => pod.entry(keyOf("t7")) !== undefined, 1000);
  expect(clock.monotonicMs()).toBeLessThan(59_000 + 3 * 72_000);
  await until(clock, "the repair was told of", () => events.some((event) => event.kind === "repaired"));
  expect(events.filter((event) => event.kind === "repaired")).toEqual([{ kind: "repaired", cluster: CLUSTER, pod: "a", buckets: 1 }]);
  pusher.stop();
});

test("a pod that does not reach its broker is asked again in seconds, one that does in a minute", async () => {
  const { authority, access } = await adminAuthority(CLUSTER);
  await using pod = await startFakePod({ authority, token: access.token, cluster: CLUSTER });
  pod.tell({ state: "down", detail: "Redis does not answer" });
  const clock = new ManualClock();
  const admin = createAdminClient({ userAgent: "nexus-test" });
  const pusher = createPusher({ admin, leadership: new FakeLeadership(), clock, random: () => 0.5, observe: () => undefined });
  pusher.replace(CLUSTER, []);
  pusher.setAccess(CLUSTER, access);
  pusher.setPods(CLUSTER, [{ uid: "a", name: "a", ip: pod.ip, port: pod.port, ready: true }]);
  pusher.start();
  await until(clock, "it is synced", () => pusher.state(CLUSTER).podsSynced === 1);
  const asked = pod.asked;
  const beganMs = clock.monotonicMs();
  await until(clock, "it is asked twice more", () => pod.asked >= asked + 2, 500);
  expect(clock.monotonicMs() - beganMs).toBeLessThan(30_000);
  pod.tell({ state: "up", detail: "" });
  await until(clock, "it said so", () => pod.asked >= asked + 3, 500);
  const last = pod.asked;
  await clock.advance(50_000);
  expect(pod.asked).toBe(last);
  pusher.stop();
});

test("ready pods that stay silent for 30 s are named on the objects that changed since, and only there", async () => {
  const clock = new ManualClock();
  let isSilent = false;
  let known = Array.from({ length: BUCKET_COUNT }, () => EMPTY_BUCKET);
  let fence = { term: "0", sequence: 0 };
  const admin: AdminPort = {
    status: async () => {
      if (isSilent) await new Promise<never>(() => undefined);
      const told = { digest: bundleDigest(known), buckets: known, ...fence };
      return {
        version: "x",
        cluster: CLUSTER,
        bundle_formats: [BUNDLE_FORMAT],
        ready: true,
        draining: false,
        sessions: 0,
        uptime_seconds: 1,
        ...told,
      };
    },
    push: async (_target, request) => {
      if (isSilent) await new Promise<never>(() => undefined);
      known = known.map((digest, index) => request.buckets.find((bucket) => bucket.index === index)?.to ?? digest);
      fence = { term: request.term, sequence: request.sequence };
      return { kind: "taken", result: { digest: bundleDigest(known), rejected: [] } };
    },
  };
  const pusher = createPusher({ admin, leadership: new FakeLeadership(), clock, random: () => 0.5, observe: () => undefined });
  const moved: string[][] = [];
  pusher.onChange((_cluster, keys) => moved.push([...keys].sort()));
  pusher.replace(CLUSTER, []);
  pusher.setAccess(CLUSTER, { serverName: "x", caPem: "x", token: "x" });
  pusher.setPods(CLUSTER, [{ uid: "a", name: "server-a", ip: "127.0.0.1", ready: true }]);
  pusher.change(CLUSTER, { put: [entryOf("old")] });
  pusher.start();
  await clock.advance(1000);
  const ask = (id: string) => syncedOf(pusher, id, 1, clock.monotonicMs());
  expect(ask("old").status).toBe("True");
  isSilent = true;
  pusher.change(CLUSTER, { put: [entryOf("new")] });
  await clock.advance(29_000);
  expect([ask("old").status, ask("new").status]).toEqual(["True", "Unknown"]);
  moved.length = 0;
  await clock.advance(2000);
  expect(ask("new")).toMatchObject({ status: "False", reason: "PodsNotAcknowledged", message: "no answer for 30 s from server-a" });
  expect(ask("old").status).toBe("True");
  expect(moved.flat()).toEqual([keyOf("new")]);
  pusher.stop();
});

test("an object whose status said True before a restart of the operator is not asked about again", async () => {
  const never: AdminPort = { status: () => new Promise<never>(() => undefined), push: () => new Promise<never>(() => undefined) };
  const pusher = createPusher({
    admin: never,
    leadership: new FakeLeadership(),
    clock: new ManualClock(),
    random: () => 0.5,
    observe: () => undefined,
  });
  for (const bucket of makeBuckets([entryOf("a"), entryOf("b")])) pusher.load(CLUSTER, storedOf(bucket));
  pusher.setPods(CLUSTER, [{ uid: "p", name: "p", ip: "127.0.0.1", ready: true }]);
  const ask = (id: string, live?: { status: string; observedGeneration: number }) =>
    pusher.acknowledgement(CLUSTER, { key: keyOf(id), uid: `uid-${id}`, generation: 1, live }).kind;
  expect(ask("a", { status: "True", observedGeneration: 1 })).toBe("all");
  expect(ask("a")).toBe("all");
  expect(ask("b", { status: "True", observedGeneration: 0 })).toBe("waiting");
  expect(pusher.acknowledgement(CLUSTER, { key: keyOf("a"), uid: "another", generation: 1 }).kind).toBe("waiting");
  expect(pusher.replace(CLUSTER, [entryOf("a"), entryOf("b")])).toEqual([]);
  pusher.stop();
});
