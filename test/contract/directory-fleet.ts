// Why: what core relies on where several nodes share one engine: each counts the sessions of all, limits hold over all, and
// a node that is gone is forgotten. It must never ask a node about what only that node holds.
import { describe, expect, test } from "bun:test";
import type { Engine } from "@nexus/server/core/engine.ts";
import type { PresenceCounts, SessionInfo, StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { freshTenant } from "./subject.ts";

/** `crash`: the node does nothing any more and takes nothing back. `close`: it goes in good order. */
export type FleetNode = { readonly name: string; readonly engine: Engine; crash(): Promise<void>; close(): Promise<void> };

/** `leaseMs`: after which a node that crashed is forgotten. `loseData`: the shared engine forgets everything. */
export type FleetSubject = AsyncDisposable & { readonly nodes: readonly FleetNode[]; readonly leaseMs: number; loseData(): Promise<void> };
export type MakeFleet = (nodes: number) => Promise<FleetSubject>;

let ordinal = 0;
const session = (tenant: string, user: string, change: Partial<SessionInfo> = {}): SessionInfo => ({
  ...{ sessionId: `s-${String(++ordinal).padStart(6, "0")}`, tenant, user, roles: [], connectedAt: ordinal, transport: "websocket" },
  ...change,
});

const NO_LIMIT = { perUser: 1000 };
const NOBODY: PresenceCounts = { websocket: 0, sse: 0, users: 0, shared: 0, channels: 0, subscriptions: 0 };
/** What every node sees of a user and a channel. */
const inbox = (tenant: string, user: string): StreamId => ({ kind: "inbox", tenant, user });
const channel = (tenant: string, name: string): StreamId => ({ kind: "channel", tenant, channel: name });
const broadcast = (tenant: string): StreamId => ({ kind: "broadcast", tenant });

async function pairOf(make: MakeFleet) {
  const fleet = await make(2);
  const [first, second] = fleet.nodes;
  if (!first || !second) throw new Error("a fleet of two has two nodes");
  return { first, second, fleet, [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose]() };
}

const counted = async ({ engine }: FleetNode, tenant: string, change: Partial<PresenceCounts>) => {
  expect(await engine.directory.counts(tenant)).toEqual({ ...NOBODY, ...change });
  return true;
};

async function published({ engine }: FleetNode, stream: StreamId): Promise<number> {
  const outcome = await engine.store.publish({
    stream,
    retention: { entries: 10, ttlSeconds: 60 },
    notification: {
      ...{ id: `n-${++ordinal}`, occurredAt: Date.now(), eventType: "test", payloadJson: "null" },
      metadata: { source: "test", priority: "Normal" },
    },
  });
  return outcome.kind === "published" ? outcome.record.deliveredTo : -1;
}

export function fleetDirectorySuite(name: string, make: MakeFleet): void {
  describe(`directory of a fleet: ${name}`, () => {
    test("a session that entered one node counts on the other at once", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      const [phone, laptop] = [session(tenant, "ann"), session(tenant, "ann")];
      await first.engine.directory.enter(phone, NO_LIMIT);
      await second.engine.directory.enter(laptop, NO_LIMIT);
      await first.engine.directory.join(phone, "news");
      await second.engine.directory.join(laptop, "news");
      for (const node of [first, second]) {
        for (const stream of [inbox(tenant, "ann"), channel(tenant, "news"), broadcast(tenant)]) {
          expect([stream, await node.engine.directory.online(stream), await published(node, stream)]).toEqual([stream, 2, 2]);
        }
        expect(await node.engine.directory.channels(tenant)).toMatchObject([{ name: "news", sessions: 2 }]);
      }
      await first.engine.directory.part(phone, "news");
      await second.engine.directory.leave(laptop);
      for (const node of [first, second]) {
        expect(await published(node, inbox(tenant, "ann"))).toBe(1);
        expect(await published(node, channel(tenant, "news"))).toBe(0);
        expect(await published(node, broadcast(tenant))).toBe(1);
        expect(await node.engine.directory.channel(tenant, "news")).toBeUndefined();
        expect(await node.engine.directory.channels(tenant)).toEqual([]);
      }
    });

    test("every node tells where a user is, and within a renewal what they listen to", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      const [phone, laptop] = [session(tenant, "ann", { roles: ["ops"] }), session(tenant, "ann", { transport: "sse" })];
      await first.engine.directory.enter(phone, NO_LIMIT);
      await second.engine.directory.enter(laptop, NO_LIMIT);
      await first.engine.directory.join(phone, "news");
      for (const { engine } of [first, second]) {
        const places = await eventually("channels are known", async () => {
          const found = await engine.directory.userSessions(tenant, "ann");
          return found[0]?.channels.length === 1 && found;
        });
        expect(
          places.map(({ session: { sessionId, roles, transport }, node, channels }) => ({ sessionId, roles, transport, node, channels })),
        ).toEqual([
          { sessionId: phone.sessionId, roles: ["ops"], transport: "websocket", node: first.name, channels: ["news"] },
          { sessionId: laptop.sessionId, roles: [], transport: "sse", node: second.name, channels: [] },
        ]);
      }
    });

    test("an audience is counted over all nodes", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      const [ann, bob, cat] = [
        session(tenant, "ann", { roles: ["ops", "dev"] }),
        session(tenant, "bob", { roles: ["dev"] }),
        session(tenant, "cat"),
      ];
      await first.engine.directory.enter(ann, NO_LIMIT);
      await second.engine.directory.enter(bob, NO_LIMIT);
      await second.engine.directory.enter(cat, NO_LIMIT);
      await second.engine.directory.join(cat, "news");
      for (const { engine } of [first, second]) {
        const online = (type: "Roles" | "Users" | "Channels", ...value: string[]) =>
          engine.directory.online(broadcast(tenant), { type, value });
        expect(await online("Roles", "ops", "dev")).toBe(2);
        expect(await online("Roles", "ops")).toBe(1);
        expect(await online("Roles", "nobody")).toBe(0);
        expect(await online("Users", "ann", "cat", "zoe", "cat")).toBe(2);
        expect(await online("Channels", "news")).toBe(1);
        expect(await online("Channels", "news", "none")).toBe(1);
      }
    });

    test("a user of two nodes is one user, wherever it is asked", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      const [phone, laptop, bob] = [session(tenant, "ann"), session(tenant, "ann", { transport: "sse" }), session(tenant, "bob")];
      const before = await first.engine.directory.counts();
      await first.engine.directory.enter(phone, NO_LIMIT);
      await second.engine.directory.enter(laptop, NO_LIMIT);
      await second.engine.directory.enter(bob, NO_LIMIT);
      await first.engine.directory.join(phone, "news");
      await second.engine.directory.join(laptop, "news");
      const grown = { websocket: 2, sse: 1, users: 2, shared: 1, channels: 1, subscriptions: 2 };
      for (const node of [first, second]) {
        await eventually("all are counted", () => counted(node, tenant, grown));
        await eventually(
          "all are counted in all",
          async () => expect(await node.engine.directory.counts()).toMatchObject({ users: before.users + 2 }) === undefined,
        );
      }
      expect([first.engine.directory.here(tenant), second.engine.directory.here(tenant)]).toEqual([
        { sessions: 1, users: 1 },
        { sessions: 2, users: 2 },
      ]);
      await first.engine.directory.leave(phone); // the other node counts the user now
      for (const node of [first, second]) {
        await eventually("the user is counted elsewhere", () =>
          counted(node, tenant, { websocket: 1, sse: 1, users: 2, channels: 1, subscriptions: 1 }),
        );
      }
    });

    test("limits are the fleet's, per user and per tenant", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      const limits = { perUser: 1, perTenant: 2 };
      const ann = session(tenant, "ann");
      expect(await first.engine.directory.enter(ann, limits)).toBe("entered");
      expect(await second.engine.directory.enter(session(tenant, "ann"), limits)).toBe("user_limit");
      expect(await second.engine.directory.enter(session(tenant, "bob"), limits)).toBe("entered");
      expect(await first.engine.directory.enter(session(tenant, "cat"), limits)).toBe("tenant_limit");
      await first.engine.directory.leave(ann);
      expect(await second.engine.directory.enter(session(tenant, "cat"), limits)).toBe("entered");
      expect(await first.engine.directory.enter(session(tenant, "dan"), { ...limits, perTenant: 3 })).toBe("entered");
      expect(await first.engine.directory.online(broadcast(tenant))).toBe(3);
    });

    test(
      "never more sessions than the limit, whoever comes and goes at once on three nodes",
      async () => {
        await using fleet = await make(3);
        const round = fc.record({
          enters: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 12 }),
          leaves: fc.nat({ max: 4 }),
        });
        const rounds = fc.array(round, { minLength: 4, maxLength: 4 });
        const property = fc.asyncProperty(rounds, fc.integer({ min: 1, max: 5 }), fc.boolean(), (plan, limit, isTenants) =>
          race(fleet, { plan, limit, isTenants }),
        );
        await fc.assert(property, fuzzSettings(40));
      },
      fuzzTimeoutMs(20),
    );

    test("a node that crashed is forgotten when its leases end, and its places are free", async () => {
      await using pair = await pairOf(make);
      const { first, second, fleet } = pair;
      const tenant = freshTenant();
      const [ann, bob] = [session(tenant, "ann"), session(tenant, "bob")];
      await first.engine.directory.enter(ann, { perUser: 1, perTenant: 2 });
      await first.engine.directory.join(ann, "news");
      await second.engine.directory.enter(bob, { perUser: 1, perTenant: 2 });
      await eventually("both nodes are known", async () => (await second.engine.fleet.nodes()).length === 2);
      const crashedAt = performance.now();
      await first.crash();
      expect(await second.engine.directory.enter(session(tenant, "ann"), { perUser: 1 })).toBe("user_limit");
      await eventually("it is forgotten", async () => counted(second, tenant, { websocket: 1, users: 1 }));
      await eventually("it is no node any more", async () => (await second.engine.fleet.nodes()).length === 1);
      expect(performance.now() - crashedAt).toBeLessThan(fleet.leaseMs + 3_000); // the lease, and a slow machine's looks
      expect(await second.engine.directory.userSessions(tenant, "ann")).toEqual([]);
      expect(await second.engine.directory.channels(tenant)).toEqual([]);
      expect(await published(second, channel(tenant, "news"))).toBe(0);
      expect(await published(second, broadcast(tenant))).toBe(1);
      expect(await second.engine.directory.enter(session(tenant, "ann"), { perUser: 1, perTenant: 2 })).toBe("entered");
    });

    test("a node that closed is forgotten at once", async () => {
      await using pair = await pairOf(make);
      const { first, second } = pair;
      const tenant = freshTenant();
      for (let i = 0; i < 300; i++) {
        const one = session(tenant, `user-${i}`);
        await first.engine.directory.enter(one, NO_LIMIT);
        await first.engine.directory.join(one, `channel-${i % 40}`);
      }
      await eventually("both nodes are known", async () => (await second.engine.fleet.nodes()).length === 2);
      await first.close();
      expect(await second.engine.directory.online(broadcast(tenant))).toBe(0);
      expect(await second.engine.directory.userSessions(tenant, "user-7")).toEqual([]);
      expect(await second.engine.directory.channels(tenant)).toEqual([]);
      expect(await second.engine.directory.counts(tenant)).toMatchObject({ websocket: 0, users: 0, subscriptions: 0 });
      expect((await second.engine.fleet.nodes()).map(({ node }) => node)).toEqual([second.name]);
    });

    test("who is online is known again soon after the data was lost", async () => {
      await using pair = await pairOf(make);
      const { first, second, fleet } = pair;
      const tenant = freshTenant();
      const [ann, bob] = [session(tenant, "ann", { roles: ["ops"] }), session(tenant, "bob")];
      await first.engine.directory.enter(ann, NO_LIMIT);
      await first.engine.directory.join(ann, "news");
      await second.engine.directory.enter(bob, NO_LIMIT);
      const places = await second.engine.directory.userSessions(tenant, "ann");
      const news = await second.engine.directory.channel(tenant, "news");
      await fleet.loseData();
      await eventually("they are back", async () => (await second.engine.directory.counts(tenant)).websocket === 2);
      await eventually("the user is back", async () => (await second.engine.directory.userSessions(tenant, "ann")).length === 1);
      await eventually("the channel is back", async () => (await second.engine.directory.channels(tenant)).length === 1);
      await eventually("the nodes are back", async () => (await first.engine.fleet.nodes()).length === 2);
      expect(await second.engine.directory.channel(tenant, "news")).toEqual(news);
      expect((await second.engine.directory.userSessions(tenant, "ann"))[0]?.session).toEqual(places[0]?.session);
      expect(await second.engine.directory.online(broadcast(tenant), { type: "Roles", value: ["ops"] })).toBe(1);
    });
  });
}

type Race = {
  readonly plan: readonly { readonly enters: readonly number[]; readonly leaves: number }[];
  readonly limit: number;
  readonly isTenants: boolean;
};

/** Rounds of sessions that enter at once on nodes of a fleet, and of some that leave meanwhile. */
async function race({ nodes }: FleetSubject, { plan, limit, isTenants }: Race): Promise<void> {
  const tenant = freshTenant();
  const inside: { readonly one: SessionInfo; readonly at: number }[] = [];
  const limits = isTenants ? { perUser: 100, perTenant: limit } : { perUser: limit };
  const directoryOf = (at: number) => (nodes[at] as FleetNode).engine.directory; // the arbitrary stays inside
  for (const { enters, leaves } of plan) {
    for (const { one, at } of inside.splice(0, leaves)) await directoryOf(at).leave(one);
    const room = Math.max(0, limit - inside.length);
    const outcomes = await Promise.all(
      enters.map(async (at) => {
        const one = session(tenant, isTenants ? `user-${ordinal}` : "ann");
        return { one, at, outcome: await directoryOf(at).enter(one, limits) };
      }),
    );
    const entered = outcomes.filter(({ outcome }) => outcome === "entered");
    inside.push(...entered);
    expect(entered.length).toBe(Math.min(room, enters.length));
    for (const node of nodes) {
      expect(await node.engine.directory.online(isTenants ? broadcast(tenant) : inbox(tenant, "ann"))).toBe(inside.length);
    }
  }
  await Promise.all(inside.map(({ one, at }) => directoryOf(at).leave(one)));
}
