// Why: the engine on a Redis that speaks TLS only and asks for a client certificate.
import { afterAll } from "bun:test";
import { startTlsRedis } from "../support/redis/tls.ts";
import { redisSuites } from "./redis-suites.ts";

const redis = await startTlsRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const { ca, cert, key } = redis.files;
redisSuites("redis (TLS)", {
  ...{ addresses: [redis.address], tls: true, serverName: redis.serverName },
  ...{ caFile: ca, certFile: cert, keyFile: key },
});
