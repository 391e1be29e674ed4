// Why: what core relies on in a directory: limits taken in one step, and counts a publish can answer with.
import { describe, expect, test } from "bun:test";
import type { PresenceCounts, SessionInfo, StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { STEPS_PER_RUN, stepsOfSessions, walk } from "./directory-model.ts";
import { freshTenant, type MakeSubject, notification, publish, type Subject } from "./subject.ts";

let ordinal = 0;
function session(user: string, change: Partial<SessionInfo> = {}): SessionInfo {
  return { sessionId: `s-${++ordinal}`, tenant: "acme", user, roles: [], connectedAt: 0, transport: "websocket", ...change };
}
const NO_LIMIT = { perUser: 1000 };

async function reached(subject: Subject, stream: StreamId, audience?: { type: "All" | "Roles" | "Users" | "Channels"; value?: string[] }) {
  const plain = notification(subject);
  const metadata = audience ? { ...plain.metadata, audience } : plain.metadata;
  const outcome = await publish(subject, stream, { notification: { ...plain, metadata } });
  return outcome.kind === "published" ? outcome.record.deliveredTo : -1;
}

const NOBODY: PresenceCounts = { websocket: 0, sse: 0, users: 0, shared: 0, channels: 0, subscriptions: 0 };
const plus = (a: PresenceCounts, b: PresenceCounts): PresenceCounts => ({
  ...{ websocket: a.websocket + b.websocket, sse: a.sse + b.sse, users: a.users + b.users },
  ...{ shared: a.shared + b.shared, channels: a.channels + b.channels, subscriptions: a.subscriptions + b.subscriptions },
});

export function directorySuite(name: string, make: MakeSubject): void {
  describe(`directory: ${name}`, () => {
    test("takes a place while there is one, per user and per tenant", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const limits = { perUser: 1, perTenant: 2 };
      const ann = session("ann");
      expect(await directory.enter(ann, limits)).toBe("entered");
      expect(await directory.enter(session("ann"), limits)).toBe("user_limit");
      expect(await directory.enter(session("bob"), limits)).toBe("entered");
      expect(await directory.enter(session("cat"), limits)).toBe("tenant_limit");
      expect(await directory.enter(session("cat", { tenant: "other" }), limits)).toBe("entered");
      await directory.leave(ann);
      expect(await directory.enter(session("cat"), limits)).toBe("entered");
    });

    test("parallel entries never pass the limit", async () => {
      await using subject = await make();
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => subject.engine.directory.enter(session("ann"), { perUser: 3 })));
      expect(outcomes.filter((outcome) => outcome === "entered").length).toBe(3);
    });

    test("deliveredTo counts sessions of a user, a channel, a tenant", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [phone, laptop, bob] = [session("ann"), session("ann"), session("bob")];
      for (const one of [phone, laptop, bob]) await directory.enter(one, NO_LIMIT);
      await directory.join(phone, "news");
      await directory.join(phone, "news");
      await directory.join(bob, "news");
      const inbox: StreamId = { kind: "inbox", tenant: "acme", user: "ann" };
      const channel: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
      const broadcast: StreamId = { kind: "broadcast", tenant: "acme" };
      expect([await reached(subject, inbox), await reached(subject, channel), await reached(subject, broadcast)]).toEqual([2, 2, 3]);
      await directory.part(phone, "news");
      await directory.part(phone, "news");
      await directory.leave(laptop);
      expect([await reached(subject, inbox), await reached(subject, channel), await reached(subject, broadcast)]).toEqual([1, 1, 2]);
      await directory.leave(bob);
      expect(await reached(subject, channel)).toBe(0);
    });

    test("a broadcast's audience is counted, and nobody twice", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [ann, bob] = [session("ann", { roles: ["admin", "ops"] }), session("bob")];
      for (const one of [ann, bob]) await directory.enter(one, NO_LIMIT);
      await directory.join(bob, "a");
      await directory.join(bob, "b");
      const broadcast: StreamId = { kind: "broadcast", tenant: "acme" };
      expect(await reached(subject, broadcast, { type: "All" })).toBe(2);
      expect(await reached(subject, broadcast, { type: "Roles", value: ["admin", "ops"] })).toBe(1);
      expect(await reached(subject, broadcast, { type: "Users", value: ["bob", "zoe"] })).toBe(1);
      expect(await reached(subject, broadcast, { type: "Channels", value: ["a", "b"] })).toBe(1);
    });

    test("online is what a publish would answer", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const tenant = freshTenant();
      const [phone, laptop, bob] = [session("ann", { tenant, roles: ["ops"] }), session("ann", { tenant }), session("bob", { tenant })];
      for (const one of [phone, laptop, bob]) await directory.enter(one, NO_LIMIT);
      await directory.join(bob, "news");
      const streams: readonly StreamId[] = [
        { kind: "inbox", tenant, user: "ann" },
        { kind: "inbox", tenant, user: "away" },
        { kind: "channel", tenant, channel: "news" },
        { kind: "channel", tenant, channel: "empty" },
        { kind: "broadcast", tenant },
      ];
      const counts: number[] = [];
      for (const stream of streams) counts.push(await directory.online(stream));
      expect(counts).toEqual([2, 0, 1, 0, 3]);
      for (const stream of streams) expect(await reached(subject, stream)).toBe(await directory.online(stream));
      const broadcast: StreamId = { kind: "broadcast", tenant };
      expect(await directory.online(broadcast, { type: "Roles", value: ["ops"] })).toBe(1);
      expect(await directory.online(broadcast, { type: "Users", value: ["ann", "bob"] })).toBe(3);
      expect(await directory.online({ kind: "broadcast", tenant: freshTenant() })).toBe(0);
    });

    test("a user's sessions are told oldest first, with what they hold now", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const tenant = freshTenant();
      const first = session("ann", { tenant, connectedAt: 1_000, roles: ["ops"] });
      const second = session("ann", { tenant, connectedAt: 2_000, transport: "sse" });
      for (const one of [first, second, session("bob", { tenant }), session("ann", { tenant: freshTenant() })]) {
        await directory.enter(one, NO_LIMIT);
      }
      for (const channel of ["b", "a", "c"]) await directory.join(first, channel);
      await directory.part(first, "b");
      const places = await directory.userSessions(tenant, "ann");
      expect(places.map(({ session: { sessionId, connectedAt, transport } }) => [sessionId, connectedAt, transport])).toEqual([
        [first.sessionId, 1_000, "websocket"],
        [second.sessionId, 2_000, "sse"],
      ]);
      expect(places.map(({ channels }) => [...channels].sort())).toEqual([["a", "c"], []]);
      expect(new Set(places.map(({ node }) => node)).size).toBe(1);
      expect(places[0]?.node).toMatch(/./);
      await directory.leave(first);
      expect((await directory.userSessions(tenant, "ann")).map(({ session }) => session.sessionId)).toEqual([second.sessionId]);
      await directory.leave(second);
      expect(await directory.userSessions(tenant, "ann")).toEqual([]);
      expect(await directory.userSessions(freshTenant(), "ann")).toEqual([]);
    });

    test("channels are told by name while somebody holds them, since the first holder of now", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const tenant = freshTenant();
      const [ann, bob] = [session("ann", { tenant }), session("bob", { tenant })];
      for (const one of [ann, bob]) await directory.enter(one, NO_LIMIT);
      const opened = subject.now();
      await directory.join(ann, "news");
      await directory.join(ann, "alerts");
      await subject.advance(5_000);
      await directory.join(bob, "news");
      await directory.join(bob, "zebra");
      const news = { name: "news", sessions: 2, since: opened };
      expect(await directory.channels(tenant)).toEqual([
        { name: "alerts", sessions: 1, since: opened },
        news,
        { name: "zebra", sessions: 1, since: opened + 5_000 },
      ]);
      expect(await directory.channel(tenant, "news")).toEqual(news);
      await directory.part(ann, "news");
      expect(await directory.channel(tenant, "news")).toEqual({ ...news, sessions: 1 });
      await directory.leave(bob);
      expect(await directory.channel(tenant, "news")).toBeUndefined();
      await subject.advance(1_000);
      await directory.join(ann, "news");
      expect(await directory.channel(tenant, "news")).toEqual({ name: "news", sessions: 1, since: opened + 6_000 });
      expect((await directory.channels(tenant)).map(({ name }) => name)).toEqual(["alerts", "news"]);
      expect([await directory.channels(freshTenant()), await directory.channel(freshTenant(), "news")]).toEqual([[], undefined]);
    });

    test("counts add up per tenant and in all, and back to nothing", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [one, other] = [freshTenant(), freshTenant()];
      const before = await directory.counts();
      const phone = session("ann", { tenant: one });
      const laptop = session("ann", { tenant: one, transport: "sse" });
      const tablet = session("ann", { tenant: one });
      const bob = session("bob", { tenant: one });
      const zoe = session("zoe", { tenant: other });
      for (const seat of [phone, laptop, tablet, bob, zoe]) await directory.enter(seat, NO_LIMIT);
      await directory.enter(phone, NO_LIMIT);
      for (const seat of [phone, laptop, zoe]) await directory.join(seat, "news");
      await directory.join(bob, "b");
      await directory.join(bob, "b");
      expect(await directory.counts(one)).toEqual({ websocket: 3, sse: 1, users: 2, shared: 1, channels: 2, subscriptions: 3 });
      expect(await directory.counts(other)).toEqual({ websocket: 1, sse: 0, users: 1, shared: 0, channels: 1, subscriptions: 1 });
      const grown: PresenceCounts = { websocket: 4, sse: 1, users: 3, shared: 1, channels: 3, subscriptions: 4 };
      expect(await directory.counts()).toEqual(plus(before, grown));
      await directory.leave(tablet);
      expect(await directory.counts(one)).toMatchObject({ websocket: 2, users: 2, shared: 1 });
      await directory.leave(phone);
      expect(await directory.counts(one)).toEqual({ websocket: 1, sse: 1, users: 2, shared: 0, channels: 2, subscriptions: 2 });
      for (const seat of [laptop, tablet, bob, zoe]) await directory.leave(seat);
      expect(await directory.counts(one)).toEqual(NOBODY);
      expect(await directory.counts()).toEqual(before);
    });

    test(
      "counts stay right whatever sessions do, in whatever order",
      async () => {
        await using subject = await make();
        const property = fc.asyncProperty(stepsOfSessions, (steps) => walk(subject, steps));
        await fc.assert(property, fuzzSettings(STEPS_PER_RUN));
      },
      fuzzTimeoutMs(10),
    );

    test("a session that left, or never came, changes nothing", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [ann, stranger] = [session("ann"), session("ann")];
      await directory.enter(ann, NO_LIMIT);
      await directory.leave(stranger);
      await directory.join(stranger, "news");
      await directory.leave(ann);
      await directory.leave(ann);
      await directory.join(ann, "news");
      expect(await reached(subject, { kind: "channel", tenant: "acme", channel: "news" })).toBe(0);
      expect(await reached(subject, { kind: "inbox", tenant: "acme", user: "ann" })).toBe(0);
    });

    test("queued is true only for an inbox that keeps what nobody got", async () => {
      await using subject = await make();
      const inbox: StreamId = { kind: "inbox", tenant: "acme", user: "away" };
      const queued = async (stream: StreamId, entries: number) => {
        const outcome = await publish(subject, stream, { retention: { entries, ttlSeconds: 60 } });
        return outcome.kind === "published" && outcome.record.queued;
      };
      expect([await queued(inbox, 10), await queued(inbox, 0)]).toEqual([true, false]);
      expect(await queued({ kind: "channel", tenant: "acme", channel: "empty" }, 10)).toBe(false);
      await subject.engine.directory.enter(session("away"), NO_LIMIT);
      expect(await queued(inbox, 10)).toBe(false);
    });
  });
}
