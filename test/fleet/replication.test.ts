// Why: what was answered must survive a failover: not before a replica has it, and never at the price of other commands.
import { expect, test } from "bun:test";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { Script } from "@nexus/server/adapters/redis/link.ts";
import { Replication } from "@nexus/server/adapters/redis/replication.ts";
import { eventually } from "../support/eventually.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { slotOfPartition, startClusterRedis } from "../support/redis/cluster.ts";
import { openTestLink, outcomeOf } from "../support/redis/link.ts";
import { startSentinelRedis } from "../support/redis/sentinel.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const keys = new Keys("replication");
const COUNT: Script = { name: "count", lua: "return redis.call('INCR', KEYS[1])" };

test("replicas that are stopped refuse the confirmation in time, other commands go on, and they confirm when they are back", async () => {
  await using redis = await startSentinelRedis({ downAfterMs: 60_000 });
  const { addresses, masterName } = redis;
  await using opened = await openTestLink({ addresses, masterName, topology: "sentinel", commandTimeoutMs: 2000 });
  const { link } = opened;
  const replication = new Replication({ link, keys, log: silent, replicas: 1, timeoutMs: 1500 });
  const write = () => link.run(COUNT, [keys.at(5, "n", "x")], []);
  await write();
  await replication.confirm(5);
  await eventually("both replicas follow", async () => (await link.call("WAIT", 2, 200)) === 2);
  const stopped = await redis.pauseReplicas();
  try {
    await write();
    let isOver = false;
    const confirmed = outcomeOf(replication.confirm(5)).finally(() => {
      isOver = true;
    });
    expect(await link.call("GET", keys.at(5, "n", "x"))).toBe("2");
    expect(isOver).toBe(false); // not behind the WAIT
    expect(await confirmed).toBe("broker_unavailable");
  } finally {
    stopped.resume();
  }
  await eventually("they confirm again", async () => (await outcomeOf(replication.confirm(5))) === "ok");
  replication.close();
  expect(await outcomeOf(replication.confirm(5))).toBe("broker_unavailable");
});

test("a thousand confirmations at once take a few commands", async () => {
  await using redis = await startSentinelRedis();
  const { addresses, masterName } = redis;
  await using opened = await openTestLink({ addresses, masterName, topology: "sentinel", commandTimeoutMs: 2000 });
  const replication = new Replication({ link: opened.link, keys, log: silent, replicas: 1, timeoutMs: 1000 });
  await replication.confirm(1);
  const waits = async () =>
    Number(/cmdstat_wait:calls=(\d+)/.exec(String(await redisCommand(await redis.primary(), ["INFO", "commandstats"])))?.[1]);
  const before = await waits();
  await Promise.all(Array.from({ length: 1000 }, (_, i) => replication.confirm(i % 256)));
  expect((await waits()) - before).toBeLessThanOrEqual(3);
  replication.close();
});

test("a Cluster: each primary is asked for its own, a failover is followed, and one without replicas is not waited for", async () => {
  await using redis = await startClusterRedis();
  await using opened = await openTestLink({ addresses: redis.addresses.slice(0, 2), topology: "cluster", commandTimeoutMs: 1000 });
  const replication = new Replication({ link: opened.link, keys, log: silent, replicas: 1, timeoutMs: 500 });
  await Promise.all(Array.from({ length: 256 }, (_, partition) => replication.confirm(partition)));
  expect(replication.missing()).toBe(0);
  const [primary] = await opened.link.primaries();
  const partition = primary?.partitions[0] ?? 0;
  await redis.killPrimary(slotOfPartition(partition));
  // Its replica takes over and has none of its own: nobody could take its place either.
  await eventually("the new primary is confirmed", async () => (await outcomeOf(replication.confirm(partition))) === "ok", {
    timeoutMs: 15_000,
  });
  expect(replication.missing()).toBe(1);
  replication.close();
});
