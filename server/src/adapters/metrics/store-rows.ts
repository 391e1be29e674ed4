// Why: what a fleet stands on besides itself: Redis, PostgreSQL, and the data that have to be deleted there.
// It must never name a key, a host or a tenant.

import { CALL, LATENCY } from "./buckets.ts";
import type { ServerMetricRow } from "./row.ts";

export const STORE_ROWS = {
  nexus_purges_total: {
    type: "counter",
    help: "Tries to delete all data of a deleted tenant, by outcome; a failed one is tried again.",
    labels: { outcome: ["done", "failed"] },
  },
  nexus_purges_pending: {
    type: "gauge",
    help: "Deleted tenants whose data this node does not know to be gone; another node may be at it.",
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
    help: "Commands and scripts for Redis, by how they ended; rejected: not sent, the circuit is open.",
    labels: { outcome: ["ok", "refused", "failed", "timeout", "rejected", "bug"] },
    only: "redis",
  },
  nexus_redis_call_duration_seconds: {
    type: "histogram",
    help: "From handing a command or script to the connection to its answer, its failure or its time-out.",
    buckets: CALL,
    only: "redis",
  },
  nexus_redis_reconnection_attempts_total: { type: "counter", help: "Attempts to connect to Redis again.", only: "redis" },
  nexus_redis_reconnections_total: { type: "counter", help: "Connections to Redis that stood again after they were lost.", only: "redis" },
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
  nexus_redis_replicas_missing: {
    type: "gauge",
    help: "Primaries whose writes are confirmed by fewer replicas than NEXUS_REDIS_REPLICAS asks for, because fewer are connected; as of the last publish.",
    across: "max",
    only: "redis",
  },
  nexus_redis_layout_conflict: {
    type: "gauge",
    help: "1 while servers of a release that cannot share a Redis with this one use the same prefix.",
    across: "max",
    only: "redis",
  },
  nexus_rate_exchange_failures_total: {
    type: "counter",
    help: "Exchanges of rates with the other nodes that failed: until one works, each node counts only what it let through itself.",
    only: "redis",
  },
  nexus_receipts_dropped_total: {
    type: "counter",
    help: "Delivery statuses and ACKs that were not kept, because more waited for Redis than may wait.",
    only: "redis",
  },

  nexus_postgres_connected: { type: "gauge", help: "1 while PostgreSQL answers.", across: "min", only: "postgres" },
  nexus_postgres_calls_total: {
    type: "counter",
    help: "Statements for PostgreSQL, by how they ended; rejected: not sent, it is away or too many wait.",
    labels: { outcome: ["ok", "failed", "timeout", "rejected"] },
    only: "postgres",
  },
  nexus_postgres_call_duration_seconds: {
    type: "histogram",
    help: "From asking for a connection to PostgreSQL to the answer, its failure or its time-out.",
    buckets: CALL,
    only: "postgres",
  },
  nexus_postgres_unannounced_inboxes: {
    type: "gauge",
    help: "Inboxes with entries in PostgreSQL that Redis has not announced yet: their users get them late.",
    only: "postgres",
  },
} as const satisfies Record<string, ServerMetricRow>;
