// Why: operator and server are written apart and share only the protocol. Here the operator's pusher talks to the server as
// it is built; no fake is in between.
import { expect, test } from "bun:test";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { createPusher } from "@nexus/operator/loop/pusher.ts";
import { type BundleEntry, type TemplateSettings, templateEntryId } from "@nexus/protocol/bundle.ts";
import { digestOf } from "@nexus/protocol/canonical.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority } from "../../support/fake-pod.ts";
import { startRealPod } from "../../support/real-pod.ts";
import { CLUSTER, entryOf, FakeLeadership, keyOf } from "./stage.ts";

const many = (count: number) => Array.from({ length: count }, (_, index) => entryOf(`t${index}`, `text ${index}`));

async function openReal(leadership = new FakeLeadership()) {
  const { authority, access } = await adminAuthority(CLUSTER);
  const certificate = await authority.issue({ commonName: "admin", hosts: [access.serverName] });
  const pod = await startRealPod({ certificate, token: access.token, cluster: CLUSTER });
  const logged: { event: string; fields: Record<string, unknown> }[] = [];
  const operator = (lead: FakeLeadership) => {
    const pusher = createPusher({
      admin: createAdminClient({ userAgent: "nexus-test" }),
      leadership: lead,
      clock: systemClock,
      random: () => 0.5,
      onChange: () => undefined,
      onLog: (event, fields) => logged.push({ event, fields }),
    });
    pusher.setTarget({ key: CLUSTER, serverName: access.serverName, ca: access.caPem, token: access.token, port: pod.port });
    pusher.setPods(CLUSTER, [{ uid: "real", name: "real", address: pod.ip, ready: true }]);
    return pusher;
  };
  const pusher = operator(leadership);
  const rivals: ReturnType<typeof operator>[] = [];
  return {
    ...{ pod, pusher, leadership, logged },
    rival: (lead: FakeLeadership) => {
      const one = operator(lead);
      rivals.push(one);
      return one;
    },
    synced: () => eventually("the server has the bundle", () => pusher.state(CLUSTER)?.podsSynced === 1),
    [Symbol.asyncDispose]: async () => {
      for (const one of [pusher, ...rivals]) await one.stop();
      await pod[Symbol.asyncDispose]();
    },
  };
}

test("a real server takes the bundle, becomes confirmed, follows edits and removals, and says who it is", async () => {
  await using real = await openReal();
  expect(real.pod.server.live.confirmed()).toBe(false);
  const { digest } = real.pusher.setEntries(CLUSTER, many(300));
  await real.synced();
  expect([real.pod.server.live.digest(), real.pod.server.live.confirmed()]).toEqual([digest, true]);
  expect(real.pod.server.live.counts()).toMatchObject({ templates: 300, rejected: 0 });
  const edited = real.pusher.setEntries(CLUSTER, [...many(299).slice(1), entryOf("t0", "edited", 2)]);
  expect(edited.changed.length).toBeGreaterThan(0);
  await eventually("the edit is acknowledged", () => real.pusher.acknowledged(CLUSTER, keyOf("t0"), "uid-t0", 2).kind === "all");
  await real.synced();
  expect(real.pod.server.live.digest()).toBe(edited.digest);
  expect(real.pod.server.live.template("acme", "t0")).toMatchObject({ payload: { text: "edited" } });
  expect(real.pod.server.live.template("acme", "t299")).toBeUndefined();
  expect(real.pusher.state(CLUSTER)).toMatchObject({ sessions: 0, lagging: [], rejected: [] });
  expect(real.pusher.state(CLUSTER)?.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(real.logged.filter(({ event }) => event === "push.failed")).toEqual([]);
});

/** An entry a server of this version cannot use: its engine is a later one's. */
function futureEntry(id: string, generation = 1): BundleEntry {
  const { digest: _, ...entry } = entryOf(id, "hi", generation);
  const spec = { ...(entry.spec as TemplateSettings), engine: "Mustache" };
  const open = { ...entry, id: templateEntryId("acme", id), spec };
  return { ...open, digest: digestOf(open) } as unknown as BundleEntry; // on purpose: what an older server meets
}

test("a real server names the entry it cannot use, keeps serving the rest, and takes the next version", async () => {
  await using real = await openReal();
  real.pusher.setEntries(CLUSTER, [entryOf("good"), futureEntry("later")]);
  const refusal = await eventually("the refusal is known", () => {
    const answer = real.pusher.acknowledged(CLUSTER, keyOf("later"), "uid-later", 1);
    return answer.kind === "rejected" && answer;
  });
  expect(refusal.kind).toBe("rejected");
  await eventually("the other is acknowledged", () => real.pusher.acknowledged(CLUSTER, keyOf("good"), "uid-good", 1).kind === "all");
  expect(real.pusher.state(CLUSTER)?.rejected.map(({ key, uid, generation }) => ({ key, uid, generation }))).toEqual([
    { key: keyOf("later"), uid: "uid-later", generation: 1 },
  ]);
  expect(real.pod.server.live.template("acme", "good")).toBeDefined();
  real.pusher.setEntries(CLUSTER, [entryOf("good"), entryOf("later", "hi", 2)]);
  await eventually("the next is acknowledged", () => real.pusher.acknowledged(CLUSTER, keyOf("later"), "uid-later", 2).kind === "all");
  expect(real.pusher.state(CLUSTER)?.rejected).toEqual([]);
});

test("a real server refuses an older leader, and one whose terms went backwards resets it once", async () => {
  await using real = await openReal(new FakeLeadership(100n));
  real.pusher.setEntries(CLUSTER, [entryOf("a", "old leader")]);
  await real.synced();
  const newer = real.rival(new FakeLeadership(9_000n));
  newer.setEntries(CLUSTER, [entryOf("a", "new leader", 2)]);
  await eventually("the new leader was heard", () => real.pod.server.live.fence().term === "9000");
  real.leadership.next = undefined;
  real.pusher.setEntries(CLUSTER, [entryOf("a", "a paused process wakes up", 3)]);
  await eventually("it was refused", () => real.logged.some(({ event, fields }) => event === "push.stale" && fields.raised === false));
  await newer.stop();
  expect(real.pod.server.live.template("acme", "a")).toMatchObject({ payload: { text: "new leader" } });
  // The store of the API server was restored: the only leader there is has a lower term than the server remembers.
  const restored = real.rival(new FakeLeadership(200n));
  restored.setEntries(CLUSTER, [entryOf("a", "after the restore", 4)]);
  await eventually("the server follows", () => restored.acknowledged(CLUSTER, keyOf("a"), "uid-a", 4).kind === "all");
  expect(real.pod.server.live.fence().term).toBe("200");
  expect(real.logged.filter(({ event }) => event === "push.reset")).toHaveLength(1);
});
