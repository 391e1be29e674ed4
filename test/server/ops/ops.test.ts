// Why: what probes and scrapers read must be true, complete and documented.
import { describe, expect, test } from "bun:test";
import type { ServerMetricRow } from "@nexus/server/adapters/metrics/row.ts";
import { createMetrics } from "@nexus/server/adapters/metrics.ts";
import { METRICS, RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";
import { apiKey, clusterEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { startRealServer } from "../../support/real-server.ts";

/** Metric families of a text in Prometheus' format, with their types. */
const families = (text: string) => new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));
const sample = (text: string, line: string) =>
  Number(
    text
      .split("\n")
      .find((one) => one.startsWith(`${line} `))
      ?.slice(line.length),
  );

describe("the ops port", () => {
  test("answers probes with states and knows no other path", async () => {
    await using real = await startRealServer();
    const get = (path: string, method = "GET") => fetch(`${real.opsUrl}${path}`, { method });
    expect(await (await get("/live")).json()).toEqual({ status: "live" });
    expect(await (await get("/ready")).json()).toEqual({ ready: true, reasons: [] });
    expect((await get("/nothing")).status).toBe(404);
    expect((await get("/live", "POST")).status).toBe(405);
    real.server.readiness.drain();
    const draining = await get("/ready");
    expect([draining.status, await draining.json()]).toEqual([503, { ready: false, reasons: ["draining"] }]);
    expect((await get("/live")).status).toBe(200);
  });

  test("exports exactly the documented metrics, with their types", async () => {
    await using real = await startRealServer();
    const answer = await fetch(`${real.opsUrl}/metrics`);
    expect(answer.headers.get("content-type")).toContain("text/plain");
    const exported = families(await answer.text());
    const rows: Readonly<Record<string, ServerMetricRow>> = { ...METRICS, ...RUNTIME_METRICS };
    const always = Object.entries(rows).filter(([, { only }]) => only === undefined);
    expect([...exported]).toEqual(always.map(([name, { type }]) => [name, type]));
  });

  test("counts what happened", async () => {
    await using real = await startRealServer({ entries: [clusterEntry(), tenantEntry("acme", { api_keys: [apiKey("backend", "k1")] })] });
    const send = (key: string) =>
      fetch(`${real.url}/api/v1/notifications/send`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify({ target_user_id: "ada", event_type: "x", payload: 1 }),
      });
    await send("k1");
    await send("k1");
    await send("wrong");
    const text = await (await fetch(`${real.opsUrl}/metrics`)).text();
    expect(sample(text, 'nexus_publishes_total{stream="inbox",outcome="published"}')).toBe(2);
    expect(sample(text, 'nexus_http_requests_total{operation="send",status="200"}')).toBe(2);
    expect(sample(text, 'nexus_http_requests_total{operation="send",status="401"}')).toBe(1);
    expect(sample(text, 'nexus_refusals_total{code="unauthorized"}')).toBe(1);
    expect(sample(text, 'nexus_http_request_duration_seconds_count{operation="send"}')).toBe(3);
    expect(sample(text, 'nexus_bundle_entries{kind="tenant"}')).toBe(1);
    expect(sample(text, "nexus_ready")).toBe(1);
    expect(sample(text, "nexus_bundle_age_seconds")).toBe(-1);
    expect(sample(text, "process_resident_memory_bytes")).toBeGreaterThan(1e7);
  });

  test("is on the public port only where diagnostics are public", async () => {
    await using closed = await startRealServer();
    expect((await fetch(`${closed.url}/metrics`)).status).toBe(404);
    await using open = await startRealServer({
      env: { NEXUS_HTTP_PUBLIC_DIAGNOSTICS: "true" },
      extra: (request) => (new URL(request.url).pathname === "/console" ? new Response("ours") : undefined),
    });
    expect(await (await fetch(`${open.url}/metrics`)).text()).toContain("nexus_build_info");
    expect(await (await fetch(`${open.url}/console`)).text()).toBe("ours");
    expect((await fetch(`${open.url}/nothing`)).status).toBe(404);
  });
});

test("a peer cannot choose a label's value", async () => {
  const metrics = createMetrics({ version: "0" });
  metrics.sessionOpened("websocket");
  metrics.sessionClosed("websocket", 4321);
  metrics.sessionClosed("websocket", 4000);
  metrics.frame("DROP TABLE");
  metrics.frame("Subscribe");
  metrics.refused("whatever");
  metrics.delivered("websocket", 5);
  metrics.deliveryLatency(20);
  const text = await metrics.text();
  expect(sample(text, 'nexus_sessions_closed_total{transport="websocket",code="other"}')).toBe(1);
  expect(sample(text, 'nexus_sessions_closed_total{transport="websocket",code="4000"}')).toBe(1);
  expect(sample(text, 'nexus_frames_received_total{type="invalid"}')).toBe(1);
  expect(sample(text, 'nexus_refusals_total{code="other"}')).toBe(1);
  expect(sample(text, 'nexus_deliveries_total{transport="websocket"}')).toBe(5);
  expect(sample(text, 'nexus_delivery_latency_seconds_bucket{le="0.025"}')).toBe(1);
  expect(sample(text, 'nexus_delivery_latency_seconds_bucket{le="0.01"}')).toBe(0);
});
