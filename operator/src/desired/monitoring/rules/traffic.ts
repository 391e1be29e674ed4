// Why: what people of a fleet feel: no room, a storm, queues, publishes that fail, a server that does not keep up. Every share has a
// least number of cases beside it, so that three people at night are no outage. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert } from "./model.ts";
import { decimal, FLEET, gained, POD, POD_WHERE, perSecond, type Series, WHERE } from "./series.ts";
import { bytesText, memoryLimit, queueBytes, reconnectBudget } from "./thresholds.ts";

const NEAR = 0.8;
const MANY_FAILED_PUBLISHES = 10;
const FAILED_SHARE = 0.05;
const MANY_DROPPED = 20;
const DROPPED_SHARE = 0.01;
const MANY_GAPS = 20;
const GAP_SHARE = 0.1;
const LAG_SECONDS = 0.2;
const MEMORY_SHARE = 0.9;
const ABOVE_TARGET = 1.25;
const LOST_SPANS_SHARE = 0.05;

function room(cluster: NexusCluster, of: Series): readonly Alert[] {
  const limit = cluster.spec.limits.connectionsPerPod;
  const share = `sum by (${POD}) (${of("nexus_sessions")}) / ${limit}`;
  const budget = reconnectBudget(cluster);
  return [
    {
      name: "NexusConnectionsNearLimit",
      expr: `${share} > ${NEAR}`,
      forSeconds: 120,
      severity: "warning",
      summary: `${POD_WHERE} is nearly full`,
      description: `It holds {{ $value | humanizePercentage }} of the ${limit} sessions that limits.connectionsPerPod allows; it fires above ${NEAR * 100} %. At 100 % people are turned away.`,
    },
    {
      name: "NexusConnectionLimitReached",
      // Who is turned away leaves, and the count falls below the limit at once: the refusals of two minutes say that it is reached.
      expr: `${share} >= 1 or (${share} and on (${POD}) ${perSecond(POD, of("nexus_refusals_total", 'code="node_full"'), "2m")} > 0)`,
      forSeconds: 60,
      severity: "critical",
      summary: `${POD_WHERE} is full and turns people away`,
      description: `It holds {{ $value | humanizePercentage }} of the ${limit} sessions that limits.connectionsPerPod allows. Who is sent to it gets 503 and has to try again, until a pod with room is found.`,
    },
    {
      name: "NexusReconnectStorm",
      expr: `${perSecond(FLEET, of("nexus_sessions_opened_total"), "2m")} / (${budget} * (sum by (${FLEET}) (${of("nexus_ready")}) > 0)) > 1`,
      forSeconds: 60,
      severity: "warning",
      summary: `People reconnect to ${WHERE} faster than it should take them in`,
      description: `Sessions are opened at {{ $value | humanizePercentage }} of the reconnect budget (${budget} a second for each ready pod). Deliveries to everybody are delayed meanwhile; some will time out and come again.`,
    },
  ];
}

const failures = (of: Series): readonly Alert[] => {
  const failed = of("nexus_publishes_total", 'outcome="failed"');
  const tried = of("nexus_publishes_total", 'outcome=~"published|replayed|failed"');
  const dropped = of("nexus_dropped_total", 'reason="slow_consumer"');
  const delivered = of("nexus_deliveries_total");
  const gaps = of("nexus_resumes_total", 'outcome="gap"');
  const resumed = of("nexus_resumes_total", 'outcome=~"gap|recovered"');
  return [
    {
      name: "NexusPublishFailures",
      expr: `${perSecond(FLEET, failed, "2m")} / ${perSecond(FLEET, tried, "2m")} > ${FAILED_SHARE} and ${gained(FLEET, failed, "2m")} >= ${MANY_FAILED_PUBLISHES}`,
      forSeconds: 60,
      severity: "critical",
      summary: `Publishing to ${WHERE} fails`,
      description: `{{ $value | humanizePercentage }} of the publishes of the last 2 minutes failed by the fleet's fault; it fires above ${FAILED_SHARE * 100} % and from ${MANY_FAILED_PUBLISHES} of them on. Backends got an error, and people do not hear what they were to hear unless it is published again.`,
    },
    {
      name: "NexusSlowConsumers",
      expr: `${perSecond(FLEET, dropped, "5m")} / sum by (${FLEET}) (rate(${delivered}[5m]) or rate(${dropped}[5m])) > ${DROPPED_SHARE} and ${gained(FLEET, dropped, "5m")} >= ${MANY_DROPPED}`,
      forSeconds: 300,
      severity: "warning",
      summary: `Readers of ${WHERE} are too slow`,
      description: `{{ $value | humanizePercentage }} of the notifications were dropped because a session's queue was full; it fires above ${DROPPED_SHARE * 100} % and from ${MANY_DROPPED} in 5 minutes on. Those people were told of a gap or disconnected, as the channel's rule says.`,
    },
    {
      name: "NexusResumesFail",
      expr: `${perSecond(FLEET, gaps, "5m")} / ${perSecond(FLEET, resumed, "5m")} > ${GAP_SHARE} and ${gained(FLEET, gaps, "5m")} >= ${MANY_GAPS}`,
      forSeconds: 300,
      severity: "warning",
      summary: `People who come back to ${WHERE} are told of gaps`,
      description: `Of the streams that clients came back to, {{ $value | humanizePercentage }} could not be caught up with; it fires above ${GAP_SHARE * 100} % and from ${MANY_GAPS} in 5 minutes on. Those people may have missed notifications for good: history is too short, or Redis lost it.`,
    },
    {
      name: "NexusMarksLost",
      expr: `${gained(FLEET, of("nexus_marks_lost_total"), "10m")} > 0`,
      forSeconds: 0,
      severity: "warning",
      summary: `${WHERE} could not keep how far people have read`,
      description:
        "In 10 minutes {{ $value | humanize }} marks of inboxes were not taken by the store. Nothing is lost: those people get the same entries again at their next connect.",
    },
  ];
};

function strain(cluster: NexusCluster, of: Series): readonly Alert[] {
  const memory = memoryLimit(cluster);
  return [
    {
      name: "NexusSendQueuesGrow",
      expr: `sum by (${POD}) (${of("nexus_send_queue_bytes")}) > ${queueBytes(cluster)}`,
      forSeconds: 300,
      severity: "warning",
      summary: `Queues of pod {{ $labels.pod }} of ${WHERE} grow`,
      description: `{{ $value | humanize1024 }}B have waited for its sessions for 5 minutes; it fires above ${bytesText(queueBytes(cluster))}${memory === undefined ? "" : ", a fifth of its memory limit"}. Those people hear late, and memory may run out.`,
    },
    {
      name: "NexusEventLoopLags",
      expr: `max by (${POD}) (${of("nodejs_eventloop_lag_p99_seconds")}) > ${LAG_SECONDS}`,
      forSeconds: 300,
      severity: "warning",
      summary: `${POD_WHERE} does not keep up`,
      description: `For 5 minutes its event loop has been late by {{ $value | humanizeDuration }} (99th percentile); it fires above ${LAG_SECONDS} s. Everything on it is late by so much, heartbeats too.`,
    },
    ...(memory === undefined
      ? []
      : [
          {
            name: "NexusMemoryNearLimit",
            expr: `max by (${POD}) (${of("process_resident_memory_bytes")}) / ${memory} > ${MEMORY_SHARE}`,
            forSeconds: 300,
            severity: "warning" as const,
            summary: `${POD_WHERE} is near its memory limit`,
            description: `It uses {{ $value | humanizePercentage }} of the ${bytesText(memory)} of pods.resources.limits.memory; it fires above ${MEMORY_SHARE * 100} %. At the limit the kernel kills it, and its sessions are cut without a drain.`,
          },
        ]),
  ];
}

/** Only with autoscaling: without, nobody said what a pod should carry. */
function target(cluster: NexusCluster, of: Series): readonly Alert[] {
  const { autoscaling } = cluster.spec;
  if (!autoscaling) return [];
  const perPod = autoscaling.targets.connectionsPerPod;
  return [
    {
      name: "NexusLoadAboveTarget",
      expr: `sum by (${FLEET}) (${of("nexus_sessions")}) / (${perPod} * (sum by (${FLEET}) (${of("nexus_ready")}) > 0)) > ${ABOVE_TARGET}`,
      forSeconds: 600,
      severity: "warning",
      summary: `${WHERE} is not scaled up as it should be`,
      description: `For 10 minutes its pods have held {{ $value | humanizePercentage }} of the ${perPod} sessions each that autoscaling.targets.connectionsPerPod asks for (of at most ${autoscaling.maxReplicas} pods); it fires above ${decimal(ABOVE_TARGET * 100)} %. The pods fill up; when they are full people are turned away.`,
    },
  ];
}

/** Only with tracing. */
function traces(cluster: NexusCluster, of: Series): readonly Alert[] {
  if (!cluster.spec.monitoring.tracing) return [];
  const lost = of("nexus_trace_spans_total", 'outcome=~"failed|dropped"');
  return [
    {
      name: "NexusTracesLost",
      expr: `${perSecond(FLEET, lost, "5m")} / ${perSecond(FLEET, of("nexus_trace_spans_total"), "5m")} > ${LOST_SPANS_SHARE}`,
      forSeconds: 600,
      severity: "info",
      summary: `Spans of ${WHERE} do not reach the collector`,
      description: `{{ $value | humanizePercentage }} of its spans were dropped or refused by the collector; it fires above ${LOST_SPANS_SHARE * 100} %. Deliveries are not affected; traces have holes.`,
    },
  ];
}

export const trafficAlerts = (cluster: NexusCluster, of: Series): readonly Alert[] => [
  ...room(cluster, of),
  ...failures(of),
  ...strain(cluster, of),
  ...target(cluster, of),
  ...traces(cluster, of),
];
