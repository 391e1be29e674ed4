// Why: records beside streams are the fleet's: what one node did another tells of, at a cost that a fleet can carry, and
// neither a flood nor a Redis that is away grows them without bound.
import { afterAll, describe, expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { createRedisReceipts } from "@nexus/server/adapters/redis/receipts.ts";
import { createRedisStats } from "@nexus/server/adapters/redis/stats.ts";
import { createRedisTickets } from "@nexus/server/adapters/redis/tickets.ts";
import { createRedisWriteRecords } from "@nexus/server/adapters/redis/write-records.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const redis = await startRedis();
const link = await openLink({ addresses: [redis.address], commandTimeoutMs: 2000, log: silent });
afterAll(async () => {
  await link.close();
  await redis[Symbol.asyncDispose]();
});

let installations = 0;
const fresh = () => new Keys(`records-${process.pid}-${++installations}`);
const parts = (keys: Keys, over: RedisLink = link) => ({ link: over, keys, clock: systemClock, log: silent });
const inbox = (user: string) => ({ kind: "inbox" as const, tenant: "acme", user });

function facts(notificationId: string, user: string) {
  return { notificationId, occurredAt: Date.now(), eventType: "test", stream: inbox(user), deliveredTo: 1, queued: false };
}

/** Commands Redis has processed, and calls among them that came over the wire from scripts and clients. */
async function commands(): Promise<{ readonly all: number; readonly calls: number }> {
  const info = String(await link.call("INFO", "commandstats"));
  const counts = [...info.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)] as const);
  const sum = (wanted: (name: string | undefined) => boolean) =>
    counts.filter(([name]) => wanted(name)).reduce((total, [, count]) => total + count, 0);
  return { all: sum((name) => name !== "info"), calls: sum((name) => name === "eval" || name === "evalsha") };
}

describe("receipts of a fleet", () => {
  test("an ACK on one node is told by another, also when it is told before the publish was", async () => {
    const keys = fresh();
    const [publisher, listener] = [createRedisReceipts(parts(keys)), createRedisReceipts(parts(keys))];
    publisher.published("acme", facts("n1", "ann"), 30_000);
    listener.acknowledged("acme", "n1", "ann");
    await listener.flush(); // nobody has told of n1 yet
    await publisher.flush();
    await eventually("the ACK is known", async () => (await publisher.find("acme", "n1"))?.acknowledgementCount === 1);
    expect(await publisher.acks("acme")).toMatchObject({ tracked: 1, acknowledged: 1, pending: 0 });
    await Promise.all([publisher.close(), listener.close()]);
  });

  test("nodes that publish under one id to different users make one receipt", async () => {
    const keys = fresh();
    const nodes = [createRedisReceipts(parts(keys)), createRedisReceipts(parts(keys))];
    for (const [at, node] of nodes.entries()) {
      node.published("acme", facts("n1", `user-${at}`), 30_000);
      await node.flush();
    }
    const receipt = await nodes[0]?.find("acme", "n1");
    expect(receipt).toMatchObject({ targetCount: 2, deliveredTo: 2 });
    expect(receipt?.targets.map(({ stream }) => stream)).toEqual([inbox("user-0"), inbox("user-1")]);
    await Promise.all(nodes.map((node) => node.close()));
  });

  test("one id for ten thousand users goes out in parts and comes back as one receipt", async () => {
    const receipts = createRedisReceipts(parts(fresh()));
    for (let at = 0; at < 10_000; at++) receipts.published("acme", facts("n1", `user-${at}`), 30_000);
    const receipt = await receipts.find("acme", "n1");
    expect([receipt?.targetCount, receipt?.deliveredTo, receipt?.targets.length]).toEqual([10_000, 10_000, 100]);
    expect(await receipts.acks("acme")).toMatchObject({ tracked: 10_000, pending: 10_000 });
    expect(receipts.dropped()).toBe(0);
    await receipts.close();
  });

  test("the oldest are forgotten when there are too many, and Redis keeps no more", async () => {
    const keys = fresh();
    const receipts = createRedisReceipts(parts(keys), 1_600);
    for (let at = 0; at < 10_000; at++) {
      receipts.published("acme", facts(`n${at}`, "ann"), 30_000);
      if (at % 100 === 99) await receipts.flush();
    }
    expect(await receipts.find("acme", "n0")).toBeUndefined();
    expect(await receipts.find("acme", "n9999")).toBeDefined();
    let fields = 0;
    for (let partition = 0; partition < 16; partition++) {
      for (let segment = 0; segment < 6; segment++) fields += Number(await link.call("HLEN", keys.at(partition * 16, "r", `s${segment}`)));
    }
    expect(fields).toBeLessThan(4_000);
    await receipts.close();
  });

  test("while Redis is away a node keeps so many and counts what it lets go; no publish fails", async () => {
    let connected = false;
    const away: RedisLink = { ...link, health: () => ({ ...link.health(), connected }) };
    const receipts = createRedisReceipts(parts(fresh(), away));
    for (let at = 0; at < 40_000; at++) receipts.published("acme", facts(`n${at}`, "ann"), 30_000);
    await receipts.flush();
    expect(receipts.dropped()).toBeGreaterThan(5_000);
    connected = true;
    await receipts.flush();
    expect(await receipts.find("acme", "n0")).toBeUndefined();
    expect(await receipts.find("acme", "n39999")).toBeDefined();
    await receipts.close();
  });
});

test("receipts and statistics together add at most a tenth of a command to a publish", async () => {
  const keys = fresh();
  const [receipts, stats] = [createRedisReceipts(parts(keys)), createRedisStats(parts(keys))];
  const before = await commands();
  // A second of 10,000 publishes a second: four flushes of receipts, one of statistics.
  for (let at = 0; at < 10_000; at++) {
    stats.published("acme", "inbox", 1);
    receipts.published("acme", facts(crypto.randomUUID(), `user-${at}`), 30_000);
    if (at % 2_500 === 2_499) await receipts.flush();
  }
  await stats.flush();
  const after = await commands();
  const per = { commands: (after.all - before.all) / 10_000, calls: (after.calls - before.calls) / 10_000 };
  process.stderr.write(`receipts and statistics: ${per.calls} script calls and ${per.commands} commands inside them per publish\n`);
  expect(per.calls).toBeLessThanOrEqual(0.02);
  expect(per.commands).toBeLessThanOrEqual(0.1);
  expect((await stats.total("acme")).delivered).toBe(10_000);
  expect(receipts.dropped()).toBe(0);
  await Promise.all([receipts.close(), stats.close()]);
});

test("statistics add up over nodes, and what Redis did not take is told later", async () => {
  const keys = fresh();
  let isAway = true;
  const flaky: RedisLink = { ...link, run: (...call) => (isAway ? Promise.reject(new Error("away")) : link.run(...call)) };
  const [one, other] = [createRedisStats(parts(keys)), createRedisStats(parts(keys, flaky))];
  one.published("acme", "channel", 3);
  other.published("acme", "channel", 4);
  await expect(other.flush()).rejects.toThrow("away");
  await one.flush();
  expect((await one.total("acme")).delivered).toBe(3);
  isAway = false;
  expect((await other.total("acme")).delivered).toBe(7);
  expect((await one.total()).sent.channel).toBe(2);
  await Promise.all([one.close(), other.close()]);
});

test("a ticket of one node is redeemed on another, once, and is in Redis only as a hash", async () => {
  const keys = fresh();
  const nodes = [createRedisTickets(parts(keys)), createRedisTickets(parts(keys))];
  const ticket = (await nodes[0]?.issue({ tenant: "acme", user: "ann", roles: [], channels: [] }, 30_000)) ?? "";
  const stored = (await link.call("KEYS", "*:x:*")) as string[]; // a list of texts
  expect(stored.length).toBeGreaterThan(0);
  expect(stored.some((key) => key.includes(ticket))).toBe(false);
  expect(await link.call("PTTL", stored[0] ?? "")).toBeGreaterThan(0);
  const redeemed = await Promise.all([...nodes, ...nodes].map((node) => node.redeem(ticket)));
  expect(redeemed.filter((identity) => identity?.user === "ann").length).toBe(1);
});

test("a write that one node does is in flight and then done for the other", async () => {
  const keys = fresh();
  const [one, other] = [createRedisWriteRecords(parts(keys)), createRedisWriteRecords(parts(keys))];
  const claim = { key: "k", fingerprint: "body" };
  expect(await one.begin("acme/createTemplate", claim)).toEqual({ kind: "begun" });
  expect(await other.begin("acme/createTemplate", claim)).toEqual({ kind: "in_flight" });
  await one.finish("acme/createTemplate", "k", { status: 201, body: "{}" });
  expect(await other.begin("acme/createTemplate", claim)).toEqual({ kind: "done", answer: { status: 201, body: "{}" } });
});
