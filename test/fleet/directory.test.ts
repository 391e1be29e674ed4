// Why: who is online is the same question on every node of a fleet, and has to get the same answer.
import { afterAll, expect, test } from "bun:test";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import type { SessionInfo } from "@nexus/server/core/ports.ts";
import { fleetDirectorySuite } from "../contract/directory-fleet.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { redisFleet } from "./fleet-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

fleetDirectorySuite("redis", (nodes) => redisFleet(redis, nodes));

const seat = (i: number): SessionInfo => ({
  ...{ sessionId: `s-${i}`, tenant: "acme", user: `user-${i}`, roles: [], connectedAt: i, transport: "websocket" },
});

/** Commands this node gave Redis while `work` ran. */
async function commandsOf(fleet: Awaited<ReturnType<typeof redisFleet>>, work: () => Promise<unknown>): Promise<number> {
  const before = fleet.nodes[0]?.link.commands() ?? 0;
  await work();
  return (fleet.nodes[0]?.link.commands() ?? 0) - before;
}

test("many who come at once share their writes", async () => {
  await using fleet = await redisFleet(redis, 1, { leaseMs: 60_000 }); // no renewal meanwhile but one turn's
  const { directory } = fleet.nodes[0]?.engine ?? expect.unreachable();
  const seats = Array.from({ length: 1_000 }, (_, i) => seat(i));
  const entering = await commandsOf(fleet, () => Promise.all(seats.map((one) => directory.enter(one, { perUser: 5 }))));
  const joining = await commandsOf(fleet, () => Promise.all(seats.map((one, i) => directory.join(one, `channel-${i % 20}`))));
  const again = await commandsOf(fleet, () => Promise.all(seats.map((one, i) => directory.join(one, `channel-${(i + 1) % 20}`))));
  const leaving = await commandsOf(fleet, () => Promise.all(seats.map((one) => directory.leave(one))));
  console.log(
    `commands per session of 1,000 at once: enter ${entering / 1000}, first channel ${joining / 1000}, a channel held here ${again / 1000}, leave ${leaving / 1000}`,
  );
  expect(entering).toBeLessThan(1_100);
  expect(joining).toBeLessThan(100);
  expect(again).toBeLessThan(100);
  expect(leaving).toBeLessThan(1_300);
});

test("one who comes alone costs two commands, and two for a channel nobody holds", async () => {
  await using fleet = await redisFleet(redis, 1, { leaseMs: 60_000 });
  const { directory } = fleet.nodes[0]?.engine ?? expect.unreachable();
  const turns = 3; // renewals that may fall in between
  expect(await commandsOf(fleet, () => directory.enter(seat(1), { perUser: 5 }))).toBeLessThanOrEqual(2 + turns);
  expect(await commandsOf(fleet, () => directory.join(seat(1), "news"))).toBeLessThanOrEqual(2 + turns);
});

test("thousands who come in one turn never ask more at once than can be answered in time", async () => {
  let [inFlight, most] = [0, 0];
  const counting = (link: RedisLink): RedisLink => ({
    ...link,
    run(script, keys, args) {
      most = Math.max(most, ++inFlight);
      return link.run(script, keys, args).finally(() => inFlight--);
    },
  });
  await using fleet = await redisFleet(redis, 1, { leaseMs: 60_000, wrap: counting });
  const { directory } = fleet.nodes[0]?.engine ?? expect.unreachable();
  const seats = Array.from({ length: 10_000 }, (_, i) => seat(i));
  const entered = await Promise.all(seats.map((one) => directory.enter(one, { perUser: 5, perTenant: 20_000 })));
  expect(entered.filter((outcome) => outcome !== "entered")).toEqual([]);
  expect(most).toBeGreaterThan(500);
  expect(most).toBeLessThan(1_400); // 1,000, and the writes of counts they share, one per partition
  expect(await directory.counts("acme")).toMatchObject({ websocket: 10_000, users: 10_000 });
});

test("a session that does nothing is there for many leases, and what is kept of it is gone soon after it", async () => {
  await using fleet = await redisFleet(redis, 2, { leaseMs: 2_000 });
  const [here, there] = fleet.nodes.map(({ engine }) => engine.directory);
  const one = seat(1);
  await here?.enter(one, { perUser: 5 });
  const end = performance.now() + 8_000;
  let [looks, missed] = [0, 0];
  await eventually(
    "four leases are over",
    async () => {
      looks++;
      if ((await there?.online({ kind: "inbox", tenant: one.tenant, user: one.user })) !== 1) missed++;
      return performance.now() > end;
    },
    { timeoutMs: 20_000 },
  );
  expect(looks).toBeGreaterThan(20);
  expect(missed).toBe(0);
  await fleet.nodes[0]?.crash();
  const hashes = async () => (await fleet.nodes[1]?.link.call("KEYS", `${fleet.prefix}:*:u:*`)) ?? expect.unreachable();
  await eventually("the hash is gone", async () => Bun.deepEquals(await hashes(), []));
}, 60_000);
