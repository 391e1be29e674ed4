// Why: the server as it ships, with the memory engine and a tenant whose credentials the benchmark knows, limits off. It
// must never measure anything: whoever started it looks from outside. `--window <ms>` holds the gather window still;
// `--redis <host:port>` takes the Redis engine; `--secret` and `--key` are credentials that several nodes share;
// `--tenants <n>` are so many more, called `tenant-0` and so on; `--metrics-tenants <n>` how many of them metrics show, and
// `--no-metrics` counts nothing at all; `--limits <json>` sets limits of the cluster, and believes
// `X-Forwarded-For`, so that clients can have addresses of their own; `--trace-to <url>` and `--trace-percent <n>` trace.
import { randomBytes } from "node:crypto";
import { makeBuckets } from "@nexus/protocol/bundle.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createLog } from "@nexus/server/adapters/log.ts";
import { createMetrics, type ServerMetrics } from "@nexus/server/adapters/metrics.ts";
import { startServer } from "@nexus/server/server.ts";
import { Value } from "@sinclair/typebox/value";
import { apiKey, clusterEntry, platformKey, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const at = process.argv.indexOf("--window");
const windowMs = at < 0 ? undefined : Number(process.argv[at + 1]);
const limitsAt = process.argv.indexOf("--limits");
const limits = limitsAt < 0 ? {} : (JSON.parse(process.argv[limitsAt + 1] ?? "{}") as Record<string, number>); // the schema judges it
const historySize = process.argv.includes("--history") ? 100 : 0;

const redisAt = process.argv.indexOf("--redis");
const engine = redisAt < 0 ? {} : { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: process.argv[redisAt + 1] ?? "" };

const http = { ...LOOPBACK, trustedProxies: limitsAt < 0 ? [] : ["127.0.0.1"] };
const given = (flag: string): string | undefined => {
  const place = process.argv.indexOf(flag);
  return place < 0 ? undefined : process.argv[place + 1];
};
const shown = given("--metrics-tenants");
const collector = given("--trace-to");
const traced =
  collector === undefined ? {} : { NEXUS_TRACING_ENDPOINT: collector, NEXUS_TRACING_SAMPLE_PERCENT: given("--trace-percent") ?? "0" };
const env = { ...engine, ...traced, ...(shown === undefined ? {} : { NEXUS_METRICS_TENANTS: shown }) };
const parsed = parseConfig({ env, defaults: { http, ops: LOOPBACK, admin: LOOPBACK } });
if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
const log = createLog({ level: "warn", clock: systemClock, write: (line) => process.stderr.write(`${line}\n`) });
const server = await startServer(parsed.config, {
  log,
  ...(windowMs === undefined ? {} : { gatherWindowMs: windowMs }),
  ...(process.argv.includes("--no-metrics") ? { metrics: silentMetrics() } : {}),
});
const secret = given("--secret") ?? randomBytes(32).toString("hex");
const key = given("--key") ?? randomBytes(16).toString("hex");
const settings = {
  issuers: [secretIssuer(secret)],
  quotas: Value.Default(TenantQuotas, { connectionsPerUser: 10 }) as TenantQuotas, // the schema fills what is left out
};
server.live.load(
  makeBuckets([
    clusterEntry({
      limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, connectionsPerPod: 100_000, sendQueueBytes: 16_777_216, ...limits },
      platform_keys: [platformKey("bench-all", `${key}-all`)],
      channels: [
        { match: "*", history: { size: historySize, ttlSeconds: 300 }, slowConsumer: "Disconnect", subscribe: "Anyone", publish: "Nobody" },
      ],
    }),
    tenantEntry("default", { ...settings, api_keys: [apiKey("bench", key)] }),
    ...Array.from({ length: Number(given("--tenants") ?? 0) }, (_, index) => tenantEntry(`tenant-${index}`, settings)),
  ]),
);
process.stdout.write(`${JSON.stringify({ url: server.url, opsUrl: server.opsUrl, pid: process.pid, secret, key })}\n`);

/** Metrics that cost a call and nothing else. */
function silentMetrics(): ServerMetrics {
  const real = createMetrics({ version: "0" });
  const silent = Object.entries(real).map(([name, member]) => [name, typeof member === "function" ? () => undefined : member]);
  return Object.fromEntries(silent) as ServerMetrics; // nothing of this engine asks for what they answer
}
