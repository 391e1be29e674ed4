// Why: a purge is the work of one node, and it is over only when it is done, whoever dies on the way.
import { afterAll, expect, test } from "bun:test";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { tenantKeys } from "@nexus/server/adapters/redis/purge-keys.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { redisFleet } from "./fleet-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const KEYS = 20_000;
const signal = new AbortController().signal;

/** Keys as publishes leave them, without the publishes. */
async function populate(link: RedisLink, prefix: string, tenant: string): Promise<Keys> {
  const keys = new Keys(prefix);
  const of = (user: number) => keys.of({ kind: "inbox", tenant, user: `user-${user}` }, "m");
  for (let from = 0; from < KEYS; from += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, (_, at) => link.call("HSET", of(from + at), "top", "1")));
  }
  return keys;
}

async function countOf(link: RedisLink, keys: Keys, tenant: string): Promise<number> {
  const theirs = tenantKeys(keys, tenant);
  const found = await link.call("KEYS", theirs.pattern);
  return Array.isArray(found) ? found.filter((key) => theirs.isTheirs(String(key))).length : -1;
}

test("a node that dies in the middle of a purge leaves the rest to another, which goes on where it stopped", async () => {
  await using fleet = await redisFleet(redis, 2);
  const [first, second] = fleet.nodes;
  if (!first || !second) throw new Error("there are two nodes");
  const tenant = "acme";
  const keys = await populate(second.link, fleet.prefix, tenant);
  await populate(second.link, fleet.prefix, "other");
  const dying = first.engine.purge({ tenant, uid: "1" }, signal).then(
    () => "done",
    () => "died",
  );
  const noted = `${fleet.prefix}:1:{p0}:f:purge/acme/1`;
  const found = () => second.link.call("HGET", noted, "found");
  await eventually("it has come somewhere", async () => Number(await found()) > 0, { intervalMs: 1 });
  expect(await second.engine.purge({ tenant, uid: "1" }, signal)).toBe("elsewhere");
  await first.crash();
  expect(await dying).toBe("died");
  const left = await countOf(second.link, keys, tenant);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(KEYS);
  const before = Number(await found());
  expect(before).toBeGreaterThan(0);

  const outcome = await eventually(
    "the other takes over when the lease is over",
    async () => {
      const one = await second.engine.purge({ tenant, uid: "1" }, signal);
      return one === "elsewhere" ? undefined : one;
    },
    { timeoutMs: 20_000, intervalMs: 200 },
  );
  expect(outcome).toBe("purged");
  expect(await countOf(second.link, keys, tenant)).toBe(0);
  expect(await countOf(second.link, keys, "other")).toBe(KEYS);
  expect(await second.link.call("HGET", noted, "done")).toBe("1");
}, 60_000);

test("of two nodes that begin at once one works, and the other learns that it is done", async () => {
  await using fleet = await redisFleet(redis, 2);
  const tenant = "globex";
  const [first, second] = fleet.nodes;
  if (!first || !second) throw new Error("there are two nodes");
  const keys = await populate(first.link, fleet.prefix, tenant);
  const outcomes = await Promise.all(fleet.nodes.map(({ engine }) => engine.purge({ tenant, uid: "1" }, signal)));
  expect(outcomes.toSorted()).toEqual(["elsewhere", "purged"]);
  expect(await countOf(first.link, keys, tenant)).toBe(0);
  for (const { engine } of fleet.nodes) expect(await engine.purge({ tenant, uid: "1" }, signal)).toBe("purged");
}, 60_000);

test("others are hardly held up: commands answered while 20,000 keys are looked through", async () => {
  await using fleet = await redisFleet(redis, 2);
  const [first, second] = fleet.nodes;
  if (!first || !second) throw new Error("there are two nodes");
  await populate(first.link, fleet.prefix, "initech");
  let isOver = false;
  const purge = first.engine.purge({ tenant: "initech", uid: "1" }, signal).finally(() => {
    isOver = true;
  });
  const tookMs: number[] = [];
  while (!isOver) {
    const began = performance.now();
    await second.link.call("PING");
    tookMs.push(performance.now() - began);
  }
  expect(await purge).toBe("purged");
  tookMs.sort((a, b) => a - b);
  console.log(
    `PING beside a purge of ${KEYS} keys: ${tookMs.length}, p50 ${tookMs[tookMs.length >> 1]?.toFixed(2)} ms, most ${tookMs.at(-1)?.toFixed(1)} ms`,
  );
  expect(tookMs[Math.floor(tookMs.length * 0.9)] ?? Number.POSITIVE_INFINITY).toBeLessThan(50);
}, 60_000);
