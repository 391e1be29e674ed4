// Why: the Redis engine keeps what the ports promise, in the words every engine is asked in.
import { afterAll } from "bun:test";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { busSuite } from "../contract/bus.ts";
import { directorySuite } from "../contract/directory.ts";
import { inboxSuite } from "../contract/inbox.ts";
import { inboxModelSuite } from "../contract/inbox-model.ts";
import { rateLimitsSuite } from "../contract/rate-limits.ts";
import { receiptsSuite } from "../contract/receipts.ts";
import { statsSuite } from "../contract/stats.ts";
import { streamStoreSuite } from "../contract/stream-store.ts";
import { templatesSuite } from "../contract/templates.ts";
import { ticketsSuite } from "../contract/tickets.ts";
import { writesSuite } from "../contract/writes.ts";
import { startRedis } from "../support/redis/server.ts";
import { redisSubject } from "../support/redis/subject.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const make = () => redisSubject(() => openLink({ addresses: [redis.address], commandTimeoutMs: 2000, log: silent }));

streamStoreSuite("redis", make);
inboxSuite("redis", make);
inboxModelSuite("redis", make);
busSuite("redis", make);
directorySuite("redis", make);
rateLimitsSuite("redis", make);
templatesSuite("redis", make);
ticketsSuite("redis", make);
receiptsSuite("redis", make);
statsSuite("redis", make);
writesSuite("redis", make);
