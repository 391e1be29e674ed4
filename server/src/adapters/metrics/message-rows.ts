// Why: a notification's way: published, stored, fanned out, written; and what became of those that were not.
// It must never tell what is in one, or for whom it is.

import { LATENCY, WORK } from "./buckets.ts";
import type { ServerMetricRow } from "./row.ts";
import { TRANSPORTS } from "./session-rows.ts";

export const STREAMS = ["inbox", "channel", "broadcast"] as const;

export const PUBLISH_OUTCOMES = ["published", "replayed", "refused", "failed"] as const;

export const MESSAGE_ROWS = {
  nexus_publishes_total: {
    type: "counter",
    help: "Publishes, by kind of stream and outcome; one for many targets counts once per target that took it. refused: the publisher's to change; failed: ours.",
    labels: { stream: STREAMS, outcome: PUBLISH_OUTCOMES },
  },
  nexus_publish_duration_seconds: {
    type: "histogram",
    help: "From a publish's arrival in the core to its answer: rendering, quota, store and announcement. Items of a batch count one by one.",
    labels: { stream: STREAMS },
    buckets: LATENCY,
  },
  nexus_fan_out_duration_seconds: {
    type: "histogram",
    help: "From an entry's arrival on this node to its place in the queue of every session that listens.",
    buckets: WORK,
  },
  nexus_deliveries_total: { type: "counter", help: "Notifications written to sessions.", labels: { transport: TRANSPORTS } },
  nexus_delivery_latency_seconds: {
    type: "histogram",
    help: "From publish to the write on the sessions' connections, once per live notification and node. What a client catches up with after an absence is not in it; what this node missed and read again is.",
    buckets: LATENCY,
  },
  nexus_dropped_total: {
    type: "counter",
    help: "Notifications not written to a session that should have had them: its queue was full, or they expired in it.",
    labels: { reason: ["slow_consumer", "expired"] },
  },
  nexus_marks_lost_total: {
    type: "counter",
    help: "Marks of inboxes that the store did not take: those users get the same entries again.",
  },
  nexus_triggers_total: {
    type: "counter",
    help: "Triggers taken from Redis, by form and outcome; an entry that is tried again counts each time.",
    labels: { form: ["pubsub", "stream"], outcome: ["published", "invalid", "refused", "limited", "failed", "overflow", "dead"] },
  },
  nexus_trigger_listeners: {
    type: "gauge",
    help: "1 on the node that listens to triggers by pub/sub; the sum over a fleet with such triggers is 1.",
    only: "redis",
  },
  nexus_http_requests_total: {
    type: "counter",
    help: "Answered requests on the public port.",
    labels: { operation: "operation ids of the REST reference", status: "HTTP status codes we answer with" },
  },
  nexus_http_request_duration_seconds: {
    type: "histogram",
    help: "From a request's arrival to its answer.",
    labels: { operation: "operation ids of the REST reference" },
    buckets: LATENCY,
  },
} as const satisfies Record<string, ServerMetricRow>;
