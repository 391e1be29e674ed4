// Why: the link keeps its promises where the servers behind it change places: Sentinel and Cluster.
import { describe, expect, test } from "bun:test";
import { Keys, PARTITIONS } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink, Script } from "@nexus/server/adapters/redis/link.ts";
import { eventually } from "../support/eventually.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { slotOfPartition, startClusterRedis } from "../support/redis/cluster.ts";
import { openTestLink, outcomeOf } from "../support/redis/link.ts";
import { startSentinelRedis } from "../support/redis/sentinel.ts";

const COUNT: Script = { name: "count", lua: "return redis.call('INCR', KEYS[1])" };
const keys = new Keys("link");
const keyIn = (partition: number) => keys.at(partition, "n", "x");
const bump = (link: RedisLink, partition: number) => outcomeOf(link.run(COUNT, [keyIn(partition)], []));
const everyPartition = Array.from({ length: PARTITIONS }, (_, partition) => partition);

describe("Sentinel", () => {
  test("a primary that dies is replaced without a restart, and what was answered is there", async () => {
    await using redis = await startSentinelRedis();
    const { addresses, masterName } = redis;
    await using opened = await openTestLink({ addresses, masterName, topology: "sentinel", commandTimeoutMs: 1000 });
    const { link } = opened;
    const [before] = await link.primaries();
    expect([before?.port, before?.partitions.length]).toEqual([(await redis.primary()).port, PARTITIONS]);
    expect(await bump(link, 1)).toBe("ok");
    await eventually("both replicas have it", async () => (await link.call("WAIT", 2, 200)) === 2);
    const diedAt = performance.now();
    const dead = await redis.killPrimary();
    await eventually("calls fail loudly", async () => (await bump(link, 2)) === "broker_unavailable");
    await redis.failedOver(dead);
    await eventually("the link follows", async () => (await bump(link, 2)) === "ok");
    console.info(`sentinel failover, kill to first write: ${Math.round(performance.now() - diedAt)} ms`);
    // On a machine that stands still for a second the Sentinels fail over once more, and the link with them.
    await eventually("what was answered is there", async () => (await link.call("GET", keyIn(1))) === "1");
    const after = await eventually("the link has the place that the Sentinels name", async () => {
      const [found] = await link.primaries();
      return found?.port === (await redis.primary()).port && found;
    });
    await eventually("it is well", () => link.health().status === "healthy" && link.health().breaker === "closed");
    const own = await link.dial(after);
    expect(await own.ping()).toBe("PONG");
    own.disconnect();
  });
});

describe("Cluster", () => {
  test("serves all partitions, says who has which, and follows a slot that moves", async () => {
    await using redis = await startClusterRedis();
    await using opened = await openTestLink({ addresses: redis.addresses.slice(0, 2), topology: "cluster" });
    const { link } = opened;
    expect(new Set(await Promise.all(everyPartition.map((partition) => bump(link, partition))))).toEqual(new Set(["ok"]));
    const primaries = await link.primaries();
    expect(primaries).toHaveLength(3);
    expect(primaries.flatMap(({ partitions }) => partitions).sort((a, b) => a - b)).toEqual(everyPartition);
    for (const { port, partitions } of primaries) {
      for (const partition of [partitions[0] ?? 0, partitions.at(-1) ?? 0]) {
        expect((await redis.primaryOf(slotOfPartition(partition))).port).toBe(port);
      }
      const own = await link.dial({ id: "", host: "127.0.0.1", port, partitions });
      expect(await own.ssubscribe(keys.at(partitions[0] ?? 0, "s", "x"))).toBe(1);
      own.disconnect();
    }

    // Counted while the slot moves: each call answered with its own number, none lost, none twice.
    let moving = true;
    const counted = (async () => {
      let calls = 0;
      while (moving) {
        expect(await Promise.all([5, 5, 6].map((partition) => bump(link, partition)))).toEqual(["ok", "ok", "ok"]);
        calls += 2;
      }
      return calls;
    })();
    const { from, to } = await redis.migrateSlot(slotOfPartition(5));
    moving = false;
    const calls = await counted;
    expect(await link.call("GET", keyIn(5))).toBe(String(calls + 1));
    const owner = (all: Awaited<ReturnType<RedisLink["primaries"]>>) => all.find(({ partitions }) => partitions.includes(5))?.port;
    expect([from.port, owner(await link.primaries())]).toEqual([owner(primaries) ?? 0, to.port]);
    expect(link.health()).toMatchObject({ status: "healthy", breaker: "closed" });
  });

  test("a primary that dies takes only its own partitions with it, and its replica is followed", async () => {
    await using redis = await startClusterRedis();
    await using opened = await openTestLink({ addresses: redis.addresses, topology: "cluster", commandTimeoutMs: 1000 });
    const { link } = opened;
    await Promise.all(everyPartition.map((partition) => bump(link, partition)));
    for (const place of await redis.primaries()) await redisCommand(place, ["SCRIPT", "FLUSH"]);
    const others = everyPartition.filter((partition) => partition % 50 === 0);
    const mine = 3;
    const owner = await redis.primaryOf(slotOfPartition(mine));
    const elsewhere: number[] = [];
    for (const partition of others) if ((await redis.primaryOf(slotOfPartition(partition))).port !== owner.port) elsewhere.push(partition);
    expect(elsewhere.length).toBeGreaterThan(0);
    const diedAt = performance.now();
    const dead = await redis.killPrimary(slotOfPartition(mine));
    const first: string[] = [];
    for (const partition of elsewhere) first.push(await bump(link, partition));
    expect(new Set(first)).toEqual(new Set(["ok"]));
    expect(await bump(link, mine)).toBe("broker_unavailable");
    await redis.failedOver(slotOfPartition(mine), dead);
    await eventually("its replica is followed", async () => (await bump(link, mine)) === "ok");
    console.info(`cluster failover, kill to first write: ${Math.round(performance.now() - diedAt)} ms`);
    expect((await link.primaries()).map(({ port }) => port)).not.toContain(dead.port);
    await eventually("all is well", async () => {
      const outcomes = await Promise.all(everyPartition.map((partition) => bump(link, partition)));
      return outcomes.every((outcome) => outcome === "ok") && link.health().status === "healthy";
    });
  });
});
