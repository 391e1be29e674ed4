// Why: counts what happens, in one registry of its own. Children of labelled metrics are looked up once and kept, because
// the hot path counts every publish. It must never let a peer choose a label's value.
import { FAILURES } from "@nexus/protocol/failures.ts";
import { CLIENT_FRAMES } from "@nexus/protocol/frames.ts";
import { labelNames } from "@nexus/protocol/metric-row.ts";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { BrokerHealth } from "../core/fleet-ports.ts";
import type { Metrics } from "../core/ports.ts";
import type { JwksOutcome } from "./jwks-fetch.ts";
import type { ServerMetricRow } from "./metrics/row.ts";
import type { MetricsReport } from "./metrics-sum.ts";
import { METRICS, type MetricName, RUNTIME_METRICS } from "./metrics-table.ts";
import type { BusCounts } from "./redis/bus-counts.ts";
import type { TriggerCount } from "./redis/trigger-use.ts";

/** What is read when somebody asks for the metrics. All cheap enough for one call every few seconds. */
export type MetricSources = {
  ready(): boolean;
  draining(): boolean;
  users(): number;
  channels(): number;
  load(): { readonly subscriptions: number; readonly queuedBytes: number };
  bundle(): { readonly tenants: number; readonly templates: number; readonly rejected: number; readonly ageSeconds: number };
  /** Unix seconds; 0 without a certificate. */
  certificateExpiry(): number;
  /** Seconds since an issuer's key set could last be had; 0 when all can. */
  jwksOutage(): number;
};

/** What the link to Redis says of itself, and the announcements that come over it. `calls`: since the start, by outcome. */
export type RedisFacts = Omit<BrokerHealth, "lagMs"> & {
  readonly calls: Readonly<Record<string, number>>;
  readonly announcements: BusCounts;
};

export type PushKind = "applied" | "mismatch" | "stale" | "refused";

/** The port of core, what the edges count besides, and the text for scrapers. */
export type ServerMetrics = Metrics & {
  answered(operation: string, status: number, seconds: number): void;
  pushed(outcome: PushKind): void;
  jwksFetched(outcome: JwksOutcome): void;
  triggered: TriggerCount;
  /** How many server processes take connections; 1 until said. */
  processes(count: number): void;
  processRestarted(): void;
  /** When the public port's certificate expires, in Unix seconds. */
  listenerCertificate(expiry: number): void;
  listenerReread(outcome: "taken" | "failed"): void;
  /** What gauges show from now on. Before that they are absent. */
  observe(sources: MetricSources): void;
  /** The same for the Redis engine, where there is one. */
  observeRedis(facts: () => RedisFacts, onLag: (observe: (milliseconds: number) => void) => void): void;
  readonly contentType: string;
  text(): Promise<string>;
  /** The same for whoever adds up several processes. */
  report(): Promise<MetricsReport>;
};

const CLOSE_CODES = new Set<number>([
  1000,
  1001,
  1005,
  1006,
  1009,
  ...Object.values(FAILURES).flatMap((row) => ("close" in row ? [row.close] : [])),
]);

export function createMetrics({ version }: { version: string }): ServerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const wanted = new Set<string>(Object.keys(RUNTIME_METRICS));
  for (const { name } of registry.getMetricsAsArray()) if (!wanted.has(name)) registry.removeSingleMetric(name);

  const counter = (name: MetricName) => counterOf(registry, name);
  const histogram = (name: MetricName) => new Histogram({ ...optionsOf(registry, name), buckets: [...(row(name).buckets ?? [])] });
  const gauge = (name: MetricName, collect?: () => number) =>
    new Gauge({
      ...optionsOf(registry, name),
      ...(collect
        ? {
            collect() {
              this.set(collect());
            },
          }
        : {}),
    });
  /** A counter that somebody else keeps. */
  const total = (name: MetricName, counts: () => readonly (readonly [Record<string, string>, number])[]) =>
    new Counter({
      ...optionsOf(registry, name),
      collect() {
        this.reset();
        for (const [labels, count] of counts()) this.inc(labels, count);
      },
    });

  gauge("nexus_build_info").set({ version, bun: Bun.version }, 1);
  const sessions = gauge("nexus_sessions");
  for (const transport of ["websocket", "sse"]) sessions.set({ transport }, 0);
  const processes = gauge("nexus_processes");
  processes.set(1);
  const restarts = counter("nexus_process_restarts_total");
  const opened = counter("nexus_sessions_opened_total");
  const closed = counter("nexus_sessions_closed_total");
  const publishes = counter("nexus_publishes_total");
  const deliveries = counter("nexus_deliveries_total");
  const latency = histogram("nexus_delivery_latency_seconds");
  const dropped = counter("nexus_dropped_total");
  const frames = counter("nexus_frames_received_total");
  const refusals = counter("nexus_refusals_total");
  const requests = counter("nexus_http_requests_total");
  const durations = histogram("nexus_http_request_duration_seconds");
  const pushes = counter("nexus_bundle_pushes_total");
  const keyFetches = counter("nexus_jwks_fetches_total");
  const triggers = counter("nexus_triggers_total");
  const certificateExpiry = gauge("nexus_tls_certificate_expiry_timestamp_seconds");
  const rereads = counter("nexus_tls_rereads_total");
  const durationOf = memo((operation: string) => durations.labels({ operation }));

  return {
    published: (stream, outcome) => publishes({ stream, outcome }),
    delivered: (transport, count) => deliveries({ transport }, count),
    deliveryLatency: (milliseconds) => latency.observe(Math.max(milliseconds, 0) / 1000),
    dropped: (reason, count) => dropped({ reason }, count),
    sessionOpened(transport) {
      sessions.inc({ transport });
      opened({ transport });
    },
    sessionClosed(transport, code) {
      sessions.dec({ transport });
      closed({ transport, code: CLOSE_CODES.has(code) ? String(code) : "other" });
    },
    refused: (code) => refusals({ code: Object.hasOwn(FAILURES, code) ? code : "other" }),
    frame: (type) => frames({ type: Object.hasOwn(CLIENT_FRAMES, type) ? type : "invalid" }),
    answered(operation, status, seconds) {
      requests({ operation, status: String(status) });
      durationOf(operation).observe(seconds);
    },
    pushed: (outcome) => pushes({ outcome }),
    jwksFetched: (outcome) => keyFetches({ outcome }),
    triggered: (form, outcome) => triggers({ form, outcome }),
    processes: (count) => processes.set(count),
    processRestarted: () => restarts({}),
    listenerCertificate: (expiry) => certificateExpiry.set(expiry),
    listenerReread: (outcome) => rereads({ outcome }),
    observe(sources) {
      gauge("nexus_ready", () => Number(sources.ready()));
      gauge("nexus_draining", () => Number(sources.draining()));
      gauge("nexus_users", () => sources.users());
      gauge("nexus_channels", () => sources.channels());
      gauge("nexus_subscriptions", () => sources.load().subscriptions);
      gauge("nexus_send_queue_bytes", () => sources.load().queuedBytes);
      gauge("nexus_bundle_rejected_entries", () => sources.bundle().rejected);
      gauge("nexus_bundle_age_seconds", () => sources.bundle().ageSeconds);
      gauge("nexus_admin_certificate_expiry_timestamp_seconds", () => sources.certificateExpiry());
      gauge("nexus_jwks_outage_seconds", () => sources.jwksOutage());
      new Gauge({
        ...optionsOf(registry, "nexus_bundle_entries"),
        collect() {
          const { tenants, templates } = sources.bundle();
          this.set({ kind: "tenant" }, tenants);
          this.set({ kind: "template" }, templates);
        },
      });
    },
    observeRedis(facts, onLag) {
      const lag = histogram("nexus_redis_lag_seconds");
      onLag((milliseconds) => lag.observe(milliseconds / 1000));
      gauge("nexus_redis_subscribed_streams", () => facts().announcements.streams);
      total("nexus_redis_announcements_total", () => [[{}, facts().announcements.messages]]);
      total("nexus_redis_announcements_unreadable_total", () => [[{}, facts().announcements.broken]]);
      total("nexus_redis_subscription_interruptions_total", () => [[{}, facts().announcements.interruptions]]);
      total("nexus_redis_subscriptions_dead_total", () => [[{}, facts().announcements.dead]]);
      total("nexus_redis_streams_went_back_total", () => [[{}, facts().announcements.regressions]]);
      gauge("nexus_redis_connected", () => Number(facts().connected));
      gauge("nexus_redis_breaker_state", () => BREAKER_STATES[facts().breaker]);
      total("nexus_redis_reconnection_attempts_total", () => [[{}, facts().reconnectionAttempts]]);
      total("nexus_redis_reconnections_total", () => [[{}, facts().reconnections]]);
      total("nexus_redis_calls_total", () => Object.entries(facts().calls).map(([outcome, count]) => [{ outcome }, count]));
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
    report: () => registry.getMetricsAsJSON(),
  };
}

const BREAKER_STATES = { closed: 0, half_open: 1, open: 2 } as const;

const row = (name: MetricName): ServerMetricRow => METRICS[name];

const optionsOf = (registry: Registry, name: MetricName) => ({
  name,
  help: row(name).help,
  labelNames: [...labelNames(row(name))],
  registers: [registry],
});

/** Counts by labels in plain numbers, handed over when somebody asks. Values come from closed sets, so there are few. */
function counterOf(registry: Registry, name: MetricName): (labels: Readonly<Record<string, string>>, count?: number) => void {
  const counts = new Map<string, { readonly labels: Record<string, string>; count: number }>();
  new Counter({
    ...optionsOf(registry, name),
    collect() {
      this.reset();
      for (const { labels, count } of counts.values()) this.inc(labels, count);
    },
  });
  const order = labelNames(row(name));
  return (labels, by = 1) => {
    let key = "";
    for (const label of order) key += `${labels[label] ?? ""}|`;
    const known = counts.get(key);
    if (known) known.count += by;
    else counts.set(key, { labels: { ...labels }, count: by });
  };
}

/** Remembers by the first argument. */
function memo<T, R extends readonly unknown[]>(make: (key: string, ...rest: R) => T): (key: string, ...rest: R) => T {
  const known = new Map<string, T>();
  return (key, ...rest) => {
    let value = known.get(key);
    if (value === undefined) {
      value = make(key, ...rest);
      known.set(key, value);
    }
    return value;
  };
}
