// Why: nodes of a fleet end each other's sessions, and say so honestly when one of them could not be asked.
import { afterAll, expect, test } from "bun:test";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import type { DisconnectRequest } from "@nexus/server/core/fleet-ports.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { type RedisFleetSubject, redisFleet } from "./fleet-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

/** Each node ends as many sessions as its place in the list, and one; what it was asked is kept. */
async function listening(fleet: RedisFleetSubject): Promise<DisconnectRequest[][]> {
  const asked = fleet.nodes.map((): DisconnectRequest[] => []);
  fleet.nodes.forEach(({ engine }, at) => {
    engine.fleet.onDisconnect((request) => {
      asked[at]?.push(request);
      return at + 1;
    });
  });
  for (const { engine } of fleet.nodes) await knows(engine, fleet.nodes.length);
  return asked;
}

const knows = (engine: Engine, nodes: number) =>
  eventually("every node is known", async () => (await engine.fleet.nodes()).length === nodes);

const request: DisconnectRequest = { tenant: "acme", user: "ann/1" };

test("every node is asked once, and what they ended adds up", async () => {
  await using fleet = await redisFleet(redis, 3);
  const asked = await listening(fleet);
  const [first, , third] = fleet.nodes;
  expect(await first?.engine.fleet.disconnect(request)).toBe(6);
  expect(asked).toEqual([[request], [request], [request]]);
  const one: DisconnectRequest = { tenant: "acme", sessionId: "s-1" };
  expect(await third?.engine.fleet.disconnect(one)).toBe(6);
  expect(asked.map((list) => list.at(-1))).toEqual([one, one, one]);
  expect(await Promise.all(Array.from({ length: 20 }, () => first?.engine.fleet.disconnect(request)))).toEqual(
    Array.from({ length: 20 }, () => 6),
  );
});

test("nodes tell their names, when they started and whom they hold", async () => {
  await using fleet = await redisFleet(redis, 2);
  const [first, second] = fleet.nodes;
  const seat = { tenant: "acme", user: "ann", roles: [], connectedAt: 0, transport: "sse" } as const;
  for (const sessionId of ["a", "b"]) await second?.engine.directory.enter({ ...seat, sessionId }, { perUser: 5 });
  const nodes = await eventually("what the other says of itself is known", async () => {
    const found = (await first?.engine.fleet.nodes()) ?? [];
    return found[1]?.sessions === 2 && found;
  });
  expect(nodes).toEqual([
    { node: "node-0", startedAt: expect.any(Number), sessions: 0, users: 0 },
    { node: "node-1", startedAt: expect.any(Number), sessions: 2, users: 1 },
  ]);
  for (const { startedAt } of nodes) expect(Date.now() - startedAt).toBeLessThan(60_000);
});

/** A node that has a lease for so long and answers nothing. */
const ghost = async ({ prefix, nodes: [first] }: RedisFleetSubject, leaseMs: number) => {
  const says = JSON.stringify({ node: "ghost", startedAt: 0, sessions: 0 });
  await first?.link.call("HSET", new Keys(prefix).fleet("nodes"), "ghost/1", `${Date.now() + leaseMs}|${says}`);
};

test("a living node that stays silent is told, with what the others ended", async () => {
  await using fleet = await redisFleet(redis, 2);
  await listening(fleet);
  await ghost(fleet, 60_000);
  const asked = fleet.nodes[0]?.engine.fleet.disconnect(request);
  await expect(asked).rejects.toMatchObject({
    refusal: { code: "broker_unavailable", detail: "1 of the servers did not answer; 3 ended on those that did" },
  });
});

test("a node that is gone before it answers is not missed", async () => {
  await using fleet = await redisFleet(redis, 2);
  await listening(fleet);
  await ghost(fleet, 1_000);
  expect(await fleet.nodes[0]?.engine.fleet.disconnect(request)).toBe(3);
});

test("a line that was cut is opened again", async () => {
  await using fleet = await redisFleet(redis, 2);
  await listening(fleet);
  const [first] = fleet.nodes;
  for (let i = 0; i < 3; i++) {
    expect(Number(await first?.link.call("CLIENT", "KILL", "TYPE", "pubsub"))).toBeGreaterThan(1);
    await eventually("all can be asked again", async () => (await first?.engine.fleet.disconnect(request)) === 3);
  }
});

test("a line that carries nothing any more, though it looks open, is noticed and opened again", async () => {
  await using proxy = await startTcpProxy(redis);
  const through = (link: RedisLink, at: number): RedisLink =>
    at === 0 ? link : { ...link, dial: (primary) => link.dial({ ...primary, host: "127.0.0.1", port: proxy.port }) };
  await using fleet = await redisFleet(redis, 2, { wrap: through });
  await listening(fleet);
  const [first] = fleet.nodes;
  expect(await first?.engine.fleet.disconnect(request)).toBe(3);
  const before = proxy.accepted;
  proxy.stall();
  await eventually("it is dialled again", () => proxy.accepted > before, { timeoutMs: fleet.leaseMs * 2 });
  await eventually("it can be asked again", async () => (await first?.engine.fleet.disconnect(request)) === 3);
});

test("without Redis nobody else can be asked, and what ended here is told", async () => {
  await using fleet = await redisFleet(redis, 2);
  await listening(fleet);
  const [first] = fleet.nodes;
  await first?.crash();
  const asked = first?.engine.fleet.disconnect(request);
  await expect(asked).rejects.toMatchObject({
    refusal: { code: "broker_unavailable", detail: "Other servers could not be asked; 1 ended here" },
  });
  await eventually("the link knows", () => first?.engine.fleet.broker().connected === false);
});

test("what is no request ends nobody's sessions", async () => {
  await using fleet = await redisFleet(redis, 2);
  const asked = await listening(fleet);
  const [first] = fleet.nodes;
  const control = new Keys(fleet.prefix).fleet("control");
  for (const text of [
    "",
    "null",
    "{",
    "[]",
    '{"id":"1","from":"x","request":{"tenant":"acme"}}',
    '{"id":"1","from":"x","request":{"tenant":"acme","user":"a","sessionId":"b"}}',
  ]) {
    expect(await first?.link.call("SPUBLISH", control, text)).toBe(2);
  }
  expect(await first?.engine.fleet.disconnect(request)).toBe(3);
  expect(asked).toEqual([[request], [request]]);
});
