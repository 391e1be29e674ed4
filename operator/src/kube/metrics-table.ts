// Why: every metric of the operator in one table, from which the registry and the reference page are made. What controller-runtime
// and client-go count has their names, so that dashboards for those read ours. It must never have a label that a user names, but
// for the clusters, which are capped.
import { LOG_LEVELS } from "@nexus/protocol/config.ts";
import type { MetricRow } from "@nexus/protocol/metric-row.ts";
import { MOST_CLUSTERS, SHOWN_CERTIFICATES, SHOWN_CONDITIONS } from "../loop/cluster-series.ts";
import type { TableMetrics } from "./metric-registry.ts";

/** What a pass can be about: the `controller` of controller-runtime's metrics. */
export const CONTROLLERS = ["config", "cluster", "tenant", "template"] as const;

const REQUEST = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const PASS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const LIVE = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

const CONTROLLER = { controller: CONTROLLERS };
const QUEUE = { name: ["nexus"], controller: ["nexus"] } as const;
const KIND = { kind: "a kind of Kubernetes objects that the operator reads or makes" };
const LEASE = { name: ["nexus-operator"] } as const;
const HOST = { host: "host and port of the API server" };
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
const CLUSTER = { nexus_namespace: "namespace of a NexusCluster", nexus_cluster: "name of a NexusCluster" };

export const OPERATOR_METRICS = {
  nexus_operator_build_info: { type: "gauge", help: "1; the label says what runs.", labels: { version: "version of the operator" } },
  nexus_operator_log_lines_total: { type: "counter", help: "Lines written to the log.", labels: { level: LOG_LEVELS } },
  nexus_operator_trace_spans_total: {
    type: "counter",
    help: "Spans of traces, by what became of them.",
    labels: { outcome: ["exported", "failed", "dropped"] },
  },

  leader_election_master_status: { type: "gauge", help: "1 while this process leads, 0 while it stands by.", labels: LEASE },
  leader_election_slowpath_total: {
    type: "counter",
    help: "Renewals of the Lease that had to read it first, because somebody else had written it.",
    labels: LEASE,
  },
  nexus_operator_lead_renewed_timestamp_seconds: {
    type: "gauge",
    help: "Unix time of the last renewal of the Lease that went well; absent where it stands by.",
  },

  rest_client_requests_total: {
    type: "counter",
    help: "Requests to the API server.",
    labels: { code: "HTTP status, or <error> without an answer", method: METHODS, ...HOST },
  },
  rest_client_request_duration_seconds: {
    type: "histogram",
    help: "From a request to the API server to the headers of its answer.",
    labels: { verb: METHODS, ...HOST },
    buckets: REQUEST,
  },
  reflector_lists_total: { type: "counter", help: "Complete lists of a kind.", labels: KIND },
  reflector_list_failures_total: { type: "counter", help: "Lists that failed.", labels: KIND },
  reflector_list_duration_seconds: { type: "histogram", help: "Duration of a complete list.", labels: KIND, buckets: REQUEST },
  reflector_watches_total: {
    type: "counter",
    help: "Watches that ended; only `timeout` is planned.",
    labels: { ...KIND, reason: ["timeout", "expired", "silent", "error"] },
  },
  nexus_operator_watch_heard_timestamp_seconds: {
    type: "gauge",
    help: "Unix time at which the watch of a kind last brought an event or a bookmark, or its list ended (the start, before the first list); of several namespaces the oldest.",
    labels: KIND,
  },

  nexus_operator_watched_objects: { type: "gauge", help: "Objects that are kept in memory.", labels: KIND },

  controller_runtime_reconcile_total: {
    type: "counter",
    help: "Passes that ended.",
    labels: { ...CONTROLLER, result: ["success", "requeue_after", "error"] },
  },
  controller_runtime_reconcile_errors_total: { type: "counter", help: "Passes that failed.", labels: CONTROLLER },
  controller_runtime_terminal_reconcile_errors_total: {
    type: "counter",
    help: "Passes that failed and are not repeated before something changes.",
    labels: CONTROLLER,
  },
  controller_runtime_reconcile_panics_total: {
    type: "counter",
    help: "Passes that failed by something nobody expected; each is a bug of the operator.",
    labels: CONTROLLER,
  },
  controller_runtime_reconcile_time_seconds: { type: "histogram", help: "Duration of a pass.", labels: CONTROLLER, buckets: PASS },
  controller_runtime_active_workers: { type: "gauge", help: "Passes under way.", labels: CONTROLLER },
  controller_runtime_max_concurrent_reconciles: {
    type: "gauge",
    help: "Passes that can be under way; the workers are shared by all controllers.",
    labels: CONTROLLER,
  },

  workqueue_depth: { type: "gauge", help: "Keys that wait for a worker.", labels: QUEUE },
  workqueue_adds_total: { type: "counter", help: "Keys that were added.", labels: QUEUE },
  workqueue_retries_total: { type: "counter", help: "Keys that were added again after a failure.", labels: QUEUE },
  workqueue_queue_duration_seconds: {
    type: "histogram",
    help: "How long a key waited for a worker.",
    labels: QUEUE,
    buckets: PASS,
  },
  workqueue_work_duration_seconds: { type: "histogram", help: "How long a worker had a key.", labels: QUEUE, buckets: PASS },
  workqueue_unfinished_work_seconds: {
    type: "gauge",
    help: "Age of all passes under way together; grows without end when one hangs.",
    labels: QUEUE,
  },
  workqueue_longest_running_processor_seconds: { type: "gauge", help: "Age of the oldest pass under way.", labels: QUEUE },

  nexus_operator_applies_total: { type: "counter", help: "Children that were written.", labels: KIND },
  nexus_operator_drift_total: { type: "counter", help: "Children that others had changed and that were put back.", labels: KIND },
  nexus_operator_unchanged_writes_total: { type: "counter", help: "Writes that changed nothing; anything but 0 is a bug.", labels: KIND },
  nexus_operator_status_writes_total: { type: "counter", help: "Statuses that were written.", labels: KIND },
  nexus_operator_crd_missing_fields: {
    type: "gauge",
    help: "Fields of this release that the installed CRD does not know and the API server drops; 0 is well.",
    labels: { kind: ["NexusCluster", "Tenant", "Template"] },
  },

  nexus_operator_push_events_total: {
    type: "counter",
    help: "What happened while pods were told the configuration, but for pushes that went well.",
    labels: { event: ["push.mismatch", "push.repaired", "push.failed", "push.rejected", "push.stale", "push.reset"] },
  },
  nexus_operator_push_duration_seconds: {
    type: "histogram",
    help: "From a push to one pod to its word that it took it.",
    buckets: PASS,
  },
  nexus_operator_live_duration_seconds: {
    type: "histogram",
    help: "From an edit of a Tenant or Template that was seen to the word of all pods that were ready then that it is live.",
    buckets: LIVE,
  },

  nexus_operator_clusters: { type: "gauge", help: "NexusClusters; only where it leads." },
  nexus_operator_clusters_unlabelled: {
    type: "gauge",
    help: `NexusClusters without series of their own, because ${MOST_CLUSTERS} come before them by name.`,
  },
  nexus_operator_clusters_held_back: {
    type: "gauge",
    help: "NexusClusters that failed so often in a row that they are worked on rarely for now.",
  },
  nexus_operator_objects: {
    type: "gauge",
    help: "Tenants and Templates, by whether their Ready condition is True; only where it leads.",
    labels: { kind: ["Tenant", "Template"], state: ["ready", "not_ready"] },
  },
  nexus_operator_cluster_condition: {
    type: "gauge",
    help: "A condition of a NexusCluster: 1 True, 0 False, -1 Unknown or not looked at yet.",
    labels: { ...CLUSTER, type: SHOWN_CONDITIONS },
  },
  nexus_operator_cluster_pods: {
    type: "gauge",
    help: "Server pods of a fleet: asked for, ready, and ready with the whole configuration.",
    labels: { ...CLUSTER, state: ["wanted", "ready", "synced"] },
  },
  nexus_operator_cluster_replicas_bound: {
    type: "gauge",
    help: "Between which sizes a fleet is scaled; absent without autoscaling.",
    labels: { ...CLUSTER, bound: ["min", "max"] },
  },
  nexus_operator_cluster_oldest_push_seconds: {
    type: "gauge",
    help: "Age of the oldest change that some ready pod has not acknowledged; 0 when all have everything, and while the cluster is paused.",
    labels: CLUSTER,
  },
  nexus_operator_cluster_reconciled_timestamp_seconds: {
    type: "gauge",
    help: "Unix time at which a pass over a cluster went well last; every minute is usual, none comes while it is paused.",
    labels: CLUSTER,
  },
  nexus_operator_cluster_held_back: {
    type: "gauge",
    help: "1 while a cluster failed so often in a row that it is worked on rarely.",
    labels: CLUSTER,
  },
  nexus_operator_boot_copy_oldest_seconds: {
    type: "gauge",
    help: "Age of the oldest change that the Secrets pods boot with do not hold; a minute is usual, 0 when they hold all they can.",
    labels: CLUSTER,
  },
  nexus_operator_boot_copy_fullest_ratio: {
    type: "gauge",
    help: "How full the fullest of the 64 Secrets pods boot with is; at 1 entries are left out.",
    labels: CLUSTER,
  },
  nexus_operator_boot_copy_left_entries: {
    type: "gauge",
    help: "Entries that do not fit into the Secrets pods boot with: without an operator a new pod does not have them.",
    labels: CLUSTER,
  },
  nexus_operator_purges_pending: {
    type: "gauge",
    help: "Deleted tenants of which no server has said yet that their data are purged.",
    labels: CLUSTER,
  },
  nexus_operator_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "Unix time at which a certificate in a Secret ends; 0 when it cannot be read.",
    labels: { ...CLUSTER, certificate: SHOWN_CERTIFICATES },
  },
  nexus_operator_rollout_paused: {
    type: "gauge",
    help: "1 while a rollout waits because clients could not open sessions.",
    labels: CLUSTER,
  },
  nexus_operator_upgrade_pending: {
    type: "gauge",
    help: "1 while pods of another version wait for somebody to approve them.",
    labels: CLUSTER,
  },
} as const satisfies Record<string, MetricRow>;

export type OperatorMetric = keyof typeof OPERATOR_METRICS;
/** How each of them is counted. */
export type OperatorTable = TableMetrics<typeof OPERATOR_METRICS>;

/** What is kept of the runtime's own metrics: those that mean something on Bun. */
export const OPERATOR_RUNTIME_METRICS = [
  "process_cpu_user_seconds_total",
  "process_cpu_system_seconds_total",
  "process_cpu_seconds_total",
  "process_start_time_seconds",
  "process_resident_memory_bytes",
  "process_open_fds",
  "process_max_fds",
  "nodejs_eventloop_lag_seconds",
  "nodejs_eventloop_lag_min_seconds",
  "nodejs_eventloop_lag_max_seconds",
  "nodejs_eventloop_lag_mean_seconds",
  "nodejs_eventloop_lag_stddev_seconds",
  "nodejs_eventloop_lag_p50_seconds",
  "nodejs_eventloop_lag_p90_seconds",
  "nodejs_eventloop_lag_p99_seconds",
] as const;
