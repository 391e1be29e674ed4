// Why: one registry for everything a server counts: core's port, what the edges and the engines count besides, and what is
// read when somebody asks. It must never let a peer choose a label's value, nor cost the hot path more than additions.
import type { Metrics } from "../core/ports.ts";
import type { JwksOutcome } from "./jwks-fetch.ts";
import { createCoreMetrics } from "./metrics/core-metrics.ts";
import { CONTENT_TYPE, type Shown, seriesOf, textOf } from "./metrics/exposition.ts";
import { MetricRegistry } from "./metrics/registry.ts";
import { createRuntimeReader } from "./metrics/runtime.ts";
import { type MetricSources, observeNode } from "./metrics/sources.ts";
import { type Observe, observePostgres, observeRedis, type PostgresFacts, type RedisFacts } from "./metrics/stores.ts";
import { TenantTallies } from "./metrics/tallies.ts";
import type { MetricsReport } from "./metrics-sum.ts";
import { METRICS, RUNTIME_METRICS } from "./metrics-table.ts";
import type { TriggerCount } from "./redis/trigger-use.ts";

export type PushKind = "applied" | "mismatch" | "stale" | "refused";

/** The port of core, what the edges count besides, and the text for scrapers. */
export type ServerMetrics = Metrics & {
  answered(operation: string, status: number, seconds: number): void;
  pushed(outcome: PushKind): void;
  jwksFetched(outcome: JwksOutcome): void;
  triggered: TriggerCount;
  /** Spans of sampled traces. */
  traceSpans(outcome: "exported" | "failed" | "dropped", count: number): void;
  /** How many server processes take connections; 1 until said. */
  processes(count: number): void;
  processRestarted(): void;
  /** When the public port's certificate expires, in Unix seconds. */
  listenerCertificate(expiry: number): void;
  listenerReread(outcome: "taken" | "failed"): void;
  /** What gauges show from now on. Before that they are absent. Once. */
  observe(sources: MetricSources): void;
  /** For the Redis engine, where there is one: every call to Redis is timed from now on. Once, before it is connected to. */
  timeRedis(): Observe;
  /** The same for what is known when it is connected to. */
  observeRedis(facts: () => RedisFacts, onLag: (observe: Observe) => void): void;
  /** Whether this node is the one that listens to triggers by pub/sub; no until said. */
  observeTriggers(isListening: () => boolean): void;
  timePostgres(): Observe;
  observePostgres(facts: () => PostgresFacts): void;
  readonly contentType: string;
  text(): Promise<string>;
  /** The same for whoever adds up several processes. */
  report(): Promise<MetricsReport>;
};

/** `tenants`: how many have series of their own. */
export type MetricsOptions = { readonly version: string; readonly tenants?: number };

export function createMetrics({ version, tenants = 0 }: MetricsOptions): ServerMetrics {
  const registry = new MetricRegistry();
  const tallies = new TenantTallies(tenants);
  const readRuntime = createRuntimeReader(Object.keys(RUNTIME_METRICS));
  const build = seriesOf("nexus_build_info", [
    ["version", version],
    ["bun", Bun.version],
  ]);
  registry.readSeries("nexus_build_info", () => [[build, 1]]);
  let processes = 1;
  registry.read("nexus_processes", () => processes);
  let certificateExpiry = 0;
  registry.read("nexus_tls_certificate_expiry_timestamp_seconds", () => certificateExpiry);
  let isListening = () => false;
  const restarts = registry.counter("nexus_process_restarts_total").cell();
  const requests = registry.counter("nexus_http_requests_total");
  const durations = registry.histogram("nexus_http_request_duration_seconds");
  const pushes = registry.counter("nexus_bundle_pushes_total");
  const keyFetches = registry.counter("nexus_jwks_fetches_total");
  const triggers = registry.counter("nexus_triggers_total");
  const rereads = registry.counter("nexus_tls_rereads_total");
  const spans = registry.counter("nexus_trace_spans_total");
  const timed = (
    name: "nexus_redis_call_duration_seconds" | "nexus_redis_lag_seconds" | "nexus_postgres_call_duration_seconds",
  ): Observe => {
    const cell = registry.histogram(name).cell();
    return (milliseconds) => cell.observe(milliseconds / 1000);
  };
  const report = async (): Promise<readonly Shown[]> => [...registry.shown(), ...(await readRuntime())];

  return {
    ...createCoreMetrics(registry, tallies),
    answered(operation, status, seconds) {
      requests.add(1, operation, String(status));
      durations.cell(operation).observe(seconds);
    },
    pushed: (outcome) => pushes.add(1, outcome),
    jwksFetched: (outcome) => keyFetches.add(1, outcome),
    triggered: (form, outcome) => triggers.add(1, form, outcome),
    traceSpans: (outcome, count) => spans.add(count, outcome),
    processes(count) {
      processes = count;
    },
    processRestarted() {
      restarts.value++;
    },
    listenerCertificate(expiry) {
      certificateExpiry = expiry;
    },
    listenerReread: (outcome) => rereads.add(1, outcome),
    observe: (sources) => observeNode(registry, tallies, sources),
    timeRedis: () => timed("nexus_redis_call_duration_seconds"),
    observeRedis(facts, onLag) {
      onLag(timed("nexus_redis_lag_seconds"));
      observeRedis(registry, facts, () => isListening());
    },
    observeTriggers(read) {
      isListening = read;
    },
    timePostgres: () => timed("nexus_postgres_call_duration_seconds"),
    observePostgres: (facts) => observePostgres(registry, facts),
    contentType: CONTENT_TYPE,
    text: async () => textOf(await report(), ROWS),
    report,
  };
}

const ROWS = { ...METRICS, ...RUNTIME_METRICS };
