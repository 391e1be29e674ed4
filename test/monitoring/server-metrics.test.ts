// Why: what a real server exports is what the reference promises, on every engine: no metric too few, none too many, no label
// value outside its set, and nothing that Prometheus' own linter complains about.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import type { ServerMetricRow } from "@nexus/server/adapters/metrics/row.ts";
import { METRICS, RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";
import { metricsReference } from "../../scripts/generate/metrics-reference.ts";
import { ensurePackages } from "../support/apt.ts";
import { apiKey, clusterEntry, platformKey, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { type Exposition, familyOf, readExposition } from "../support/monitoring/exposition.ts";
import { checkMetrics } from "../support/monitoring/promtool.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { type RealServer, startRealServer } from "../support/real-server.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { restOf, TOKEN_SECRET, token } from "../support/rest.ts";
import { SseClient } from "../support/sse-client.ts";
import { WsClient } from "../support/ws-client.ts";

const ROWS: Readonly<Record<string, ServerMetricRow>> = { ...METRICS, ...RUNTIME_METRICS };
const missing = await ensurePackages(["prometheus", "redis-server", "postgresql-15"]);
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

type Engine = {
  readonly name: string;
  readonly env: () => Readonly<Record<string, string>>;
  readonly has: readonly ServerMetricRow["only"][];
};

let folder: string;
let redis: RedisServer;
let postgres: PostgresServer;
beforeAll(async () => {
  if (missing !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "nexus-metrics-"));
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  await writeFile(join(folder, "url"), postgres.url);
}, 60_000);
afterAll(async () => {
  await Promise.all([redis?.[Symbol.asyncDispose](), postgres?.[Symbol.asyncDispose]()]);
  if (folder) await rm(folder, { recursive: true, force: true });
});

const overRedis = () => ({ NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address });
const ENGINES: readonly Engine[] = [
  { name: "memory", env: () => ({}), has: [undefined] },
  { name: "sqlite", env: () => ({ NEXUS_ENGINE: "sqlite", NEXUS_SQLITE_FILE: join(folder, "nexus.db") }), has: [undefined] },
  { name: "redis", env: overRedis, has: [undefined, "redis"] },
  {
    name: "redis and postgres",
    env: () => ({ ...overRedis(), NEXUS_REDIS_PREFIX: "two", NEXUS_INBOX: "postgres", NEXUS_POSTGRES_URL_FILE: join(folder, "url") }),
    has: [undefined, "redis", "postgres"],
  },
];

const tenants = ["acme", "globex"].map((id) =>
  tenantEntry(id, { api_keys: [apiKey("all", `key-of-${id}`)], issuers: [secretIssuer(TOKEN_SECRET)] }),
);
const entries = [
  clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 }, platform_keys: [platformKey("platform", "key-of-all")] }),
  ...tenants,
];
const scrape = async ({ opsUrl }: RealServer): Promise<string> => await (await fetch(`${opsUrl}/metrics`)).text();

/** People come and go, publishes succeed and fail, and somebody makes up names wherever names can be said. */
async function live({ url }: RealServer): Promise<void> {
  const acme = restOf(url, "key-of-acme");
  await using socket = await WsClient.connect(`${url.replace("http", "ws")}/ws?token=${await token("aline")}`, {
    protocols: ["nexus.v1.json"],
  });
  await socket.next("connected");
  await using stream = await SseClient.connect(`${url}/sse?token=${await token("bruno")}&channels=gazette`);
  await stream.next("connected");
  const send = (body: object, key = acme) => key("POST", "/api/v1/notifications/send", { body });
  await send({ target_user_id: "aline", event_type: "x", payload: 1 });
  const { id } = await socket.next("notification");
  await socket.ask({ type: "Ack", payload: { notification_id: id } }, "acked");
  for (const frame of [{ type: 'x"} 1\nnexus_ready 0' }, { type: "Ack", payload: { notification_id: "made up" } }]) {
    socket.send(frame);
    await socket.next("error");
  }
  socket.binary(new Uint8Array(3));
  await socket.next("error");
  await acme("POST", "/api/v1/notifications/channel", { body: { channel: "gazette", event_type: "x", payload: 1 } });
  await stream.next("notification");
  await send({ event_type: "x" });
  const platform = restOf(url, "key-of-all");
  for (const tenant of ["ghost", "made.up-1", "x".repeat(64), "bad tenant{}"]) {
    await platform("POST", "/api/v1/notifications/send", {
      body: { target_user_id: "aline", event_type: "x", payload: 1 },
      headers: { "x-tenant-id": tenant },
    });
  }
  await fetch(`${url}/api/v1/${"wherever".repeat(9)}`);
  await using refused = await WsClient.connect(`${url.replace("http", "ws")}/ws?token=${await token("mallory", { tenant_id: "ghost" })}`);
  expect(refused.answer.status).toBe(401);
}

/** Label values of a family that are not of its closed sets; the words for open ones are checked where they are made. */
function strangers(shown: Exposition): readonly string[] {
  return shown.samples.flatMap((sample) => {
    const { labels = {} } = ROWS[familyOf(shown, sample.name)] ?? {};
    return Object.entries(sample.labels).flatMap(([label, value]) => {
      const allowed = labels[label];
      const isKnown = label === "le" || typeof allowed === "string" || allowed?.includes(value);
      return isKnown ? [] : [`${sample.name} ${label}=${value}`];
    });
  });
}

describe.skipIf(missing !== undefined).each([...ENGINES])("a server on $name", ({ env, has }) => {
  test("exports the metrics of the reference that it has, and says nothing a stranger chose", async () => {
    await using server = await startRealServer({ entries, env: env() });
    await live(server);
    const text = await eventually("all sessions are gone", async () => {
      const now = await scrape(server);
      return now.includes('nexus_sessions{transport="sse"} 0\n') && now.includes('nexus_sessions{transport="websocket"} 0\n') && now;
    });
    const shown = readExposition(text);
    const expected = Object.entries(ROWS).filter(([, { only }]) => has.includes(only));
    expect([...shown.families]).toEqual(expected.map(([name, { type }]) => [name, type]));
    expect(strangers(shown)).toEqual([]);
    const operations = new Set(shown.samples.flatMap(({ labels }) => labels.operation ?? []));
    expect([...operations].filter((id) => !OPERATIONS.some((operation) => operation.id === id))).toEqual([]);
    const names = ["ghost", "made.up", "mallory", "aline", "bruno", "gazette", "xxxx", "wherever"];
    expect(names.filter((name) => text.includes(name))).toEqual([]);
    expect(shown.value("nexus_tenant_publishes_total", { tenant: "acme", outcome: "published" })).toBe(2);
    expect(shown.value("nexus_tenant_deliveries_total", { tenant: "acme" })).toBe(2);
    expect(shown.value("nexus_acks_total", { kind: "one" })).toBe(1);
    expect(shown.value("nexus_delivery_latency_seconds_count")).toBe(2);
    expect(shown.value("nexus_handshakes_total", { transport: "websocket", outcome: "rejected" })).toBe(1);
    if (has.includes("redis")) expect(shown.value("nexus_redis_call_duration_seconds_count")).toBeGreaterThan(3);
    if (has.includes("postgres")) expect(shown.value("nexus_postgres_calls_total", { outcome: "ok" })).toBeGreaterThan(0);
    expect(await checkMetrics(text)).toEqual({ isOk: true, output: "" });
  }, 60_000);
});

test("the reference has a line for every metric, and no line for any other", () => {
  const servers = metricsReference().split("## Operator")[0] ?? "";
  const listed = [...servers.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, name]) => name ?? "");
  expect(listed.toSorted()).toEqual(Object.keys(ROWS).toSorted());
});
