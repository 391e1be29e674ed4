// Why: every metric of a server in one table, from which the registry and the reference page are made, so that neither
// can know one the other does not. Names follow Prometheus: base units, `_total` for counters.
// Labels come from closed sets only: never a user, a channel, a session or a tenant.

export type MetricRow = {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
  /** What a pod of several processes shows; the sum when absent. */
  readonly across?: Across;
  /** Absent with any other engine. */
  readonly only?: "redis";
};

/** How values of several processes become one. `parent`: only the one that runs the others knows. */
export type Across = "sum" | "min" | "max" | "parent";

const LATENCY = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRICS = {
  nexus_build_info: { type: "gauge", help: "1; the labels say what runs.", labels: ["version", "bun"], across: "parent" },
  nexus_ready: { type: "gauge", help: "1 while /ready answers 200.", across: "parent" },
  nexus_draining: { type: "gauge", help: "1 while the node drains.", across: "parent" },
  nexus_processes: { type: "gauge", help: "Server processes that take connections.", across: "parent" },
  nexus_process_restarts_total: { type: "counter", help: "Server processes that ended by themselves and were started again." },

  nexus_sessions: { type: "gauge", help: "Open sessions.", labels: ["transport"] },
  nexus_sessions_opened_total: { type: "counter", help: "Sessions opened.", labels: ["transport"] },
  nexus_sessions_closed_total: { type: "counter", help: "Sessions closed, by close code.", labels: ["transport", "code"] },
  nexus_users: { type: "gauge", help: "Different users with a session on this node." },
  nexus_channels: { type: "gauge", help: "Channels somebody listens to on this node." },
  nexus_subscriptions: { type: "gauge", help: "Channel subscriptions of all sessions." },
  nexus_send_queue_bytes: { type: "gauge", help: "Bytes that wait to be written to sessions." },

  nexus_publishes_total: { type: "counter", help: "Publishes, by kind of stream and outcome.", labels: ["stream", "outcome"] },
  nexus_deliveries_total: { type: "counter", help: "Notifications written to sessions.", labels: ["transport"] },
  nexus_delivery_latency_seconds: {
    type: "histogram",
    help: "From publish to the write on a session's connection.",
    buckets: LATENCY,
  },
  nexus_dropped_total: { type: "counter", help: "Notifications not written to a session that should have had them.", labels: ["reason"] },
  nexus_frames_received_total: { type: "counter", help: "Frames received from sessions.", labels: ["type"] },
  nexus_refusals_total: { type: "counter", help: "Requests, upgrades and frames refused, by failure code.", labels: ["code"] },

  nexus_http_requests_total: { type: "counter", help: "Answered requests on the public port.", labels: ["operation", "status"] },
  nexus_http_request_duration_seconds: {
    type: "histogram",
    help: "From a request's arrival to its answer.",
    labels: ["operation"],
    buckets: LATENCY,
  },

  nexus_triggers_total: {
    type: "counter",
    help: "Triggers taken from Redis, by form (pubsub, stream) and outcome; an entry that is tried again counts each time.",
    labels: ["form", "outcome"],
  },

  nexus_jwks_fetches_total: { type: "counter", help: "Fetches of issuers' key sets (jwksURL), by outcome.", labels: ["outcome"] },
  nexus_jwks_outage_seconds: {
    type: "gauge",
    help: "Since the issuer that is away longest stopped answering with its key set; 0 when all that are asked for answer.",
    across: "max",
  },

  nexus_redis_connected: { type: "gauge", help: "1 while there is a connection to Redis.", across: "min", only: "redis" },
  nexus_redis_breaker_state: {
    type: "gauge",
    help: "Circuit breaker before Redis: 0 closed, 1 half open, 2 open; of a Redis Cluster that of the worst primary.",
    across: "max",
    only: "redis",
  },
  nexus_redis_calls_total: {
    type: "counter",
    help: "Commands and scripts for Redis, by how they ended.",
    labels: ["outcome"],
    only: "redis",
  },
  nexus_redis_reconnection_attempts_total: { type: "counter", help: "Attempts to connect to Redis again.", only: "redis" },
  nexus_redis_lag_seconds: {
    type: "histogram",
    help: "From publishing a probe to its arrival on the connection that announcements come on.",
    buckets: LATENCY,
    only: "redis",
  },
  nexus_redis_subscribed_streams: { type: "gauge", help: "Streams this node has announced to it.", only: "redis" },
  nexus_redis_announcements_total: { type: "counter", help: "Announcements received.", only: "redis" },
  nexus_redis_announcements_unreadable_total: {
    type: "counter",
    help: "Announcements nobody could read; the stream's listeners are caught up or told of a gap.",
    only: "redis",
  },
  nexus_redis_subscription_interruptions_total: {
    type: "counter",
    help: "Connections for announcements that were lost; their streams are asked for again.",
    only: "redis",
  },
  nexus_redis_subscriptions_dead_total: {
    type: "counter",
    help: "Connections for announcements that looked well and carried nothing: probes did not come back.",
    only: "redis",
  },
  nexus_redis_streams_went_back_total: {
    type: "counter",
    help: "Times that an offset was given twice: Redis has lost entries, and the stream starts a new epoch.",
    only: "redis",
  },
  nexus_redis_reconnections_total: { type: "counter", help: "Connections to Redis that stood again after they were lost.", only: "redis" },

  nexus_bundle_entries: { type: "gauge", help: "Configuration objects that are live.", labels: ["kind"], across: "parent" },
  nexus_bundle_rejected_entries: { type: "gauge", help: "Configuration objects this node was told and cannot use.", across: "parent" },
  nexus_bundle_age_seconds: {
    type: "gauge",
    help: "Since a leading operator last confirmed this node's configuration; -1 before the first.",
    across: "parent",
  },
  nexus_bundle_pushes_total: { type: "counter", help: "Configuration pushes, by outcome.", labels: ["outcome"] },
  nexus_admin_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "When the admin certificate expires, in Unix seconds; 0 without one.",
    across: "parent",
  },
  nexus_tls_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "When the public port's certificate expires, in Unix seconds; 0 without one.",
    across: "max",
  },
  nexus_tls_rereads_total: {
    type: "counter",
    help: "Changed files of the public port's certificate, by outcome: taken, or failed at each try while they cannot be used.",
    labels: ["outcome"],
  },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** Metrics of the runtime that are true on Bun, and what a pod of several processes shows; the others prom-client knows are left out. */
export const RUNTIME_METRICS = {
  process_cpu_user_seconds_total: "sum",
  process_cpu_system_seconds_total: "sum",
  process_cpu_seconds_total: "sum",
  process_start_time_seconds: "parent",
  process_resident_memory_bytes: "sum",
  process_open_fds: "sum",
  process_max_fds: "min",
  nodejs_eventloop_lag_seconds: "max",
  nodejs_eventloop_lag_min_seconds: "min",
  nodejs_eventloop_lag_max_seconds: "max",
  nodejs_eventloop_lag_mean_seconds: "max",
  nodejs_eventloop_lag_stddev_seconds: "max",
  nodejs_eventloop_lag_p50_seconds: "max",
  nodejs_eventloop_lag_p90_seconds: "max",
  nodejs_eventloop_lag_p99_seconds: "max",
} as const satisfies Record<string, Across>;
