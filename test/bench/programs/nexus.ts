// Why: the server as it ships, with the memory engine and a tenant whose credentials the benchmark knows, limits off. It
// must never measure anything: whoever started it looks from outside. `--window <ms>` holds the gather window still;
// `--redis <host:port>` takes the Redis engine; `--secret` and `--key` are credentials that several nodes share;
// `--limits <json>` sets limits of the cluster, and believes
// `X-Forwarded-For`, so that clients can have addresses of their own.
import { randomBytes } from "node:crypto";
import { makeBuckets } from "@nexus/protocol/bundle.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createLog } from "@nexus/server/adapters/log.ts";
import { startServer } from "@nexus/server/server.ts";
import { Value } from "@sinclair/typebox/value";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const at = process.argv.indexOf("--window");
const windowMs = at < 0 ? undefined : Number(process.argv[at + 1]);
const limitsAt = process.argv.indexOf("--limits");
const limits = limitsAt < 0 ? {} : (JSON.parse(process.argv[limitsAt + 1] ?? "{}") as Record<string, number>); // the schema judges it
const historySize = process.argv.includes("--history") ? 100 : 0;

const redisAt = process.argv.indexOf("--redis");
const engine = redisAt < 0 ? {} : { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: process.argv[redisAt + 1] ?? "" };

const http = { ...LOOPBACK, trustedProxies: limitsAt < 0 ? [] : ["127.0.0.1"] };
const parsed = parseConfig({ env: engine, defaults: { http, ops: LOOPBACK, admin: LOOPBACK } });
if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
const log = createLog({ level: "warn", clock: systemClock, write: (line) => process.stderr.write(`${line}\n`) });
const server = await startServer(parsed.config, windowMs === undefined ? { log } : { log, gatherWindowMs: windowMs });
const given = (flag: string): string | undefined => {
  const place = process.argv.indexOf(flag);
  return place < 0 ? undefined : process.argv[place + 1];
};
const secret = given("--secret") ?? randomBytes(32).toString("hex");
const key = given("--key") ?? randomBytes(16).toString("hex");
server.live.load(
  makeBuckets([
    clusterEntry({
      limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, connectionsPerPod: 100_000, sendQueueBytes: 16_777_216, ...limits },
      channels: [
        { match: "*", history: { size: historySize, ttlSeconds: 300 }, slowConsumer: "Disconnect", subscribe: "Anyone", publish: "Nobody" },
      ],
    }),
    tenantEntry("default", {
      issuers: [secretIssuer(secret)],
      api_keys: [apiKey("bench", key)],
      quotas: Value.Default(TenantQuotas, { connectionsPerUser: 10 }) as TenantQuotas, // the schema fills what is left out
    }),
  ]),
);
process.stdout.write(`${JSON.stringify({ url: server.url, pid: process.pid, secret, key })}\n`);
