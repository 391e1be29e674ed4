// Why: what one core takes through Redis instead of REST, in both forms, and what a publish costs there.
// It must never time the publisher: bodies are put into Redis by scripts, many at once.
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { pinGenerator, startTarget, type Target } from "./load/targets.ts";
import { cpuSeconds } from "./process.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };
type Redis = Awaited<ReturnType<RedisLink["dial"]>>;

const MESSAGES = 50_000;
const LOT = 500;
/** Messages of pub/sub that wait in a server are bounded: the publisher stays this far ahead at the most. */
const AHEAD = 5_000;
const KEY = "nexus:triggers";

const body = (at: number) =>
  JSON.stringify({ type: "user", target: `user-${at % 10_000}`, event: { event_type: "bench", payload: "x".repeat(200) } });
const lot = (from: number) => Array.from({ length: LOT }, (_, more) => body(from + more));

async function measured(name: string, target: Target, work: () => Promise<void>): Promise<void> {
  const [cpu, began] = [cpuSeconds(target.pid), performance.now()];
  await work();
  const seconds = (performance.now() - began) / 1000;
  const each = ((cpuSeconds(target.pid) - cpu) / MESSAGES) * 1e6;
  console.log(`${name}: ${(MESSAGES / seconds).toFixed(0)} publishes/s, ${each.toFixed(1)} us CPU of the server each`);
}

/** Publishes of inboxes since the start, as they are stored: entries ever added to Redis' streams would do as well. */
async function storedBy(client: Redis): Promise<number> {
  const info = await client.info("commandstats");
  return Number(/cmdstat_spublish:calls=(\d+)/.exec(info)?.[1] ?? 0);
}

async function byPubsub(target: Target, client: Redis): Promise<void> {
  await eventually("the server listens", async () => Number(await client.publish("notification:broadcast", "{")) === 1);
  await client.config("RESETSTAT");
  await measured("by PUBLISH", target, async () => {
    for (let sent = 0; sent < MESSAGES; sent += LOT) {
      await client.eval("for _, body in ipairs(ARGV) do redis.call('PUBLISH', 'notification:user:x', body) end", 0, ...lot(sent));
      await eventually("the server keeps up", async () => (await storedBy(client)) >= sent - AHEAD, { intervalMs: 1, timeoutMs: 30_000 });
    }
    await eventually("all are stored", async () => (await storedBy(client)) >= MESSAGES, { intervalMs: 5, timeoutMs: 30_000 });
  });
}

async function byStream(target: Target, client: Redis): Promise<void> {
  await measured("by XADD", target, async () => {
    for (let sent = 0; sent < MESSAGES; sent += LOT) {
      await client.eval("for _, body in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'body', body) end", 1, KEY, ...lot(sent));
    }
    await eventually("all are done", async () => (await client.xlen(KEY)) === 0, { intervalMs: 5, timeoutMs: 60_000 });
  });
}

export async function triggers(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await startRedis();
  const link = await openLink({ addresses: [redis.address], commandTimeoutMs: 5000, log });
  const [primary] = await link.primaries();
  if (!primary) throw new Error("no Redis");
  const client = await link.dial(primary);
  await using target = await startTarget("nexus", ["--redis", redis.address]);
  await byPubsub(target, client);
  await byStream(target, client);
  client.disconnect();
  await link.close();
}
