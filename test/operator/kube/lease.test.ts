import { expect, test } from "bun:test";
import { type Elector, startElector } from "@nexus/operator/kube/lease.ts";
import { LeaseServer } from "../../support/kube/lease-server.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

type Link = { down?: boolean; losesAnswers?: boolean };

function candidate(server: LeaseServer, clock: ManualClock, identity: string, link: Link = {}): Elector {
  return startElector({ api: server.client(link), namespace: "ns", name: "op", identity, clock, random: () => 0 });
}

const setup = () => ({ server: new LeaseServer(), clock: new ManualClock() });

test("the first candidate leads with the version of its own update as term; the second waits", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  const b = candidate(server, clock, "b");
  await clock.advance(60_000);
  expect(await a.acquired).toBe(true);
  expect(a.leadership.term()).toBe(101n);
  expect([a.leadership.mayWrite(), b.leadership.mayWrite()]).toEqual([true, false]);
  expect(b.leadership.term()).toBeUndefined();
  expect(b.holder()).toBe("a");
  expect(a.leadership.term()).toBe(101n); // renewals do not change it
});

test("the fence counts from the beginning of the last good renewal and closes before others may take over", async () => {
  const { server, clock } = setup();
  const link: Link = {};
  const a = candidate(server, clock, "a", link);
  await clock.advance(0);
  const b = candidate(server, clock, "b");
  await clock.advance(4000); // renewed at 2000 and 4000
  expect(a.leadership.writeBudgetMs()).toBe(10_000);
  link.down = true;
  await clock.advance(9_999);
  expect(a.leadership.writeBudgetMs()).toBe(1);
  expect(a.leadership.lost.aborted).toBe(false);
  expect(b.leadership.mayWrite()).toBe(false);
  await clock.advance(1);
  expect(a.leadership.mayWrite()).toBe(false);
  expect(a.leadership.lost.aborted).toBe(true);
  expect(b.leadership.mayWrite()).toBe(false);
  await clock.advance(9_000); // 15 s after b last saw a change, at its next try
  expect(b.leadership.mayWrite()).toBe(true);
  expect((b.leadership.term() ?? 0n) > 101n).toBe(true);
  link.down = false;
  await clock.advance(60_000);
  expect(a.leadership.mayWrite()).toBe(false); // lost is for ever
});

test("two candidates never lead at the same time, however their links fail", async () => {
  let led = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const { server, clock } = setup();
    const links: Link[] = [{}, {}, {}];
    const electors = links.map((link, i) => candidate(server, clock, `c${i}`, link));
    let state = seed;
    const dice = (sides: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * sides);
    };
    for (let step = 0; step < 60; step++) {
      const link = links[dice(3)];
      if (link) Object.assign(link, [{ down: false, losesAnswers: false }, { down: true }, { losesAnswers: true }][dice(3)]);
      await clock.advance(dice(4000));
      const leaders = electors.filter((elector) => elector.leadership.mayWrite());
      expect(leaders.length).toBeLessThanOrEqual(1);
      led += leaders.length;
    }
  }
  expect(led).toBeGreaterThan(100); // not by nobody ever leading
});

test("an answer that was lost opens no fence; the record it left is recognised as ours", async () => {
  const { server, clock } = setup();
  const link: Link = { losesAnswers: true };
  const a = candidate(server, clock, "a", link);
  await clock.advance(5000);
  expect(server.lease?.spec?.holderIdentity).toBe("a");
  expect(a.leadership.mayWrite()).toBe(false);
  link.losesAnswers = false;
  const lost = server.writes.length;
  await clock.advance(2500);
  expect(a.leadership.mayWrite()).toBe(true);
  expect(a.leadership.term()).toBe(BigInt(server.writes[lost]?.version ?? 0));
});

test("giving it back hands over at the next try of the other", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  const b = candidate(server, clock, "b");
  await clock.advance(3000);
  const released = a.release();
  await clock.advance(0);
  await released;
  expect(a.leadership.lost.aborted).toBe(true);
  expect(a.leadership.mayWrite()).toBe(false);
  expect(server.lease?.spec?.holderIdentity).toBe("");
  await clock.advance(2000);
  expect(b.leadership.mayWrite()).toBe(true);
});

test("an edit of the record by a third party does not cost the Lease; another holder does", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  server.edit((lease) => ({ ...lease, metadata: { ...lease.metadata, labels: { touched: "yes" } } }));
  await clock.advance(2500);
  expect(a.leadership.mayWrite()).toBe(true);
  expect(a.leadership.term()).toBe(101n);
  expect(server.lease?.metadata.labels).toEqual({ touched: "yes" });
  server.edit((lease) => ({ ...lease, spec: { ...lease.spec, holderIdentity: "intruder" } }));
  await clock.advance(2500);
  expect(a.leadership.lost.aborted).toBe(true);
  expect(a.leadership.mayWrite()).toBe(false);
});

test("a deleted Lease is made anew by its holder with a higher term", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  server.edit(() => undefined);
  await clock.advance(2500);
  expect(a.leadership.mayWrite()).toBe(true);
  expect((a.leadership.term() ?? 0n) > 101n).toBe(true);
  expect(server.lease?.spec?.holderIdentity).toBe("a");
});

test("raising the term is one update, and impossible once the Lease is somebody else's", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  const writes = server.writes.length;
  expect(await a.leadership.raiseTerm()).toBe(102n);
  expect(a.leadership.term()).toBe(102n);
  expect(server.writes.length).toBe(writes + 1);
  server.edit((lease) => ({ ...lease, spec: { ...lease.spec, holderIdentity: "b" } }));
  expect(await a.leadership.raiseTerm()).toBeUndefined();
  expect(a.leadership.term()).toBeUndefined();
});

test("times written by a holder with another clock, or an absurd duration, change nothing", async () => {
  const { server, clock } = setup();
  const a = candidate(server, clock, "a");
  await clock.advance(0);
  await a.release();
  server.edit((lease) => ({
    ...lease,
    spec: { ...lease.spec, holderIdentity: "dead", renewTime: "2999-01-01T00:00:00.000000Z", leaseDurationSeconds: 1_000_000 },
  }));
  const b = candidate(server, clock, "b");
  await clock.advance(59_000);
  expect(b.leadership.mayWrite()).toBe(false);
  await clock.advance(4000);
  expect(b.leadership.mayWrite()).toBe(true);
});

test("a candidate that is stopped while waiting never leads", async () => {
  const { server, clock } = setup();
  candidate(server, clock, "a");
  await clock.advance(0);
  const b = candidate(server, clock, "b");
  await clock.advance(3000);
  await b.release();
  expect(await b.acquired).toBe(false);
});

test("a Lease whose version goes back ends leader and standby: what they know was never", async () => {
  const { server, clock } = setup();
  const [a, b] = [candidate(server, clock, "a"), candidate(server, clock, "b")];
  await clock.advance(4_000);
  expect([a.leadership.mayWrite(), b.leadership.mayWrite()]).toEqual([true, false]);
  const backup = structuredClone(server.lease);
  await clock.advance(20_000);
  server.restore(backup);
  await clock.advance(2_400);
  expect([a.leadership.lost.aborted, b.leadership.lost.aborted]).toEqual([true, true]);
  expect([a.leadership.mayWrite(), b.leadership.mayWrite()]).toEqual([false, false]);
  expect(await b.acquired).toBe(false);
});

test("shows when it renewed last, on the wall clock, and how often it had to read the record first", async () => {
  const { server, clock } = setup();
  const startMs = clock.wallMs();
  const link: Link = {};
  let slowPaths = 0;
  const a = startElector({
    ...{ api: server.client(link), namespace: "ns", name: "op", identity: "a", clock, random: () => 0 },
    onSlowPath: () => slowPaths++,
  });
  await clock.advance(4_000);
  expect([a.renewedMs(), a.triedMs(), slowPaths]).toEqual([startMs + 4_000, 4_000, 0]);
  link.losesAnswers = true; // the renewal at 6 s is written, and nobody knows
  await clock.advance(2_100);
  link.losesAnswers = false;
  await clock.advance(2_000);
  expect(slowPaths).toBe(1);
  expect(a.renewedMs()).toBeGreaterThan(startMs + 6_000);
  link.down = true;
  await clock.advance(12_000);
  expect([a.leadership.lost.aborted, a.renewedMs()]).toEqual([true, undefined]);
});

test("who is not ready yet leaves a free Lease to others, takes it at once when it is, and has counted all the while", async () => {
  const { server, clock } = setup();
  const ready = Promise.withResolvers<void>();
  const slow = startElector({
    ...{ api: server.client({}), namespace: "ns", name: "op", identity: "slow", clock, random: () => 0 },
    ready: ready.promise,
  });
  await clock.advance(5_000);
  expect([slow.leadership.mayWrite(), slow.holder()]).toEqual([false, undefined]);
  expect(slow.triedMs()).toBe(4_000);
  const link: Link = {};
  const quick = candidate(server, clock, "quick", link);
  await clock.advance(1_000);
  expect(quick.leadership.mayWrite()).toBe(true);
  link.down = true;
  await clock.advance(17_000); // more than the 15 s of the Lease since it was renewed
  expect(slow.leadership.mayWrite()).toBe(false);
  ready.resolve();
  await clock.advance(0);
  expect(slow.leadership.mayWrite()).toBe(true);
});
