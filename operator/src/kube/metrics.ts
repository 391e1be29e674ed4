// Why: counts what happens in the operator, in one registry made from the table. What is known of clusters is read when somebody
// scrapes, and only where this process leads: two replicas must not both say how many there are. It must never count for itself
// what a store or a queue knows.

import type { LogLevel } from "@nexus/protocol/config.ts";
import { collectDefaultMetrics, Registry } from "prom-client";
import type { AllSeries } from "../loop/cluster-series.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { PushLogEvent } from "../loop/pusher.ts";
import type { QueueMetrics } from "../loop/queue.ts";
import type { Outcome } from "../loop/workers.ts";
import type { ApplyMetrics } from "./apply.ts";
import { metricsOf } from "./metric-registry.ts";
import { CONTROLLERS, OPERATOR_METRICS, OPERATOR_RUNTIME_METRICS, type OperatorTable } from "./metrics-table.ts";
import type { ReflectorMetrics } from "./reflector.ts";
import { showSeries } from "./series-gauges.ts";
import type { StatusMetrics } from "./status.ts";
import type { TransportMetrics } from "./transport.ts";

export type Controller = (typeof CONTROLLERS)[number];

/** What is read when somebody scrapes. Milliseconds are Unix time. */
export type OperatorFacts = {
  readonly isLeading: () => boolean;
  readonly workers: number;
  /** Passes under way: what they are about, and for how long, in milliseconds. */
  readonly underWay: () => Iterable<{ readonly controller: Controller; readonly forMs: number }>;
  /** By kind. */
  readonly heardMs: () => ReadonlyMap<string, number>;
  readonly watched: () => ReadonlyMap<string, number>;
  /** Undefined while not leading. */
  readonly renewedMs: () => number | undefined;
  /** Undefined while not leading. */
  readonly series: () => AllSeries | undefined;
};

const QUEUE = { name: "nexus", controller: "nexus" } as const;
const LEASE = { name: "nexus-operator" } as const;

export function createOperatorMetrics(version: string) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const wanted = new Set<string>(OPERATOR_RUNTIME_METRICS);
  for (const { name } of registry.getMetricsAsArray()) if (!wanted.has(name)) registry.removeSingleMetric(name);
  const table: OperatorTable = metricsOf(OPERATOR_METRICS, registry);
  const { counter, gauge, histogram } = table;

  gauge("nexus_operator_build_info").set({ version }, 1);
  const reconciles = counter("controller_runtime_reconcile_total");
  const errors = counter("controller_runtime_reconcile_errors_total");
  const terminal = counter("controller_runtime_terminal_reconcile_errors_total");
  const panics = counter("controller_runtime_reconcile_panics_total");
  const unchanged = counter("nexus_operator_unchanged_writes_total");
  const applied = counter("nexus_operator_applies_total");
  const drifted = counter("nexus_operator_drift_total");
  const statuses = counter("nexus_operator_status_writes_total");
  const requests = counter("rest_client_requests_total");
  const requestSeconds = histogram("rest_client_request_duration_seconds");
  const slowPaths = counter("leader_election_slowpath_total");
  const pushEvents = counter("nexus_operator_push_events_total");
  const pushSeconds = histogram("nexus_operator_push_duration_seconds");
  const liveSeconds = histogram("nexus_operator_live_duration_seconds");
  const lines = counter("nexus_operator_log_lines_total");
  const spans = counter("nexus_operator_trace_spans_total");
  const heldBack = gauge("nexus_operator_clusters_held_back");
  const missingFields = gauge("nexus_operator_crd_missing_fields");
  heldBack.set({}, 0);
  let scrape = (): void => undefined;

  return {
    queue: queueMetrics(table),
    reflector: reflectorMetrics(table),
    apply: {
      unchanged: (kind) => unchanged({ kind }),
      applied: (kind) => applied({ kind }),
      drifted: (kind) => drifted({ kind }),
    } satisfies ApplyMetrics,
    status: { written: (kind) => statuses({ kind }), unchanged: (kind) => unchanged({ kind }) } satisfies StatusMetrics,
    request({ code, method, host, seconds }: Omit<Parameters<TransportMetrics["request"]>[0], "path">) {
      requests({ code, method, host });
      requestSeconds({ verb: method, host }, seconds);
    },
    slowPath: () => slowPaths(LEASE),
    reconciled(controller: Controller, outcome: Outcome) {
      reconciles({ controller, result: RESULTS[outcome.kind] });
      if (outcome.kind !== "failed") return;
      errors({ controller });
      if (!outcome.retry) terminal({ controller });
      if (!(outcome.error instanceof KubeError)) panics({ controller });
    },
    heldBack: (clusters: number) => heldBack.set({}, clusters),
    pushEvent: (event: PushLogEvent) => pushEvents({ event }),
    pushed: (seconds: number) => pushSeconds({}, seconds),
    live: (seconds: number) => liveSeconds({}, seconds),
    missingFields: (kind: "NexusCluster" | "Tenant" | "Template", count: number) => missingFields.set({ kind }, count),
    logLine: (level: LogLevel) => lines({ level }),
    traceSpans: (outcome: "exported" | "failed" | "dropped", count: number) => spans({ outcome }, count),
    /** What is read from now on when somebody scrapes. */
    observe(facts: OperatorFacts) {
      scrape = scraper(table, facts);
    },
    contentType: registry.contentType,
    /** In Prometheus' text format. */
    text: async () => {
      scrape();
      return await registry.metrics();
    },
  };
}

export type OperatorMetrics = ReturnType<typeof createOperatorMetrics>;

const RESULTS = { done: "success", again: "requeue_after", failed: "error" } as const satisfies Record<Outcome["kind"], string>;

function queueMetrics({ counter, gauge, histogram }: OperatorTable): QueueMetrics {
  const depth = gauge("workqueue_depth");
  const adds = counter("workqueue_adds_total");
  const retries = counter("workqueue_retries_total");
  const waited = histogram("workqueue_queue_duration_seconds");
  const worked = histogram("workqueue_work_duration_seconds");
  const passes = histogram("controller_runtime_reconcile_time_seconds");
  depth.set(QUEUE, 0);
  return {
    depth: (keys) => depth.set(QUEUE, keys),
    added: () => adds(QUEUE),
    retried: () => retries(QUEUE),
    waited: (seconds) => waited(QUEUE, seconds),
    worked(seconds, key) {
      worked(QUEUE, seconds);
      passes({ controller: controllerOf(key) }, seconds);
    },
  };
}

function reflectorMetrics({ counter, histogram }: OperatorTable): ReflectorMetrics {
  const lists = counter("reflector_lists_total");
  const failures = counter("reflector_list_failures_total");
  const seconds = histogram("reflector_list_duration_seconds");
  const watches = counter("reflector_watches_total");
  return {
    watchEnded: ({ kind }, reason) => watches({ kind, reason }),
    listed({ kind }, _items, took) {
      lists({ kind });
      seconds({ kind }, took);
    },
    listFailed: ({ kind }) => failures({ kind }),
  };
}

/** What a key of the queue is about: the part before its colon. */
export function controllerOf(key: string): Controller {
  const kind = key.slice(0, key.indexOf(":"));
  return CONTROLLERS.find((one) => one === kind) ?? "cluster";
}

function scraper(table: OperatorTable, facts: OperatorFacts): () => void {
  const { gauge } = table;
  const leading = gauge("leader_election_master_status");
  const renewed = gauge("nexus_operator_lead_renewed_timestamp_seconds");
  const heard = gauge("nexus_operator_watch_heard_timestamp_seconds");
  const watched = gauge("nexus_operator_watched_objects");
  const active = gauge("controller_runtime_active_workers");
  const places = gauge("controller_runtime_max_concurrent_reconciles");
  const unfinished = gauge("workqueue_unfinished_work_seconds");
  const longest = gauge("workqueue_longest_running_processor_seconds");
  const series = showSeries(table);
  for (const controller of CONTROLLERS) places.set({ controller }, facts.workers);
  return () => {
    leading.set(LEASE, facts.isLeading() ? 1 : 0);
    const renewedMs = facts.renewedMs();
    if (renewedMs === undefined) renewed.clear();
    else renewed.set({}, renewedMs / 1000);
    for (const one of [heard, watched]) one.clear(); // an optional kind that is not served any more
    for (const [kind, ms] of facts.heardMs()) heard.set({ kind }, ms / 1000);
    for (const [kind, objects] of facts.watched()) watched.set({ kind }, objects);
    const passes = [...facts.underWay()];
    for (const controller of CONTROLLERS) active.set({ controller }, passes.filter((pass) => pass.controller === controller).length);
    unfinished.set(QUEUE, passes.reduce((sum, { forMs }) => sum + forMs, 0) / 1000);
    longest.set(QUEUE, Math.max(0, ...passes.map(({ forMs }) => forMs)) / 1000);
    series(facts.series());
  };
}
