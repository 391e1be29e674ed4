// Why: what users of Redis have met, one by one. Each fault hits while a mixed load runs on three nodes.
// It must never be gentler than the real thing: processes die by SIGKILL, networks say nothing.

import { streamPartition } from "@nexus/server/adapters/redis/keys.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import { keptGroup, PULSE } from "../../support/fleet/crowd.ts";
import type { Fleet } from "../../support/fleet/fleet.ts";
import { redisCommand, redisInfo } from "../../support/redis/admin.ts";
import { slotOfPartition } from "../../support/redis/cluster.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import { cluster, type Fault, sentinel, standalone } from "./scene.ts";

const slotOfChannel = (channel: string): number => {
  const stream: StreamId = { kind: "channel", tenant: "default", channel };
  return slotOfPartition(streamPartition(stream));
};

function firstProxy({ proxies }: Fleet): TcpProxy {
  const [proxy] = proxies;
  if (!proxy) throw new Error("no proxy");
  return proxy;
}

export const FAULTS: readonly Fault[] = [
  standalone("node killed (SIGKILL)", async ({ fleet }) => {
    await fleet.nodes[0]?.kill();
  }),
  standalone("node drained (SIGTERM)", async ({ fleet }) => {
    const code = await fleet.nodes[0]?.drain();
    if (code !== 0) throw new Error(`the drained node exited with ${code}`);
  }),
  standalone(
    "Redis killed, back after 1 s with its AOF (`appendfsync always`)",
    async ({ redis }) => {
      await redis.kill();
      await Bun.sleep(1000);
      await redis.restart();
    },
    ["appendonly yes", "appendfsync always"],
  ),
  sentinel("Sentinel: primary killed", async ({ redis }) => {
    const dead = await redis.killPrimary();
    await redis.failedOver(dead);
    await redis.restart(dead);
  }),
  cluster("Cluster: primary killed", true, async ({ redis }) => {
    const slot = slotOfChannel(PULSE);
    const dead = await redis.killPrimary(slot);
    await redis.failedOver(slot, dead);
    await redis.restart(dead);
  }),
  cluster("Cluster: slots moved to another primary", false, async ({ redis }) => {
    for (const channel of [PULSE, ...[0, 1, 2, 3].map(keptGroup)]) await redis.migrateSlot(slotOfChannel(channel));
  }),
  standalone("connections to Redis reset, all nodes", async ({ fleet }) => {
    for (const proxy of fleet.proxies) proxy.cut();
  }),
  standalone("subscriptions of one node silently dead (half-open)", async ({ fleet }) => {
    firstProxy(fleet).mute();
  }),
  // What was on its way waits and arrives: TCP repeats it.
  standalone("one node cut off from Redis for 2 s", async ({ fleet }) => {
    firstProxy(fleet).hold();
    await Bun.sleep(2000);
    firstProxy(fleet).release();
  }),
  // Too long for that: what was on its way is lost, and the connections of before are never heard of again.
  standalone("one node cut off from Redis for 30 s", async ({ fleet }) => {
    firstProxy(fleet).blackhole();
    await Bun.sleep(30_000);
    firstProxy(fleet).accept();
  }),
  standalone("200–300 ms latency to Redis for 10 s, all nodes", async ({ fleet }) => {
    for (const proxy of fleet.proxies) proxy.delay(200, 100);
    await Bun.sleep(10_000);
    for (const proxy of fleet.proxies) proxy.delay(0);
  }),
  standalone("`CLIENT PAUSE` 3 s", async ({ redis }) => {
    await redisCommand(redis, ["CLIENT", "PAUSE", 3000, "ALL"]);
    await Bun.sleep(3000);
  }),
  standalone("Redis out of memory for 5 s (`noeviction`)", async ({ redis }) => {
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory", Number(await redisInfo(redis, "memory", "used_memory")) >> 1]);
    await Bun.sleep(5000);
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory", 0]);
  }),
];
