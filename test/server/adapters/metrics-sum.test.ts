// Why: a pod of several processes is one target of Prometheus: rates and sums over it must stay true when a process ends.
import { describe, expect, test } from "bun:test";
import type { RedisFacts } from "@nexus/server/adapters/metrics/stores.ts";
import { createMetrics, type ServerMetrics } from "@nexus/server/adapters/metrics.ts";
import { MetricsSum } from "@nexus/server/adapters/metrics-sum.ts";
import { METRICS, RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";

const sample = (text: string, name: string): number | undefined => {
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
};

function registry(facts: { ready: boolean; users: number; outage: number; tenants: number }): ServerMetrics {
  const metrics = createMetrics({ version: "1", tenants: 10 });
  metrics.observe({
    ...{ ready: () => facts.ready, draining: () => false, degraded: () => !facts.ready, users: () => facts.users, channels: () => 0 },
    load: () => ({ subscriptions: 0, queuedBytes: 0, slowSessions: 0 }),
    limits: () => ({ sessions: facts.users * 10, sendQueueBytes: 1000 }),
    purgesPending: () => facts.users,
    logLines: () => ({ debug: 0, info: 2, warn: 1, error: 0 }),
    tenants: { isDeclared: () => true, ids: () => ["acme"], sessionsLimit: () => 50, digest: () => "1" },
    bundle: () => ({ tenants: facts.tenants, templates: 0, rejected: 0, ageSeconds: -1 }),
    certificateExpiry: () => 0,
    jwksOutage: () => facts.outage,
  });
  const [breaker, isReady] = [facts.ready ? ("closed" as const) : ("open" as const), facts.ready];
  const announcements = { streams: 1, messages: 10, broken: 0, interruptions: 1, dead: 0, regressions: 0 };
  metrics.timeRedis()(4);
  metrics.timePostgres()(4);
  metrics.observePostgres(() => ({ connected: isReady, calls: { ok: 1 }, unannounced: 2 }));
  const redisFacts = (): RedisFacts => ({
    ...{ replicasMissing: 1, isLayoutInConflict: !isReady, rateExchangesFailed: 1, receiptsDropped: 2 },
    announcements,
    ...{ status: isReady ? "healthy" : "circuit_open", connected: isReady, breaker, failures: 0 },
    ...{ reconnectionAttempts: facts.users, reconnections: 1, calls: { ok: 10, timeout: facts.users } },
  });
  metrics.observeRedis(redisFacts, (observe) => observe(3));
  return metrics;
}

describe("several processes", () => {
  test("are added up by the rule of each metric, under the names a single one has", async () => {
    const parent = registry({ ready: true, users: 0, outage: 0, tenants: 3 });
    const children = [
      registry({ ready: false, users: 2, outage: 7, tenants: 3 }),
      registry({ ready: false, users: 5, outage: 4, tenants: 2 }),
    ];
    for (const [i, child] of children.entries()) {
      child.published("inbox", "published", "acme");
      child.deliveryLatency(i === 0 ? 2 : 200);
      child.sessionOpened("websocket");
    }
    parent.processes(2);
    const reports = await Promise.all(children.map((child) => child.report()));
    const text = await new MetricsSum().text(await parent.report(), reports);
    const expected = {
      'nexus_publishes_total{stream="inbox",outcome="published"}': 2,
      'nexus_delivery_latency_seconds_bucket{le="0.0025"}': 1,
      'nexus_delivery_latency_seconds_bucket{le="+Inf"}': 2,
      nexus_delivery_latency_seconds_count: 2,
      'nexus_sessions{transport="websocket"}': 2,
      nexus_users: 7,
      nexus_degraded: 1,
      nexus_sessions_limit: 70,
      nexus_send_queue_limit_bytes: 1000,
      nexus_purges_pending: 5,
      'nexus_log_lines_total{level="info"}': 6,
      'nexus_tenant_publishes_total{tenant="acme",outcome="published"}': 2,
      'nexus_tenant_sessions_limit{tenant="acme"}': 50,
      nexus_redis_replicas_missing: 1,
      nexus_redis_layout_conflict: 1,
      nexus_rate_exchange_failures_total: 3,
      nexus_postgres_connected: 0,
      nexus_jwks_outage_seconds: 7,
      nexus_ready: 1,
      'nexus_bundle_entries{kind="tenant"}': 3,
      nexus_processes: 2,
      nexus_redis_connected: 0,
      nexus_redis_breaker_state: 2,
      'nexus_redis_calls_total{outcome="timeout"}': 7,
      nexus_redis_reconnections_total: 3,
    };
    for (const [name, value] of Object.entries(expected)) expect([name, sample(text, name)]).toEqual([name, value]);
    const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name);
    expect(families).toEqual([...Object.keys(METRICS), ...Object.keys(RUNTIME_METRICS)]);
  });

  test("what one had counted stays when it ends, and its gauges go", async () => {
    const parent = registry({ ready: true, users: 0, outage: 0, tenants: 0 });
    const sum = new MetricsSum();
    const lived: ServerMetrics[] = [];
    for (let i = 0; i < 3; i++) {
      const child = registry({ ready: true, users: 4, outage: 0, tenants: 0 });
      child.published("inbox", "published", "acme");
      child.deliveryLatency(5);
      lived.push(child);
    }
    const [first, second, third] = await Promise.all(lived.map((child) => child.report()));
    if (!first || !second || !third) throw new Error("three were made");
    let current = [first, second, third];
    const scrape = async () => {
      const text = await sum.text(await parent.report(), current);
      return ['nexus_publishes_total{stream="inbox",outcome="published"}', "nexus_delivery_latency_seconds_count", "nexus_users"].map(
        (name) => sample(text, name),
      );
    };
    expect(await scrape()).toEqual([3, 3, 12]);
    current = [second, third];
    sum.ended(first);
    expect(await scrape()).toEqual([3, 3, 8]);
    current = [third];
    sum.ended(second);
    expect(await scrape()).toEqual([3, 3, 4]);
  });
});
