// Why: the part of a fleet's page about notifications: published, fanned out, written, acknowledged, and what was lost. Pure.
import type { Row } from "../model.ts";
import { happening, heat, perSecond, quantiles } from "../promql.ts";
import { NEVER_HAPPENED, ofCluster } from "../scope.ts";

export const messagesRow: Row = {
  title: "Notifications",
  panels: [
    {
      kind: "timeseries",
      title: "Published",
      description: "By outcome: published, replayed (the same Idempotency-Key again), refused (the publisher's to change), failed (ours).",
      unit: "mps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_publishes_total"), "outcome"), legend: "{{outcome}}" }],
      alerts: ["NexusPublishFailures"],
    },
    {
      kind: "timeseries",
      title: "Published, by stream",
      description: "inbox: to one user; channel and broadcast: to many. A step here explains a step in delivered.",
      unit: "mps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_publishes_total", 'outcome="published"'), "stream"), legend: "{{stream}}" }],
    },
    {
      kind: "timeseries",
      title: "Delivered",
      description: "Notifications written to sessions. Falling while publishes go on: nobody listens, or Redis does not announce.",
      unit: "mps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_deliveries_total"), "transport"), legend: "{{transport}}" }],
    },
    {
      kind: "heatmap",
      title: "Latency of deliveries",
      description:
        "From publish to the write on the connection; catching up after an absence is not in it. A second band above the first: one pod or Redis.",
      unit: "s",
      width: 12,
      queries: [{ expr: heat(ofCluster("nexus_delivery_latency_seconds_bucket")), legend: "{{le}}" }],
    },
    {
      kind: "timeseries",
      title: "Latency of deliveries",
      description: "The same as quantiles. A p99 that rises alone is a few slow pods; all three together is load or Redis.",
      unit: "s",
      width: 12,
      queries: quantiles(ofCluster("nexus_delivery_latency_seconds_bucket")),
      alerts: ["NexusLatencyBudgetBurnsFast"],
    },
    {
      kind: "timeseries",
      title: "Time to publish",
      description: "From a publish's arrival to its answer: rendering, quota, store, announcement. Follows the time of Redis' calls.",
      unit: "s",
      width: 8,
      queries: quantiles(ofCluster("nexus_publish_duration_seconds_bucket")),
    },
    {
      kind: "timeseries",
      title: "Time to fan out",
      description:
        "From an entry's arrival on a pod to its place in all queues. Rises with listeners a channel and with a busy event loop.",
      unit: "s",
      width: 8,
      queries: quantiles(ofCluster("nexus_fan_out_duration_seconds_bucket")),
    },
    {
      kind: "timeseries",
      title: "Time to acknowledge",
      description: "From the write to the client's ACK: the network and the client. Only clients that acknowledge are in it.",
      unit: "s",
      width: 8,
      queries: quantiles(ofCluster("nexus_ack_latency_seconds_bucket")),
    },
    {
      kind: "timeseries",
      title: "Not written",
      description: "Notifications that a session should have had: its queue was full (slow_consumer), or they expired in it.",
      unit: "mps",
      width: 8,
      queries: [{ expr: happening(ofCluster("nexus_dropped_total"), "reason"), legend: "{{reason}}", mayBeEmpty: NEVER_HAPPENED }],
      alerts: ["NexusSlowConsumers"],
    },
    {
      kind: "timeseries",
      title: "Acknowledged",
      description: "ACKs of one notification, or of all up to a place.",
      unit: "cps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_acks_total"), "kind"), legend: "{{kind}}" }],
    },
    {
      kind: "timeseries",
      title: "Triggers",
      description: "Publishes that came through Redis, by form and outcome. dead: tried as often as it may be, and put aside.",
      unit: "mps",
      width: 8,
      queries: [
        {
          expr: happening(ofCluster("nexus_triggers_total"), "form, outcome"),
          legend: "{{form}} {{outcome}}",
          mayBeEmpty: "only where triggers are used",
        },
      ],
      alerts: ["NexusTriggersFail"],
    },
    {
      kind: "timeseries",
      title: "HTTP answers",
      description: "On the public port, by status. 5xx is us; 401 and 429 are explained by Refusals.",
      unit: "reqps",
      width: 12,
      queries: [{ expr: happening(ofCluster("nexus_http_requests_total"), "status"), legend: "{{status}}" }],
    },
    {
      kind: "timeseries",
      title: "Time of HTTP answers, p99 by operation",
      description: "Which operation is slow. Compare with Time to publish: what is more there is reading the request.",
      unit: "s",
      width: 12,
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le, operation) (rate(${ofCluster("nexus_http_request_duration_seconds_bucket")}[$__rate_interval])))`,
          legend: "{{operation}}",
        },
      ],
    },
  ],
};
