// Why: what Prometheus learns of the operator, under the names that dashboards for controller-runtime and client-go know.
// One registry, closed label sets; it must never carry the name of a user's object.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { QueueMetrics } from "../loop/queue.ts";
import type { ApplyMetrics } from "./apply.ts";
import type { ReflectorMetrics } from "./reflector.ts";
import type { StatusMetrics } from "./status.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createOperatorMetrics(version: string) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "" });
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) => new Counter({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram({ name, help, labelNames, buckets: SECONDS, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) => new Gauge({ name, help, labelNames, registers });

  gauge("nexus_operator_build_info", "Version of the operator; always 1.", ["version"]).set({ version }, 1);
  const leader = gauge("leader_election_master_status", "1 while this process leads.", ["name"]);
  leader.set({ name: "nexus-operator" }, 0);
  const requests = counter("rest_client_requests_total", "Requests to the API server by status code and method.", [
    "code",
    "method",
    "host",
  ]);
  const requestSeconds = histogram("rest_client_request_duration_seconds", "Duration of requests to the API server.", ["verb", "host"]);
  const reconciles = counter("controller_runtime_reconcile_total", "Passes by kind of key and result.", ["controller", "result"]);
  const errors = counter("controller_runtime_reconcile_errors_total", "Passes that failed, by kind of key.", ["controller"]);
  const lists = counter("reflector_lists_total", "Complete lists by kind.", ["kind"]);
  const listFailures = counter("reflector_list_failures_total", "Lists that failed, by kind.", ["kind"]);
  const watchEnds = counter("reflector_watches_total", "Watches that ended, by kind and reason.", ["kind", "reason"]);
  const applied = counter("nexus_operator_applies_total", "Children that were written, by kind.", ["kind"]);
  const drifted = counter("nexus_operator_drift_total", "Children that others had changed and that were put back, by kind.", ["kind"]);
  const unchanged = counter("nexus_operator_unchanged_writes_total", "Writes that changed nothing; anything but 0 is a bug.", ["kind"]);
  const statusWrites = counter("nexus_operator_status_writes_total", "Statuses that were written, by kind.", ["kind"]);
  const heldBack = gauge("nexus_operator_clusters_held_back", "Clusters that failed so often that they are worked on rarely for now.", []);
  const pushes = counter("nexus_operator_push_events_total", "What happened while pushing configuration, by event.", ["event"]);

  const missingFields = gauge("nexus_operator_crd_missing_fields", "Fields of this release that an older CRD drops; 0 is well.", ["kind"]);

  const queue = (): QueueMetrics => {
    const labels = { name: "nexus" };
    const depth = gauge("workqueue_depth", "Keys that wait.", ["name"]);
    const adds = counter("workqueue_adds_total", "Keys that were added.", ["name"]);
    const retries = counter("workqueue_retries_total", "Keys that were added again after a failure.", ["name"]);
    const waited = histogram("workqueue_queue_duration_seconds", "Time a key waited.", ["name"]);
    const worked = histogram("workqueue_work_duration_seconds", "Time a pass took.", ["name"]);
    return {
      depth: (keys) => depth.set(labels, keys),
      added: () => adds.inc(labels),
      retried: () => retries.inc(labels),
      waited: (seconds) => waited.observe(labels, seconds),
      worked: (seconds) => worked.observe(labels, seconds),
    };
  };
  const reflector: ReflectorMetrics = {
    watchEnded: (kind, reason) => watchEnds.inc({ kind: kind.kind, reason }),
    listed: (kind) => lists.inc({ kind: kind.kind }),
    listFailed: (kind) => listFailures.inc({ kind: kind.kind }),
    heard: () => undefined,
  };
  const apply: ApplyMetrics = {
    unchanged: (kind) => unchanged.inc({ kind }),
    applied: (kind) => applied.inc({ kind }),
    drifted: (kind) => drifted.inc({ kind }),
  };
  const status: StatusMetrics = { written: (kind) => statusWrites.inc({ kind }), unchanged: (kind) => unchanged.inc({ kind }) };
  return {
    registry,
    queue: queue(),
    reflector,
    apply,
    status,
    request: ({
      code,
      method,
      host,
      seconds,
    }: {
      readonly code: string;
      readonly method: string;
      readonly host: string;
      readonly seconds: number;
    }) => {
      requests.inc({ code, method, host });
      requestSeconds.observe({ verb: method, host }, seconds);
    },
    leading: (isLeading: boolean) => leader.set({ name: "nexus-operator" }, isLeading ? 1 : 0),
    reconciled: (controller: string, failed: boolean) => {
      reconciles.inc({ controller, result: failed ? "error" : "success" });
      if (failed) errors.inc({ controller });
    },
    heldBack: (clusters: number) => heldBack.set(clusters),
    pushEvent: (event: string) => pushes.inc({ event }),
    missingFields: (kind: string, count: number) => missingFields.set({ kind }, count),
  };
}

export type OperatorMetrics = ReturnType<typeof createOperatorMetrics>;
