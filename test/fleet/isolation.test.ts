// Why: tenants that share one Redis share keys' neighbourhoods too: names that meet in one partition must not meet in a key.
import { afterAll } from "bun:test";
import { isolationSuite } from "../contract/isolation.ts";
import { startRedis } from "../support/redis/server.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
isolationSuite("redis", async () => ({ NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address }));
