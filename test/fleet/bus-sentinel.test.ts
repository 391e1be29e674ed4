// Why: under Sentinels the primary changes its address. Announcements have to come from the new one, also when the old
// one lives on and still takes subscriptions.
import { afterAll, expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { startSentinelRedis } from "../support/redis/sentinel.ts";
import { type BusGround, busGround, hears, inbox, recorder } from "./bus-ground.ts";

const redis = await startSentinelRedis();
afterAll(() => redis[Symbol.asyncDispose]());

const ground = () => busGround({ addresses: redis.addresses, topology: "sentinel", masterName: redis.masterName, listenTimeoutMs: 20_000 });

async function listeners({ bus }: Pick<BusGround, "bus">) {
  const all = Array.from({ length: 500 }, (_, i) => ({ stream: inbox(`u${i}`), listener: recorder() }));
  await Promise.all(all.map(({ stream, listener }) => bus.listen(stream, listener)));
  return all;
}

async function allComeBack(node: BusGround, all: Awaited<ReturnType<typeof listeners>>) {
  const startedAt = performance.now();
  await eventually("all are told", () => all.every(({ listener }) => listener.gaps.length > 0), { timeoutMs: 30_000 });
  console.log(`all streams back after ${Math.round(performance.now() - startedAt)} ms`);
  for (const { stream, listener } of all.slice(0, 100)) {
    await eventually(
      "the other node publishes again",
      async () => {
        await node.say(stream, "after");
        return true;
      },
      { timeoutMs: 20_000 },
    );
    await hears(listener, "after");
  }
}

test("when the primary is asked to step down and lives on, announcements come from the new one", async () => {
  await using node = await ground();
  const all = await listeners(node);
  const [sentinel = ""] = redis.addresses;
  const before = await redis.primary();
  const [host = "", port = ""] = sentinel.split(":");
  expect(await redisCommand({ host, port: Number(port) }, ["SENTINEL", "FAILOVER", redis.masterName])).toBe("OK");
  await eventually("another one is primary", async () => (await redis.primary()).port !== before.port, { timeoutMs: 20_000 });
  await allComeBack(node, all);
}, 90_000);

test("when the primary is killed, announcements come from the one that takes over", async () => {
  await using node = await ground();
  const all = await listeners(node);
  const dead = await redis.killPrimary();
  await redis.failedOver(dead);
  await allComeBack(node, all);
  await redis.restart(dead);
}, 90_000);
