// Why: the cases of alerts about Redis: away, given up, slow, deaf, forgetful.
import { type AlertCase, histogram, lapses, once, rises, stays, TURN_SECONDS, turns, wakes, without } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const OK = 'nexus_redis_calls_total{outcome="ok"}';
const TIMEOUT = 'nexus_redis_calls_total{outcome="timeout"}';
const REJECTED = 'nexus_redis_calls_total{outcome="rejected"}';
const REFUSED = 'nexus_redis_calls_total{outcome="refused"}';

/** An alert on a counter that must not move; three times every half minute it does, which is `says` when it fires. At once, and how long it looks back. */
const counted = (alert: string, metric: string, says = "3", lookBackSeconds?: number): AlertCase => ({
  alert,
  fires: { series: { [metric]: wakes(3) }, onsetSeconds: TURN_SECONDS, says: [says] },
  silent: HEALTHY_FLEET,
  boundary: [{ [metric]: stays(3) }],
  ...(lookBackSeconds === undefined ? {} : { ends: { series: { [metric]: once(3) }, quietSeconds: TURN_SECONDS + lookBackSeconds } }),
  missing: { series: without(HEALTHY_FLEET, metric), fires: false, because: "nothing was counted" },
});

const LINK: readonly AlertCase[] = [
  {
    alert: "NexusRedisDown",
    fires: {
      series: { nexus_redis_connected: turns(1, 0), 'nexus_redis_connected{pod="live-b"}': stays(1) },
      onsetSeconds: TURN_SECONDS,
      says: ["1"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_redis_connected: lapses(1, 0, 60) }],
    missing: { series: { up: stays(0) }, fires: false, because: "pods that say nothing are NexusPodDown" },
  },
  {
    alert: "NexusRedisBreakerOpen",
    // Half open at every other scrape: it is being tried.
    fires: { series: { nexus_redis_breaker_state: `0+0x9 ${"2 1 ".repeat(20)}` }, onsetSeconds: TURN_SECONDS, says: ["1"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_redis_breaker_state: stays(1) }],
    missing: { series: { up: stays(0) }, fires: false, because: "pods that say nothing are NexusPodDown" },
  },
  {
    alert: "NexusPodsDegraded",
    fires: {
      series: {
        ...{ nexus_degraded: turns(0, 1), nexus_redis_connected: stays(1), nexus_redis_breaker_state: stays(1) },
        'nexus_degraded{pod="live-b"}': stays(0),
      },
      onsetSeconds: TURN_SECONDS,
      says: ["1"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { nexus_degraded: lapses(0, 1, 60) },
      { nexus_degraded: turns(0, 1), nexus_redis_connected: turns(1, 0) },
      { nexus_degraded: turns(0, 1), nexus_redis_breaker_state: `0+0x9 ${"2 1 ".repeat(20)}2+0x1000` },
      { nexus_degraded: turns(0, 1), nexus_postgres_connected: turns(1, 0) },
    ],
    missing: { series: { nexus_degraded: turns(0, 1) }, fires: true, because: "what would excuse a pod is not known of it" },
  },
  {
    alert: "NexusRedisCallsFail",
    fires: {
      series: { [OK]: rises(360), [TIMEOUT]: rises(10), [REJECTED]: rises(10), [REFUSED]: rises(10) },
      onsetSeconds: 30,
      says: ["5.128%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { [OK]: rises(370), [TIMEOUT]: rises(10), [REJECTED]: rises(10), [REFUSED]: rises(10) },
      { [OK]: rises(50), [TIMEOUT]: rises(4.9) }, // 19.6 in two minutes
    ],
    missing: { series: { [REJECTED]: rises(5) }, fires: true, because: "nothing succeeds any more: all there is are failures" },
  },
  {
    alert: "NexusRedisSlow",
    // One a second, 98.95 % of them within 100 ms: the 99th percentile is a little above.
    fires: {
      series: histogram("nexus_redis_call_duration_seconds", { "0.1": 29.685, "0.25": 30 }),
      onsetSeconds: 120,
      says: ["107.1ms"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      histogram("nexus_redis_call_duration_seconds", { "0.1": 990, "0.25": 1000 }),
      histogram("nexus_redis_call_duration_seconds", { "0.1": 1, "0.25": 29 }),
    ],
    missing: {
      series: { nexus_redis_connected: stays(0) },
      fires: false,
      because: "nothing is sent: NexusRedisDown or NexusRedisBreakerOpen",
    },
  },
  {
    alert: "NexusRedisLag",
    // Three probes in two minutes.
    fires: { series: histogram("nexus_redis_lag_seconds", { "0.5": 0.742125, "1": 0.75 }), onsetSeconds: 120, says: ["523.8ms"] },
    silent: HEALTHY_FLEET,
    boundary: [
      histogram("nexus_redis_lag_seconds", { "0.5": 990, "1": 1000 }),
      histogram("nexus_redis_lag_seconds", { "0.5": 0.1, "1": 0.74 }),
    ],
    missing: {
      series: without(HEALTHY_FLEET, "nexus_redis_lag_seconds_bucket", "nexus_redis_lag_seconds_count"),
      fires: false,
      because: "probes that do not come back are no lag: NexusRedisSubscriptionsDie",
    },
  },
];

const LOSSES: readonly AlertCase[] = [
  counted("NexusRedisSubscriptionsDie", "nexus_redis_subscriptions_dead_total", "3", 600),
  counted("NexusRedisLostEntries", "nexus_redis_streams_went_back_total", "3", 600),
  counted("NexusRatesNotExchanged", "nexus_rate_exchange_failures_total", "30"),
  counted("NexusReceiptsDropped", "nexus_receipts_dropped_total", "3", 600),
  {
    alert: "NexusRedisReplicasMissing",
    fires: { series: { nexus_redis_replicas_missing: turns(0, 1) }, onsetSeconds: TURN_SECONDS, says: ["1"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_redis_replicas_missing: lapses(0, 1, 300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "no replicas were asked for" },
  },
  {
    alert: "NexusRedisLayoutConflict",
    fires: { series: { nexus_redis_layout_conflict: turns(0, 1) }, onsetSeconds: TURN_SECONDS, says: [] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_redis_layout_conflict: lapses(0, 1, 60) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of others" },
  },
  {
    alert: "NexusTriggersUnheard",
    fires: {
      series: { nexus_trigger_listeners: turns(1, 0), 'nexus_trigger_listeners{pod="live-b"}': stays(0) },
      onsetSeconds: TURN_SECONDS,
      says: ["0"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_trigger_listeners: turns(1, 0), 'nexus_trigger_listeners{pod="live-b"}': turns(0, 1) }],
    missing: { series: { up: stays(0) }, fires: false, because: "without a pod there is nobody to listen: NexusFleetDown" },
  },
];

export const REDIS_CASES: readonly AlertCase[] = [...LINK, ...LOSSES];
