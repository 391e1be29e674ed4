// Why: tracing as a whole server does it: switched on and off while it runs, and never in anybody's way, whatever the
// collector does. What the spans say is judged by a real collector in test/monitoring/tracing.test.ts.
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeBuckets } from "@nexus/protocol/bundle.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { startRealServer } from "../support/real-server.ts";
import { TOKEN_SECRET, token } from "../support/rest.ts";
import { WsClient } from "../support/ws-client.ts";

const KEY = "key-of-acme";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const REMOTE = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
const talk = {
  match: "talk",
  history: { size: 0, ttlSeconds: 300 },
  subscribe: "Anyone",
  publish: "Claim",
  slowConsumer: "Disconnect",
} as const;

type Tracing = { readonly endpoint: string; readonly sample_percent: number };

const entries = (tracing?: Tracing) => [
  clusterEntry({ limits: { requestsPerSecond: 0, framesPerSecond: 0 }, channels: [talk], ...(tracing ? { tracing } : {}) }),
  tenantEntry("acme", { api_keys: [apiKey("all", KEY)], issuers: [secretIssuer(TOKEN_SECRET)] }),
];

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** Takes whatever comes; `answer` says when it answers. */
function receiver(answer: () => Response | Promise<Response> = () => new Response()) {
  const bodies: Buffer[] = [];
  const headers: Headers[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      bodies.push(Buffer.from(await request.arrayBuffer()));
      headers.push(request.headers);
      return await answer();
    },
  });
  open.push(() => server.stop(true));
  return {
    url: server.url.href,
    bodies,
    headers,
    has: (traceId: string) => bodies.some((body) => body.includes(Buffer.from(traceId, "hex"))),
  };
}

async function publish(url: string, user: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const { status } = await fetch(`${url}/api/v1/notifications/send`, {
    method: "POST",
    headers: { "X-API-Key": KEY, "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ target_user_id: user, event_type: "test", payload: 1 }),
  });
  return status;
}

async function listen(url: string, user: string): Promise<WsClient> {
  const jwt = await token(user, { tenant_id: "acme", channels: ["talk"] });
  const client = await WsClient.connect(`${url.replace("http", "ws")}/ws?token=${jwt}`, { protocols: ["nexus.v1.json"] });
  await eventually("connected", () => client.frames.some(({ type }) => type === "connected"));
  return client;
}

async function spansCounted(opsUrl: string, outcome: string): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  return Number(new RegExp(`^nexus_trace_spans_total\\{outcome="${outcome}"\\} (\\d+)`, "m").exec(text)?.[1] ?? 0);
}

describe("tracing that the cluster says", () => {
  test("begins and ends while the server runs", async () => {
    const collector = receiver();
    const told = () => real.lines.filter(({ event }) => event.startsWith("tracing.")).map(({ event }) => event);
    await using real = await startRealServer({ entries: entries() });
    expect(await publish(real.url, "jane", REMOTE)).toBe(200);
    real.server.live.load(makeBuckets(entries({ endpoint: collector.url, sample_percent: 0 })));
    expect(await publish(real.url, "jane", REMOTE)).toBe(200);
    await eventually("the collector has it", () => collector.has(TRACE));
    await eventually("it is counted", async () => (await spansCounted(real.opsUrl, "exported")) === 2);
    real.server.live.load(makeBuckets(entries()));
    expect(await publish(real.url, "jane", REMOTE)).toBe(200);
    expect(told()).toEqual(["tracing.on", "tracing.off"]);
    expect(await spansCounted(real.opsUrl, "dropped")).toBe(0);
  });

  test("is overruled by what this process is told itself", async () => {
    const [own, cluster] = [receiver(), receiver()];
    {
      await using real = await startRealServer({
        entries: entries({ endpoint: cluster.url, sample_percent: 100 }),
        env: { NEXUS_TRACING_ENDPOINT: own.url, NEXUS_TRACING_SAMPLE_PERCENT: "100" },
      });
      expect(await publish(real.url, "jane")).toBe(200);
    }
    expect([own.bodies.length, cluster.bodies.length]).toEqual([1, 0]);
  });

  test("with an address that is none is counted as failed, and publishes go on", async () => {
    await using real = await startRealServer({ entries: entries({ endpoint: "http://", sample_percent: 100 }) });
    expect(await publish(real.url, "jane")).toBe(200);
    await eventually("it is counted", async () => (await spansCounted(real.opsUrl, "failed")) === 2);
    const failed = real.lines.filter(({ event }) => event === "tracing.export_failed");
    expect(failed).toMatchObject([{ level: "warn", reason: "the endpoint is no http(s) address, or holds credentials" }]);
  });
});

test("a Publish frame says whose trace it is, and nobody else hears of it", async () => {
  const collector = receiver();
  {
    await using real = await startRealServer({ entries: entries(), env: { NEXUS_TRACING_ENDPOINT: collector.url } });
    await using jane = await listen(real.url, "jane");
    jane.send({ type: "Subscribe", payload: { channels: ["talk"] } });
    jane.send({
      type: "Publish",
      id: 1,
      payload: { channel: "talk", event_type: "hi", payload: 1, ...REMOTE, tracestate: "vendor=planted" },
    });
    await eventually("it came back", () => jane.frames.some(({ type }) => type === "notification"));
    expect(JSON.stringify(jane.frames)).not.toContain(TRACE);
    expect(JSON.stringify(jane.frames)).not.toContain("planted");
    jane.send({ type: "Publish", id: 2, payload: { channel: "talk", event_type: "hi", payload: 1, traceparent: 7 } });
    await eventually("what is no text is refused like any other member", () =>
      jane.frames.some(({ type, id }) => type === "error" && id === 2),
    );
  }
  expect(collector.has(TRACE)).toBe(true);
});

test("headers of the file go with every batch, and are read again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "nexus-tracing-"));
  open.push(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "headers");
  await writeFile(file, "authorization=Bearer%20first");
  const collector = receiver();
  await using real = await startRealServer({
    entries: entries(),
    env: {
      ...{ NEXUS_TRACING_ENDPOINT: collector.url, NEXUS_TRACING_SAMPLE_PERCENT: "100", NEXUS_TRACING_HEADERS_FILE: file },
      NEXUS_TRACING_HEADERS: "x-scope=a%20b,authorization=Bearer%20environment",
    },
  });
  await publish(real.url, "jane");
  await eventually("the first batch", () => collector.headers.length === 1);
  await writeFile(file, "authorization=Bearer%20second\n");
  await publish(real.url, "jane");
  await eventually("the second batch", () => collector.headers.length === 2);
  expect(collector.headers.map((headers) => headers.get("authorization"))).toEqual(["Bearer first", "Bearer second"]);
  expect(collector.headers.map((headers) => headers.get("x-scope"))).toEqual(["a b", "a b"]);
  expect(JSON.stringify(real.lines)).not.toContain("Bearer");
});

test("a collector that never answers costs spans, and nobody a delivery", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const collector = receiver(() => promise.then(() => new Response()));
  const COUNT = 2000;
  let stopMs = 0;
  {
    await using real = await startRealServer({
      entries: entries(),
      env: { NEXUS_TRACING_ENDPOINT: collector.url, NEXUS_TRACING_SAMPLE_PERCENT: "100" },
    });
    await using jane = await listen(real.url, "jane");
    for (let sent = 0; sent < COUNT; sent += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => publish(real.url, "jane")));
      expect(answers.every((status) => status === 200)).toBe(true);
    }
    await eventually("every one arrived", () => jane.frames.filter(({ type }) => type === "notification").length === COUNT);
    expect(await spansCounted(real.opsUrl, "dropped")).toBeGreaterThan(1000);
    expect(await spansCounted(real.opsUrl, "exported")).toBe(0);
    expect(collector.bodies.length).toBe(1);
    stopMs = -performance.now();
  }
  stopMs += performance.now();
  expect(stopMs).toBeLessThan(6000); // three seconds for the collector, the rest for everything else
  resolve();
});
