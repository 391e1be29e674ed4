// Why: a fleet stands on Redis, and Redis fails in more ways than being away: slow, deaf, forgetful. Only for clusters that have
// one. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert } from "./model.ts";
import { FLEET, gained, POD, perSecond, quantile, type Series, WHERE } from "./series.ts";
import { hearsTriggers } from "./thresholds.ts";

const SLOW_SECONDS = 0.1;
const SLOW_CALLS_PER_SECOND = 1;
const LAG_SECONDS = 0.5;
const FEW_PROBES = 3;
const FAILED_SHARE = 0.05;
const MANY_FAILED = 20;
const OPEN = 2;

/** Pods that an alert of their own tells of: they are without Redis, have given up on it, or are without PostgreSQL. */
const toldElsewhere = (cluster: NexusCluster, of: Series): string =>
  [
    `${of("nexus_redis_connected")} == 0`,
    `max_over_time(${of("nexus_redis_breaker_state")}[1m]) == ${OPEN}`,
    ...(cluster.spec.storage.inbox === "Postgres" ? [`${of("nexus_postgres_connected")} == 0`] : []),
  ]
    .map((away) => ` unless on (${POD}) ${away}`)
    .join("");

const deafness = (cluster: NexusCluster, of: Series): readonly Alert[] => [
  {
    name: "NexusPodsDegraded",
    expr: `count by (${FLEET}) (${of("nexus_degraded")} == 1${toldElsewhere(cluster, of)})`,
    forSeconds: 60,
    severity: "critical",
    summary: `Pods of ${WHERE} do not hear what others publish`,
    description:
      "{{ $value }} pods reach Redis and have said degraded on /health for a minute: announcements do not arrive there. Publishes are answered with 200; who is connected to these pods hears nothing of what is published on others.",
  },
];

const link = (of: Series): readonly Alert[] => {
  const failed = of("nexus_redis_calls_total", 'outcome=~"failed|timeout|rejected|bug"');
  return [
    {
      name: "NexusRedisDown",
      expr: `count by (${FLEET}) (${of("nexus_redis_connected")} == 0)`,
      forSeconds: 60,
      severity: "critical",
      summary: `Pods of ${WHERE} have no connection to Redis`,
      description:
        "{{ $value }} pods have been without Redis for a minute. Sessions stay, and hear nothing of what other pods publish; publishes that need the store fail with 503.",
    },
    {
      name: "NexusRedisBreakerOpen",
      // It is half open for a moment at every try; the worst of a minute is what counts.
      expr: `count by (${FLEET}) (max_over_time(${of("nexus_redis_breaker_state")}[1m]) == ${OPEN})`,
      forSeconds: 60,
      severity: "critical",
      summary: `Pods of ${WHERE} have given up on Redis for now`,
      description:
        "On {{ $value }} pods the circuit before Redis is open: commands are refused without being sent. Publishes fail with 503 broker_unavailable until a try succeeds.",
    },
    {
      name: "NexusRedisCallsFail",
      expr: `${perSecond(FLEET, failed, "2m")} / ${perSecond(FLEET, of("nexus_redis_calls_total"), "2m")} > ${FAILED_SHARE} and ${gained(FLEET, failed, "2m")} >= ${MANY_FAILED}`,
      forSeconds: 120,
      severity: "warning",
      summary: `Redis of ${WHERE} refuses or does not answer`,
      description: `{{ $value | humanizePercentage }} of the commands of 2 minutes failed, timed out or were not sent; it fires above ${FAILED_SHARE * 100} % and from ${MANY_FAILED} on. Publishes and reconnects fail at about that share.`,
    },
    {
      name: "NexusRedisSlow",
      expr: `${quantile(0.99, FLEET, of("nexus_redis_call_duration_seconds_bucket"), "2m")} > ${SLOW_SECONDS} and ${perSecond(FLEET, of("nexus_redis_call_duration_seconds_count"), "2m")} >= ${SLOW_CALLS_PER_SECOND}`,
      forSeconds: 120,
      severity: "warning",
      summary: `Redis of ${WHERE} is slow`,
      description: `One command in a hundred takes {{ $value | humanizeDuration }} or more; it fires above ${SLOW_SECONDS} s. Every publish and every reconnect waits for it; above the command time-out the circuit opens.`,
    },
    {
      name: "NexusRedisLag",
      expr: `${quantile(0.99, FLEET, of("nexus_redis_lag_seconds_bucket"), "2m")} > ${LAG_SECONDS} and ${gained(FLEET, of("nexus_redis_lag_seconds_count"), "2m")} >= ${FEW_PROBES}`,
      forSeconds: 120,
      severity: "warning",
      summary: `Announcements of ${WHERE} come late through Redis`,
      description: `A probe needs {{ $value | humanizeDuration }} through Redis to come back (99th percentile); it fires above ${LAG_SECONDS} s. What is published on one pod reaches people on the others late by so much.`,
    },
  ];
};

const losses = (of: Series): readonly Alert[] => [
  {
    name: "NexusRedisSubscriptionsDie",
    expr: `${gained(FLEET, of("nexus_redis_subscriptions_dead_total"), "10m")} > 0`,
    forSeconds: 0,
    severity: "warning",
    summary: `Subscriptions of ${WHERE} at Redis went deaf`,
    description:
      "In 10 minutes {{ $value | humanize }} connections looked well and carried nothing. They were replaced, and their listeners caught up or told of a gap; who had a live-only channel may have missed something.",
  },
  {
    name: "NexusRedisLostEntries",
    expr: `${gained(FLEET, of("nexus_redis_streams_went_back_total"), "10m")} > 0`,
    forSeconds: 0,
    severity: "critical",
    summary: `Redis of ${WHERE} has lost entries`,
    description:
      "In 10 minutes {{ $value | humanize }} streams were found shorter than they had been: a failover to a replica that was behind, a restart without its data, or eviction. Their listeners were told of a gap; entries nobody had read yet are gone.",
  },
  {
    name: "NexusRedisReplicasMissing",
    expr: `max by (${FLEET}) (${of("nexus_redis_replicas_missing")}) > 0`,
    forSeconds: 300,
    severity: "warning",
    summary: `Redis of ${WHERE} lacks replicas`,
    description:
      "Writes of {{ $value }} primaries are confirmed by fewer replicas than asked for. Nobody notices yet; when such a primary dies, entries can be lost.",
  },
  {
    name: "NexusRedisLayoutConflict",
    expr: `max by (${FLEET}) (${of("nexus_redis_layout_conflict")}) == 1`,
    forSeconds: 60,
    severity: "critical",
    summary: `Servers that cannot share a Redis use the one of ${WHERE}`,
    description:
      "For 60 s servers of a release with another layout of keys have written under the same prefix. People connected to the one do not hear what is published at the other; nothing is overwritten.",
  },
  {
    name: "NexusRatesNotExchanged",
    expr: `${gained(FLEET, of("nexus_rate_exchange_failures_total"), "5m")} > 0`,
    forSeconds: 300,
    severity: "warning",
    summary: `Pods of ${WHERE} do not hear each other's rates`,
    description:
      "{{ $value | humanize }} exchanges failed in 5 minutes. Each pod counts only what it lets through itself: a tenant can publish its quota per second on every pod, and take from the others what is theirs.",
  },
  {
    name: "NexusReceiptsDropped",
    expr: `${gained(FLEET, of("nexus_receipts_dropped_total"), "10m")} > 0`,
    forSeconds: 0,
    severity: "info",
    summary: `Delivery statuses of ${WHERE} were not kept`,
    description:
      "In 10 minutes {{ $value | humanize }} statuses or ACKs were dropped because more waited for Redis than may wait. Notifications are not affected; who asks for their status sees less than happened.",
  },
];

const triggers = (of: Series): readonly Alert[] => [
  {
    name: "NexusTriggersUnheard",
    expr: `sum by (${FLEET}) (${of("nexus_trigger_listeners")}) == 0`,
    forSeconds: 120,
    severity: "warning",
    summary: `No pod of ${WHERE} listens to triggers`,
    description:
      "For 2 minutes {{ $value }} pods have listened to what backends publish to notification:* in Redis; it should be one. Such triggers are lost, as nobody keeps them; those sent to the stream wait.",
  },
];

export const redisAlerts = (cluster: NexusCluster, of: Series): readonly Alert[] =>
  cluster.spec.redis.mode === "None"
    ? []
    : [...link(of), ...deafness(cluster, of), ...losses(of), ...(hearsTriggers(cluster) ? triggers(of) : [])];
