// Why: the cases of alerts about pods: there, ready, coming back, ending.
import { type AlertCase, ends, lapses, once, rises, stays, TURN_SECONDS, turns, wakes, without } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const POD = { pod: "live-a" };
const A = 'pod="live-a"';

const fleet = (name: string, ...pods: readonly string[]) =>
  Object.fromEntries(pods.map((values, index) => [`${name}{pod="live-${index}"}`, values]));

/** So many pods, the first of which is not ready after five minutes. */
const oneNotReady = (pods: number, first = turns(1, 0)) => {
  const others = Array.from({ length: pods - 1 }, () => stays(1));
  return { ...fleet("up", stays(1), ...others), ...fleet("nexus_ready", first, ...others) };
};
const noneDrains = (pods: number) => fleet("nexus_draining", ...Array.from({ length: pods }, () => stays(0)));

export const FLEET_CASES: readonly AlertCase[] = [
  {
    alert: "NexusPodDown",
    fires: { series: { up: turns(1, 0), 'up{pod="live-b"}': stays(1) }, onsetSeconds: TURN_SECONDS, labels: POD, says: [] },
    silent: HEALTHY_FLEET,
    boundary: [{ up: lapses(1, 0, 60) }],
    missing: {
      series: without(HEALTHY_FLEET, "up"),
      fires: false,
      because: "a pod that Prometheus does not know may have ended as it should",
    },
  },
  {
    alert: "NexusFleetDown",
    fires: {
      series: { ...fleet("up", stays(1), turns(1, 0)), ...fleet("nexus_ready", turns(1, 0), ends(1)) },
      onsetSeconds: TURN_SECONDS,
      says: ["2"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ ...fleet("up", stays(1), turns(1, 0)), ...fleet("nexus_ready", stays(1), turns(1, 0)) }],
    missing: {
      series: fleet("up", stays(0), stays(0)),
      fires: true,
      because: "pods that do not answer do not say that they are not ready",
    },
  },
  {
    alert: "NexusFleetUnseen",
    fires: { series: { 'up{nexus_cluster="other"}': stays(1) }, onsetSeconds: 0, says: [] },
    silent: HEALTHY_FLEET,
    boundary: [{ up: stays(0) }],
    missing: { series: without(HEALTHY_FLEET, "up"), fires: true, because: "that nothing is there is what it is about" },
  },
  {
    alert: "NexusPodsNotReady",
    fires: { series: { ...oneNotReady(19), ...noneDrains(19) }, onsetSeconds: TURN_SECONDS, says: ["5.263%"] },
    silent: { ...HEALTHY_FLEET, 'nexus_ready{pod="live-a"}': stays(0), 'nexus_draining{pod="live-a"}': stays(1) },
    boundary: [{ ...oneNotReady(20), ...noneDrains(20) }],
    missing: { series: oneNotReady(19, stays(0)), fires: true, because: "a server that does not say that it drains does not" },
  },
  {
    alert: "NexusPodRestarted",
    ends: { series: { process_start_time_seconds: turns(-3600, 290) }, quietSeconds: 900 },
    fires: { series: { process_start_time_seconds: turns(-3600, 290) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["1"] },
    silent: HEALTHY_FLEET,
    boundary: [{ [`process_start_time_seconds{${A}}`]: ends(-3600), 'process_start_time_seconds{pod="live-new"}': "_x9 290+0x1000" }],
    missing: {
      series: without(HEALTHY_FLEET, "process_start_time_seconds"),
      fires: false,
      because: "a pod that says nothing is NexusPodDown",
    },
  },
  {
    alert: "NexusPodRestartsOften",
    ends: { series: { process_start_time_seconds: "1+0x3 2+0x3 3+0x3 4+0x1000" }, quietSeconds: 1020 },
    fires: { series: { process_start_time_seconds: "1+0x3 2+0x3 3+0x3 4+0x1000" }, onsetSeconds: 360, labels: POD, says: ["3"] },
    silent: HEALTHY_FLEET,
    boundary: [{ process_start_time_seconds: "1+0x3 2+0x3 3+0x1000" }],
    missing: {
      series: without(HEALTHY_FLEET, "process_start_time_seconds"),
      fires: false,
      because: "a pod that says nothing is NexusPodDown",
    },
  },
  {
    alert: "NexusProcessRestarts",
    ends: { series: { nexus_process_restarts_total: once(1) }, quietSeconds: 1200 },
    fires: { series: { nexus_process_restarts_total: wakes(1) }, onsetSeconds: TURN_SECONDS, labels: POD, says: ["1"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_process_restarts_total: stays(4) }],
    missing: { series: without(HEALTHY_FLEET, "nexus_process_restarts_total"), fires: false, because: "nothing was counted" },
  },
  {
    alert: "NexusDrainTakesLong",
    fires: { series: { nexus_draining: turns(0, 1) }, onsetSeconds: TURN_SECONDS, labels: POD, says: [] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_draining: lapses(0, 1, 90) }],
    missing: { series: { nexus_draining: "0+0x9 1+0x1 stale" }, fires: false, because: "the pod has ended, as it should" },
  },
  {
    alert: "NexusLogsErrors",
    fires: {
      series: { 'nexus_log_lines_total{level="error"}': rises(1.05), 'nexus_log_lines_total{level="info"}': rises(1000) },
      onsetSeconds: 300,
      says: ["10.5"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ 'nexus_log_lines_total{level="error"}': rises(1), 'nexus_log_lines_total{level="warn"}': rises(100) }],
    missing: {
      series: { 'nexus_log_lines_total{level="info"}': rises(1000) },
      fires: false,
      because: "no line of that level was written",
    },
  },
];
