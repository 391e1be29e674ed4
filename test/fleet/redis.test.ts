// Why: the engine on one Redis server.
import { afterAll } from "bun:test";
import { startRedis } from "../support/redis/server.ts";
import { redisSuites } from "./redis-suites.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
redisSuites("redis", { addresses: [redis.address] });
