// Why: Redis as the servers see it: is it there, is it slow, do announcements come through, has it lost anything. What Redis says
// of itself is an exporter's to tell and not ours. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Dashboard, Panel, Row } from "../model.ts";
import { happening, heat, perSecond, quantile, quantiles, share } from "../promql.ts";
import { clusterLinks, clusterTitle, clusterUid, clusterVariables, NEVER_HAPPENED, ofCluster, perPod, TAG } from "../scope.ts";

export const redisDashboard = (cluster: NexusCluster): Dashboard => ({
  uid: clusterUid(cluster, "redis"),
  file: "nexus-redis",
  title: clusterTitle(cluster, "redis"),
  description: "Redis as the servers of one fleet see it: is it there, is it slow, do announcements come through, was anything lost.",
  tags: [TAG, "nexus-redis"],
  variables: clusterVariables(cluster),
  links: clusterLinks(cluster, "redis"),
  rows: [NOW, CALLS, ANNOUNCEMENTS, DATA],
});

const stat = (panel: Omit<Extract<Panel, { kind: "stat" }>, "kind" | "width">): Panel => ({ ...panel, kind: "stat", width: 6 });
const line = (panel: Omit<Extract<Panel, { kind: "timeseries" }>, "kind" | "width">, width = 8): Panel => ({
  ...panel,
  kind: "timeseries",
  width,
});

const BREAKER = {
  0: { text: "closed", color: "green" },
  1: { text: "half open", color: "yellow" },
  2: { text: "open", color: "red" },
} as const;
const lost = (metric: string) => `sum(increase(${ofCluster(metric)}[1h]))`;

const NOW: Row = {
  title: "Now",
  panels: [
    stat({
      title: "Pods with a connection",
      description:
        "Share of pods that have one. 0 %: Redis is away, publishes that need the store fail with 503; a part: the network of those pods.",
      unit: "percentunit",
      decimals: 0,
      thresholds: { warning: 1, error: 0.5 },
      queries: [{ expr: `avg(${ofCluster("nexus_redis_connected")})`, legend: "connected" }],
      alerts: ["NexusRedisDown"],
    }),
    stat({
      title: "Circuit breaker",
      description: "The worst of all pods. Open: commands are not even sent, so that a Redis in trouble can recover.",
      unit: "none",
      words: BREAKER,
      thresholds: { warning: 1, error: 2 },
      queries: [{ expr: `max(${ofCluster("nexus_redis_breaker_state")})`, legend: "breaker" }],
      alerts: ["NexusRedisBreakerOpen"],
    }),
    stat({
      title: "Time of calls, p99",
      description: "From handing a command to the connection to its answer. Red from 100 ms: everything that publishes waits for it.",
      unit: "s",
      thresholds: { warning: 0.025, error: 0.1 },
      queries: [{ expr: quantile(0.99, ofCluster("nexus_redis_call_duration_seconds_bucket")), legend: "p99" }],
      alerts: ["NexusRedisSlow"],
    }),
    stat({
      title: "Lost entries, last hour",
      description: "Times an offset was given twice: Redis came back with less than it had, mostly a replica that lagged behind.",
      unit: "short",
      decimals: 0,
      thresholds: { warning: 1, error: 1 },
      queries: [{ expr: lost("nexus_redis_streams_went_back_total"), legend: "streams went back" }],
      alerts: ["NexusRedisLostEntries"],
    }),
  ],
};

const CALLS: Row = {
  title: "Calls",
  panels: [
    line({
      title: "Calls",
      description:
        "By how they ended. rejected: not sent, the breaker is open; refused: Redis said no (memory, rights, read only); bug: ours.",
      unit: "cps",
      queries: [{ expr: perSecond(ofCluster("nexus_redis_calls_total"), "outcome"), legend: "{{outcome}}" }],
    }),
    line({
      title: "Calls that did not succeed",
      description: "Share of all calls. Above nothing for long: look at Redis' own log and memory.",
      unit: "percentunit",
      thresholds: { warning: 0.01, error: 0.05 },
      queries: [
        { expr: share(ofCluster("nexus_redis_calls_total", 'outcome!="ok"'), ofCluster("nexus_redis_calls_total")), legend: "not ok" },
      ],
      alerts: ["NexusRedisCallsFail"],
    }),
    line({
      title: "Time of calls",
      description: "p50 up with p99: Redis is busy (one core); p99 alone: a slow command, a save to disk, or the network.",
      unit: "s",
      queries: quantiles(ofCluster("nexus_redis_call_duration_seconds_bucket")),
      alerts: ["NexusRedisSlow"],
    }),
    {
      kind: "heatmap",
      title: "Time of calls",
      description: "Two bands: some keys or one primary of a Redis Cluster are slower than the rest.",
      unit: "s",
      width: 12,
      queries: [{ expr: heat(ofCluster("nexus_redis_call_duration_seconds_bucket")), legend: "{{le}}" }],
    },
    line(
      {
        title: "Connection and breaker, by pod",
        description: "Breaker: 0 closed, 1 half open, 2 open. One pod alone is that pod's node or network.",
        unit: "short",
        queries: [
          { expr: `max by (pod) (${ofCluster("nexus_redis_breaker_state")})`, legend: "{{pod}} breaker" },
          { expr: `min by (pod) (${ofCluster("nexus_redis_connected")})`, legend: "{{pod}} connected" },
        ],
        alerts: ["NexusRedisBreakerOpen", "NexusRedisDown"],
      },
      12,
    ),
  ],
};

const ANNOUNCEMENTS: Row = {
  title: "Announcements",
  panels: [
    line({
      title: "Way of a probe",
      description: "From publishing a probe to its arrival: what every notification between pods waits for Redis.",
      unit: "s",
      thresholds: { warning: 0.1, error: 0.5 },
      queries: quantiles(ofCluster("nexus_redis_lag_seconds_bucket")),
      alerts: ["NexusRedisLag"],
    }),
    line({
      title: "Announcements received",
      description: "By pod. A pod at 0 while the others hear: its subscription is dead; it notices by its probes and asks again.",
      unit: "mps",
      queries: [perPod(`sum by (pod) (rate(${ofCluster("nexus_redis_announcements_total")}[$__rate_interval]))`)],
    }),
    line({
      title: "Streams listened to",
      description: "Streams a pod has announced to it: one for each channel and user with a session there.",
      unit: "short",
      queries: [perPod(`sum by (pod) (${ofCluster("nexus_redis_subscribed_streams")})`)],
    }),
    line(
      {
        title: "Subscriptions in trouble",
        description:
          "interrupted: the connection was lost; dead: it looked well and carried nothing; unreadable: somebody else writes on our channels.",
        unit: "cps",
        queries: [
          { expr: perSecond(ofCluster("nexus_redis_subscription_interruptions_total")), legend: "interrupted" },
          { expr: perSecond(ofCluster("nexus_redis_subscriptions_dead_total")), legend: "dead" },
          { expr: perSecond(ofCluster("nexus_redis_announcements_unreadable_total")), legend: "unreadable" },
        ],
        alerts: ["NexusRedisSubscriptionsDie"],
      },
      12,
    ),
    line(
      {
        title: "Connections again",
        description: "Attempts, and those that stood. Attempts without success: address, password, TLS or network.",
        unit: "cps",
        queries: [
          { expr: perSecond(ofCluster("nexus_redis_reconnection_attempts_total")), legend: "attempts" },
          { expr: perSecond(ofCluster("nexus_redis_reconnections_total")), legend: "connected again" },
        ],
      },
      12,
    ),
  ],
};

const DATA: Row = {
  title: "Data",
  panels: [
    line({
      title: "Primaries with too few replicas",
      description: "Above 0 a failover may lose what was just published: fewer replicas are connected than publishes ask for.",
      unit: "short",
      thresholds: { warning: 1, error: 1 },
      queries: [{ expr: `max(${ofCluster("nexus_redis_replicas_missing")})`, legend: "primaries" }],
      alerts: ["NexusRedisReplicasMissing"],
    }),
    line({
      title: "Layout conflict",
      description: "1: servers of a release that cannot share a Redis with this one use the same prefix.",
      unit: "short",
      thresholds: { warning: 1, error: 1 },
      queries: [{ expr: `max(${ofCluster("nexus_redis_layout_conflict")})`, legend: "conflict" }],
      alerts: ["NexusRedisLayoutConflict"],
    }),
    line({
      title: "Pods that listen to triggers",
      description: "1 for a fleet with triggers by pub/sub, and 0 without. 0 with them: what is published now is lost. 2: published twice.",
      unit: "short",
      queries: [{ expr: `sum(${ofCluster("nexus_trigger_listeners")})`, legend: "listeners" }],
      alerts: ["NexusTriggersUnheard"],
    }),
    line(
      {
        title: "Not kept, not exchanged",
        description:
          "Rates that pods could not tell each other (quotas are loose then), delivery statuses that were dropped, marks that were lost (repeats).",
        unit: "cps",
        queries: [
          { expr: perSecond(ofCluster("nexus_rate_exchange_failures_total")), legend: "rates" },
          { expr: perSecond(ofCluster("nexus_receipts_dropped_total")), legend: "statuses" },
          { expr: perSecond(ofCluster("nexus_marks_lost_total")), legend: "marks" },
        ],
        alerts: ["NexusRatesNotExchanged", "NexusReceiptsDropped", "NexusMarksLost"],
      },
      12,
    ),
    line(
      {
        title: "Triggers",
        description: "Publishes that came through Redis, by form and outcome. dead: tried as often as it may be, and put aside.",
        unit: "mps",
        queries: [
          {
            expr: happening(ofCluster("nexus_triggers_total"), "form, outcome"),
            legend: "{{form}} {{outcome}}",
            mayBeEmpty: NEVER_HAPPENED,
          },
        ],
        alerts: ["NexusTriggersFail"],
      },
      12,
    ),
  ],
};
