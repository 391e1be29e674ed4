// Why: the engine on a primary that Sentinels name.
import { afterAll } from "bun:test";
import { startSentinelRedis } from "../support/redis/sentinel.ts";
import { redisSuites } from "./redis-suites.ts";

const redis = await startSentinelRedis();
afterAll(() => redis[Symbol.asyncDispose]());
redisSuites("redis (Sentinel)", { topology: "sentinel", addresses: redis.addresses, masterName: redis.masterName });
