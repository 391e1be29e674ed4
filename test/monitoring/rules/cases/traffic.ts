// Why: the cases of alerts about what people feel: no room, storms, queues, failures, a server that does not keep up.
import { type AlertCase, once, rises, stays, TURN_SECONDS, turns, type World, wakes, without } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const POD = { pod: "live-a" };
const PUBLISHED = 'nexus_publishes_total{stream="channel",outcome="published"}';
const REPLAYED = 'nexus_publishes_total{stream="inbox",outcome="replayed"}';
const REFUSED = 'nexus_publishes_total{stream="channel",outcome="refused"}';
const FAILED = 'nexus_publishes_total{stream="channel",outcome="failed"}';
const DELIVERED = 'nexus_deliveries_total{transport="websocket"}';
const DROPPED = 'nexus_dropped_total{reason="slow_consumer"}';
const EXPIRED = 'nexus_dropped_total{reason="expired"}';
const WEBSOCKET = 'nexus_sessions{transport="websocket"}';
const SSE = 'nexus_sessions{transport="sse"}';
const FULL = 'nexus_refusals_total{code="node_full"}';
const GAP = 'nexus_resumes_total{outcome="gap"}';
const RECOVERED = 'nexus_resumes_total{outcome="recovered"}';
const FRESH = 'nexus_resumes_total{outcome="fresh"}';
const EXPORTED = 'nexus_trace_spans_total{outcome="exported"}';
const spans = (exported: number, failed: number, dropped: number): World => ({
  [EXPORTED]: rises(exported),
  'nexus_trace_spans_total{outcome="failed"}': rises(failed),
  'nexus_trace_spans_total{outcome="dropped"}': rises(dropped),
});

const ROOM: readonly AlertCase[] = [
  {
    alert: "NexusConnectionsNearLimit",
    fires: { series: { [WEBSOCKET]: turns(4000, 4001), [SSE]: stays(4000) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["80.01%"] },
    silent: HEALTHY_FLEET,
    boundary: [{ [WEBSOCKET]: stays(4000), [SSE]: stays(4000) }],
    missing: { series: { [WEBSOCKET]: stays(8001) }, fires: true, because: "who has no session over SSE has those over WebSocket" },
  },
  {
    alert: "NexusConnectionLimitReached",
    fires: {
      series: { [WEBSOCKET]: stays(9990), [FULL]: wakes(1), 'nexus_refusals_total{code="forbidden"}': rises(9) },
      onsetSeconds: TURN_SECONDS,
      labels: POD,
      says: ["99.9%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ [WEBSOCKET]: stays(9999), [FULL]: stays(7), 'nexus_refusals_total{code="forbidden"}': rises(9) }],
    missing: { series: { [WEBSOCKET]: stays(10_000) }, fires: true, because: "a full pod is full before it has refused anybody" },
  },
  {
    alert: "NexusReconnectStorm",
    // 250 a second for each of two pods: half a core each.
    fires: {
      series: {
        ...{ 'nexus_ready{pod="live-a"}': stays(1), 'nexus_ready{pod="live-b"}': stays(1) },
        ...{ 'nexus_sessions_opened_total{pod="live-a"}': rises(15_015), 'nexus_sessions_opened_total{pod="live-b"}': rises(0) },
      },
      onsetSeconds: 120, // until two minutes are full the rate is less
      says: ["100.1%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      {
        ...{ 'nexus_ready{pod="live-a"}': stays(1), 'nexus_ready{pod="live-b"}': stays(1) },
        ...{ 'nexus_sessions_opened_total{pod="live-a"}': rises(15_000), 'nexus_sessions_opened_total{pod="live-b"}': rises(0) },
      },
    ],
    missing: {
      series: { nexus_ready: stays(0), nexus_sessions_opened_total: rises(15_015) },
      fires: false,
      because: "without a ready pod there is no budget to be over, and NexusFleetDown fires",
    },
  },
];

const FAILURES: readonly AlertCase[] = [
  {
    alert: "NexusPublishFailures",
    fires: {
      series: { [PUBLISHED]: rises(150), [REPLAYED]: rises(39), [FAILED]: rises(10), [REFUSED]: rises(900) },
      onsetSeconds: 30,
      says: ["5.025%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { [PUBLISHED]: rises(151), [REPLAYED]: rises(39), [FAILED]: rises(10) },
      { [PUBLISHED]: rises(2), [FAILED]: rises(2.4) }, // 9.6 in two minutes
    ],
    missing: { series: { [FAILED]: rises(2.5) }, fires: true, because: "nothing is published any more: all there is are failures" },
  },
  {
    alert: "NexusSlowConsumers",
    fires: { series: { [DELIVERED]: rises(1979), [DROPPED]: rises(20), [EXPIRED]: rises(500) }, onsetSeconds: 30, says: ["1.001%"] },
    silent: HEALTHY_FLEET,
    boundary: [
      { [DELIVERED]: rises(1980), [DROPPED]: rises(20), [EXPIRED]: rises(500) },
      { [DELIVERED]: rises(9), [DROPPED]: rises(1.95), [EXPIRED]: rises(500) }, // 19.5 in five minutes
    ],
    missing: { series: { [DROPPED]: rises(2) }, fires: true, because: "nothing is delivered any more: everything is dropped" },
  },
  {
    alert: "NexusResumesFail",
    fires: { series: { [RECOVERED]: rises(179), [GAP]: rises(20), [FRESH]: rises(9000) }, onsetSeconds: 30, says: ["10.05%"] },
    silent: HEALTHY_FLEET,
    boundary: [
      { [RECOVERED]: rises(180), [GAP]: rises(20), [FRESH]: rises(0) },
      { [RECOVERED]: rises(9), [GAP]: rises(1.95), [FRESH]: rises(900) }, // 19.5 in five minutes
    ],
    missing: { series: { [GAP]: rises(2) }, fires: true, because: "nobody is caught up with any more: all there is are gaps" },
  },
  {
    alert: "NexusMarksLost",
    ends: { series: { nexus_marks_lost_total: once(2) }, quietSeconds: 900 },
    fires: { series: { nexus_marks_lost_total: wakes(2) }, onsetSeconds: TURN_SECONDS, says: ["2"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_marks_lost_total: stays(9) }],
    missing: { series: without(HEALTHY_FLEET, "nexus_marks_lost_total"), fires: false, because: "nothing was counted" },
  },
];

const MIB = 2 ** 20;
const FIFTH = Math.floor(1024 * MIB * 0.2);

const STRAIN: readonly AlertCase[] = [
  {
    alert: "NexusSendQueuesGrow",
    fires: { series: { nexus_send_queue_bytes: turns(0, FIFTH + 1) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["204.8Mi"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_send_queue_bytes: stays(FIFTH) }],
    missing: { series: without(HEALTHY_FLEET, "nexus_send_queue_bytes"), fires: false, because: "nothing is known of queues" },
  },
  {
    alert: "NexusEventLoopLags",
    fires: { series: { nodejs_eventloop_lag_p99_seconds: turns(0.01, 0.21) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["210ms"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nodejs_eventloop_lag_p99_seconds: stays(0.2) }],
    missing: { series: { up: stays(0) }, fires: false, because: "a pod so late that it does not answer is NexusPodDown" },
  },
  {
    alert: "NexusMemoryNearLimit",
    fires: { series: { process_resident_memory_bytes: turns(0, 922 * MIB) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["90.04%"] },
    silent: HEALTHY_FLEET,
    boundary: [{ process_resident_memory_bytes: stays(921.6 * MIB) }],
    missing: { series: { up: stays(0) }, fires: false, because: "a pod that was killed is NexusPodRestarted" },
  },
  {
    alert: "NexusLoadAboveTarget",
    fires: {
      series: { nexus_ready: stays(1), [WEBSOCKET]: turns(5000, 9000), [SSE]: stays(1001) },
      onsetSeconds: TURN_SECONDS,
      says: ["125%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { nexus_ready: stays(1), [WEBSOCKET]: stays(9000), [SSE]: stays(1000) },
      { nexus_ready: stays(0), [WEBSOCKET]: stays(9000), [SSE]: stays(9000) }, // no pod is no divisor
    ],
    missing: { series: { [WEBSOCKET]: stays(99_000) }, fires: false, because: "how many pods carry it is not known; NexusFleetDown fires" },
  },
  {
    alert: "NexusTracesLost",
    fires: { series: spans(949, 30, 21), onsetSeconds: 30, says: ["5.1%"] },
    silent: HEALTHY_FLEET,
    boundary: [spans(950, 25, 25)],
    missing: { series: { [EXPORTED]: rises(100) }, fires: false, because: "none was lost" },
  },
];

export const TRAFFIC_CASES: readonly AlertCase[] = [...ROOM, ...FAILURES, ...STRAIN];
