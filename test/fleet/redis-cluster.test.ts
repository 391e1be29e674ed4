// Why: the engine on a Redis Cluster: every step it takes has to stay within one slot.
import { afterAll } from "bun:test";
import { startClusterRedis } from "../support/redis/cluster.ts";
import { redisSuites } from "./redis-suites.ts";

const redis = await startClusterRedis();
afterAll(() => redis[Symbol.asyncDispose]());
redisSuites("redis (Cluster)", { topology: "cluster", addresses: redis.addresses });
