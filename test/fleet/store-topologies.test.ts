// Why: the Redis engine keeps what the ports promise however Redis is run: in a Cluster every script has to stay inside one
// slot, under Sentinels the primary has to be found. What a single Redis answers is in redis.test.ts.
import { afterAll, describe } from "bun:test";
import { type LinkOptions, openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { busSuite } from "../contract/bus.ts";
import { directorySuite } from "../contract/directory.ts";
import { inboxSuite } from "../contract/inbox.ts";
import { inboxModelSuite } from "../contract/inbox-model.ts";
import { rateLimitsSuite } from "../contract/rate-limits.ts";
import { receiptsSuite } from "../contract/receipts.ts";
import { statsSuite } from "../contract/stats.ts";
import { streamStoreSuite } from "../contract/stream-store.ts";
import type { MakeSubject } from "../contract/subject.ts";
import { templatesSuite } from "../contract/templates.ts";
import { ticketsSuite } from "../contract/tickets.ts";
import { writesSuite } from "../contract/writes.ts";
import { startClusterRedis } from "../support/redis/cluster.ts";
import { startSentinelRedis } from "../support/redis/sentinel.ts";
import { redisSubject } from "../support/redis/subject.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const over = (options: Omit<LinkOptions, "log" | "commandTimeoutMs">) => () =>
  redisSubject(() => openLink({ commandTimeoutMs: 2000, log, ...options }));

/** The model is put to fewer runs here: its steps are the same, only the way to Redis is another. */
const MODEL_RUNS = 5;

function everySuite(name: string, make: MakeSubject): void {
  describe(name, () => {
    streamStoreSuite(name, make);
    inboxSuite(name, make);
    inboxModelSuite(name, make, MODEL_RUNS);
    for (const suite of [busSuite, directorySuite, rateLimitsSuite, templatesSuite, ticketsSuite, receiptsSuite, statsSuite, writesSuite]) {
      suite(name, make);
    }
  });
}

const [cluster, sentinel] = await Promise.all([startClusterRedis(), startSentinelRedis()]);
afterAll(async () => {
  await Promise.all([cluster[Symbol.asyncDispose](), sentinel[Symbol.asyncDispose]()]);
});

everySuite("redis cluster", over({ addresses: cluster.addresses, topology: "cluster" }));
everySuite("redis sentinel", over({ addresses: sentinel.addresses, topology: "sentinel", masterName: sentinel.masterName }));
