// Why: what one core takes over REST when every publish goes through Redis, what Redis does for it, and what an entry
// costs there. The floor: one SET and one SPUBLISH by hand through ioredis, on the same core. Redis shares the generator's core.
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { runRequests } from "./load/requests.ts";
import { type PublishTo, percentile, pinGenerator, startTarget } from "./load/targets.ts";
import { cpuSeconds, start } from "./process.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };
type Redis = Awaited<ReturnType<RedisLink["dial"]>>;

const SECONDS = 5;
const CONNECTIONS = 64;
const USERS = 10_000;
const FLOOR = new URL("./floor/redis-publish.ts", import.meta.url).pathname;

type Shape = { readonly name: string; readonly flags: readonly string[]; readonly toOf: (count: number) => PublishTo };
const SHAPES: readonly Shape[] = [
  { name: "to a user who is away", flags: [], toOf: (count) => ({ user: `user-${count % USERS}` }) },
  { name: "to a channel that keeps 100", flags: ["--history"], toOf: (count) => ({ channel: `channel-${count % 100}` }) },
  { name: "to a channel, live only", flags: [], toOf: () => ({ channel: "channel-0" }) },
];

/** Redis' own counts since `CONFIG RESETSTAT`. */
type Work = { readonly calls: number; readonly scripts: number; readonly scriptMicroseconds: number };

async function workOf(client: Redis): Promise<Work> {
  const lines = (await client.info("commandstats")).matchAll(/cmdstat_([^:]+):calls=(\d+),usec=(\d+)/g);
  const work = { calls: 0, scripts: 0, scriptMicroseconds: 0 };
  for (const [, name, calls, microseconds] of lines) {
    if (name === "info" || name === "config|resetstat") continue;
    if (name === "evalsha") {
      work.scripts += Number(calls);
      work.scriptMicroseconds += Number(microseconds);
    } else work.calls += Number(calls);
  }
  return work;
}

async function publishes(redis: RedisServer, client: Redis, { name, flags, toOf }: Shape): Promise<void> {
  await client.flushall();
  await using target = await startTarget("nexus", ["--redis", redis.address, ...flags]);
  const took: number[] = [];
  const requests = { ...target.publishes(toOf, () => "x".repeat(200), CONNECTIONS), onAnswer: (ms: number) => took.push(ms) };
  await runRequests(requests, 2);
  took.length = 0;
  await client.config("RESETSTAT");
  const before = { server: cpuSeconds(target.pid), redis: cpuSeconds(redis.pid) };
  const { answered, refused, seconds } = await runRequests(requests, SECONDS);
  const cpu = { server: cpuSeconds(target.pid) - before.server, redis: cpuSeconds(redis.pid) - before.redis };
  const { calls, scripts, scriptMicroseconds } = await workOf(client);
  console.log(
    `${name}: ${(answered / seconds).toFixed(0)} publishes/s, p50 ${percentile(took, 0.5).toFixed(2)} ms, p99 ${percentile(took, 0.99).toFixed(2)} ms` +
      `${refused > 0 ? `, ${refused} refused` : ""}\n` +
      `  server ${((cpu.server / answered) * 1e6).toFixed(1)} us CPU each; Redis ${((cpu.redis / seconds) * 100).toFixed(0)} % of a core; ` +
      `per publish ${(scripts / answered).toFixed(2)} round trips, ${(calls / answered).toFixed(1)} commands inside, ${(scriptMicroseconds / scripts).toFixed(1)} us script`,
  );
}

async function floor(redis: RedisServer, client: Redis): Promise<void> {
  await client.flushall();
  await using program = await start<{ perSecond: number; p50: number; p99: number; cpuMicroseconds: number }>([
    ...(Bun.which("taskset") ? ["taskset", "-c", "0"] : []),
    ...[process.execPath, FLOOR, redis.address, String(SECONDS)],
  ]);
  const { perSecond, p50, p99, cpuMicroseconds } = program.ready;
  console.log(
    `floor (SET + SPUBLISH by ioredis, no HTTP): ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${cpuMicroseconds.toFixed(1)} us CPU each`,
  );
}

/** What Redis itself says its keys take, of users with so many entries each. */
async function memory(redis: RedisServer, client: Redis): Promise<void> {
  for (const entries of [1, 10, 100]) {
    await client.flushall();
    const before = await usedBytes(client);
    await using target = await startTarget("nexus", ["--redis", redis.address]);
    const started = await usedBytes(client);
    const users = Math.max(20, Math.floor(2000 / entries));
    const requests = target.publishes(
      (count) => ({ user: `user-${count % users}` }),
      () => "x".repeat(200),
      1,
    );
    for (let sent = 0; sent < users * entries; ) {
      const { url, path, headers } = requests;
      const lot = Array.from({ length: Math.min(50, users * entries - sent) }, (_, i) => sent + i);
      sent += lot.length;
      await Promise.all(
        lot.map((n) =>
          fetch(`${url}${path}`, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: requests.bodyOf(n) }),
        ),
      );
    }
    const sizes = { e: 0, m: 0 };
    const found = (await client.keys("*:{p*}:[em]:u/*")).slice(0, 100);
    for (const key of found) sizes[key.includes(":e:") ? "e" : "m"] += Number(await client.memory("USAGE", key));
    const inboxes = found.length / 2;
    const whole = ((await usedBytes(client)) - started) / users;
    console.log(
      `memory of an inbox with ${entries} × 200 B: entries ${(sizes.e / inboxes).toFixed(0)} B (${(sizes.e / inboxes / entries).toFixed(0)} B each), ` +
        `meta ${(sizes.m / inboxes).toFixed(0)} B; all of Redis grew by ${whole.toFixed(0)} B per user (${(started - before).toFixed(0)} B before the first)`,
    );
  }
}

const usedBytes = async (client: Redis): Promise<number> =>
  Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1] ?? Number.NaN);

export async function redisPublish(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await startRedis();
  const link = await openLink({ addresses: [redis.address], commandTimeoutMs: 5000, log });
  const [primary] = await link.primaries();
  if (!primary) throw new Error("no Redis");
  const client = await link.dial(primary);
  await floor(redis, client);
  for (const shape of SHAPES) await publishes(redis, client, shape);
  await memory(redis, client);
  client.disconnect();
  await link.close();
}
