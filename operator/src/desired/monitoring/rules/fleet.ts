// Why: pods of a fleet: are they there, are they ready, do they come back, do they end. Who counts pods starts from `up`, which
// Prometheus has for every pod it knows, because a pod that is gone says nothing of itself. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert } from "./model.ts";
import { FLEET, gained, POD, POD_WHERE, type Series, WHERE } from "./series.ts";
import { downSeconds, drainSeconds, isScaledToZero } from "./thresholds.ts";

const NOT_READY_SHARE = 0.05;
const MANY_RESTARTS = 2;
const MANY_ERRORS = 10;

/** Whether anybody answers at all. Nothing is promised of a fleet that is scaled to zero. */
const presence = (cluster: NexusCluster, of: Series): readonly Alert[] =>
  isScaledToZero(cluster)
    ? []
    : [
        {
          name: "NexusFleetDown",
          // Not `sum(nexus_ready) == 0`: pods that do not answer have no such series.
          expr: `count by (${FLEET}) (${of("up")}) unless sum by (${FLEET}) (${of("nexus_ready")}) > 0`,
          forSeconds: downSeconds(cluster),
          severity: "critical",
          summary: `No pod of ${WHERE} is ready`,
          description:
            "Prometheus knows {{ $value }} pods of it, and none says that it takes traffic. Nobody can connect or publish; who was connected has lost the connection or is about to.",
        },
        {
          name: "NexusFleetUnseen",
          expr: `absent(${of("up")})`,
          forSeconds: 300,
          severity: "critical",
          summary: `Nothing is known of ${WHERE}`,
          description:
            "For 5 minutes Prometheus has found no pod of it to scrape. Either there is none, and nobody can connect, or its PodMonitor is not taken up, and none of its other alerts can fire.",
        },
      ];

export const fleetAlerts = (cluster: NexusCluster, of: Series): readonly Alert[] => [
  {
    name: "NexusPodDown",
    expr: `max by (${POD}) (${of("up")}) == 0`,
    forSeconds: 60,
    severity: "warning",
    summary: `${POD_WHERE} does not answer`,
    description:
      "For 60 s Prometheus could not read its metrics. Its sessions come back on other pods; until then those people hear nothing.",
  },
  ...presence(cluster, of),
  {
    name: "NexusPodsNotReady",
    // A pod that drains is not ready on purpose, for up to ten minutes.
    expr: `count by (${FLEET}) (${of("nexus_ready")} == 0 unless on (${POD}) ${of("nexus_draining")} == 1) / count by (${FLEET}) (${of("up")}) > ${NOT_READY_SHARE}`,
    forSeconds: 300,
    severity: "warning",
    summary: `Pods of ${WHERE} run and are not ready`,
    description: `For 5 minutes {{ $value | humanizePercentage }} of its pods have run without taking traffic, and do not drain; it fires above ${NOT_READY_SHARE * 100} %. The others carry their share of people.`,
  },
  {
    name: "NexusPodRestarted",
    expr: `max by (${POD}) (changes(${of("process_start_time_seconds")}[10m])) > 0`,
    forSeconds: 0,
    severity: "warning",
    summary: `${POD_WHERE} was started again`,
    description:
      "In the last 10 minutes it was started again {{ $value }} times. Its sessions were cut without a drain: those people reconnected, and their entries came again.",
  },
  {
    name: "NexusPodRestartsOften",
    expr: `max by (${POD}) (changes(${of("process_start_time_seconds")}[15m])) > ${MANY_RESTARTS}`,
    forSeconds: 0,
    severity: "critical",
    summary: `${POD_WHERE} does not stay up`,
    description: `It was started {{ $value }} times in 15 minutes; it fires above ${MANY_RESTARTS}. Each start cuts the sessions it had, and the fleet has one pod less than it counts on.`,
  },
  {
    name: "NexusProcessRestarts",
    expr: `${gained(POD, of("nexus_process_restarts_total"), "15m")} > 0`,
    forSeconds: 0,
    severity: "warning",
    summary: `A server process of pod {{ $labels.pod }} of ${WHERE} ended by itself`,
    description:
      "In the last 15 minutes {{ $value | humanize }} of its processes crashed and were started again. The sessions of a process are cut with it; the pod's others go on.",
  },
  {
    name: "NexusDrainTakesLong",
    expr: `max by (${POD}) (${of("nexus_draining")}) == 1`,
    forSeconds: drainSeconds(cluster),
    severity: "warning",
    summary: `${POD_WHERE} has not finished draining`,
    description: `It has drained for ${drainSeconds(cluster)} s, and delivery.drainSeconds allows ${cluster.spec.delivery.drainSeconds} s: it should have ended or been killed. A rollout waits for it, and sessions it still has will be cut.`,
  },
  {
    name: "NexusLogsErrors",
    expr: `${gained(FLEET, of("nexus_log_lines_total", 'level="error"'), "5m")} > ${MANY_ERRORS}`,
    forSeconds: 300,
    severity: "warning",
    summary: `Servers of ${WHERE} log errors`,
    description: `{{ $value | humanize }} lines of level error in 5 minutes; it fires above ${MANY_ERRORS}. Something fails that has no alert of its own; the event names in the log say what.`,
  },
];
