// Why: the cases of alerts about clusters, as the operator sees them.
import { type AlertCase, histogram, lapses, stays, TURN_SECONDS, turns, type World } from "./case.ts";
import { HEALTHY_OPERATOR } from "./healthy.ts";

const JOB = { job: "nexus-system/nexus-operator" };
const CLUSTER = { nexus_namespace: "prod", nexus_cluster: "live" };
const C = 'nexus_namespace="prod",nexus_cluster="live"';
const DAY = 86_400;

/** A condition that no alert is about. */
const OTHER = `nexus_operator_cluster_condition{${C},type="Reconciling"}`;

const NOBODY_LEADS: World = { up: stays(1) };
const because = "only the leader says it, and nobody leads: NexusOperatorHasNoLeader";

/** An alert on a condition. `well`: what it is when it is silent. */
const condition = (alert: string, type: string, forSeconds: number, [well, bad]: readonly [number, number]): AlertCase => {
  const metric = `nexus_operator_cluster_condition{${C},type="${type}"}`;
  return {
    alert,
    fires: {
      series: { [metric]: turns(well, bad), [metric.replace('"live"', '"other"')]: stays(well), [OTHER]: stays(1) },
      onsetSeconds: TURN_SECONDS,
      labels: CLUSTER,
      says: [],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [metric]: lapses(well, bad, forSeconds), [OTHER]: stays(1) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  };
};

const flag = (alert: string, metric: string, forSeconds: number): AlertCase => ({
  alert,
  fires: { series: { [`${metric}{${C}}`]: turns(0, 1) }, onsetSeconds: TURN_SECONDS, labels: CLUSTER, says: [] },
  silent: HEALTHY_OPERATOR,
  boundary: [{ [`${metric}{${C}}`]: lapses(0, 1, forSeconds) }],
  missing: { series: NOBODY_LEADS, fires: false, because },
});

const pods = (state: string) => `nexus_operator_cluster_pods{${C},state="${state}"}`;
const bound = (which: string) => `nexus_operator_cluster_replicas_bound{${C},bound="${which}"}`;
const expiry = (certificate: string) => `nexus_operator_certificate_expiry_timestamp_seconds{${C},certificate="${certificate}"}`;
const push = `nexus_operator_cluster_oldest_push_seconds{${C}}`;
const bootCopy = `nexus_operator_boot_copy_oldest_seconds{${C}}`;
const fullest = `nexus_operator_boot_copy_fullest_ratio{${C}}`;
const reconciled = `nexus_operator_cluster_reconciled_timestamp_seconds{${C}}`;
const available = `nexus_operator_cluster_condition{${C},type="Available"}`;
const paused = `nexus_operator_cluster_condition{${C},type="Paused"}`;
const objects = (state: string) => `nexus_operator_objects{kind="Template",state="${state}"}`;

export const CLUSTER_CASES: readonly AlertCase[] = [
  {
    ...condition("NexusClusterUnavailable", "Available", 180, [1, 0]),
    boundary: [
      { [available]: lapses(1, 0, 180), [OTHER]: stays(1) },
      { [available]: stays(0), [pods("wanted")]: stays(0) },
    ],
    missing: { series: { [available]: stays(0) }, fires: true, because: "how many pods are wanted is not known; none is there" },
  },
  condition("NexusClusterNotReady", "Ready", 900, [1, -1]),
  condition("NexusClusterStalled", "Stalled", 300, [0, 1]),
  condition("NexusClusterDrift", "Drift", 300, [0, 1]),
  condition("NexusConfigurationNotSynced", "ConfigSynced", 600, [1, 0]),
  condition("NexusClusterUnmonitored", "MonitoringReady", 900, [1, 0]),
  condition("NexusAutoscalingInactive", "AutoscalingActive", 600, [-1, 0]),
  {
    alert: "NexusClusterBelowSize",
    fires: {
      series: { [pods("wanted")]: turns(4, 5), [pods("ready")]: stays(4) },
      onsetSeconds: TURN_SECONDS,
      labels: CLUSTER,
      says: ["1"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [pods("wanted")]: stays(4), [pods("ready")]: lapses(4, 3, 600) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
  {
    alert: "NexusAutoscalingAtMaximum",
    fires: {
      series: { [pods("wanted")]: turns(9, 10), [bound("min")]: stays(2), [bound("max")]: stays(10) },
      onsetSeconds: TURN_SECONDS,
      labels: CLUSTER,
      says: ["10"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [pods("wanted")]: stays(9), [pods("ready")]: stays(10), [bound("min")]: stays(2), [bound("max")]: stays(10) }],
    missing: { series: { [pods("wanted")]: stays(10) }, fires: false, because: "without autoscaling there is no maximum" },
  },
  flag("NexusRolloutPaused", "nexus_operator_rollout_paused", 300),
  flag("NexusUpgradePending", "nexus_operator_upgrade_pending", 3600),
  {
    alert: "NexusCertificateNotRenewed",
    fires: {
      series: { [expiry("admin")]: stays(80 * DAY), [expiry("admin_ca")]: stays(120 * DAY + 600), [expiry("listener")]: stays(DAY) },
      onsetSeconds: 630, // the first step below 120 days
      labels: { ...CLUSTER, certificate: "admin_ca" },
      says: ["119d 23h 58m 30s"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [
      { [expiry("admin")]: stays(15 * DAY + 9000), [expiry("admin_ca")]: stays(120 * DAY + 9000) },
      { [expiry("admin")]: stays(0), [expiry("admin_ca")]: stays(0) }, // cannot be read, which is another alert
    ],
    missing: { series: { [expiry("admin")]: stays(15 * DAY) }, fires: true, because: "one certificate is enough" },
  },
  {
    alert: "NexusCertificateUnreadable",
    fires: {
      series: { [expiry("listener")]: turns(80 * DAY, 0) },
      onsetSeconds: TURN_SECONDS,
      labels: { ...CLUSTER, certificate: "listener" },
      says: [],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [expiry("listener")]: lapses(80 * DAY, 0, 300), [expiry("admin")]: stays(1) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
  {
    alert: "NexusConfigurationNotAcknowledged",
    fires: { series: { [push]: "0+0x9 31+30x100" }, onsetSeconds: 330, labels: CLUSTER, says: ["3m 1s"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [push]: stays(60) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
  {
    alert: "NexusBootCopyOld",
    fires: { series: { [bootCopy]: turns(60, 601) }, onsetSeconds: TURN_SECONDS, labels: CLUSTER, says: ["10m 1s"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [bootCopy]: stays(600) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
  {
    alert: "NexusBootCopyFills",
    fires: { series: { [fullest]: turns(0.8, 0.81) }, onsetSeconds: TURN_SECONDS, labels: CLUSTER, says: ["81%"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [fullest]: stays(0.8) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
  {
    alert: "NexusClusterNotReconciled",
    fires: { series: { [reconciled]: stays(0), [paused]: stays(0) }, onsetSeconds: 630, labels: CLUSTER, says: ["15m 30s"] },
    silent: HEALTHY_OPERATOR,
    boundary: [
      { [reconciled]: "0+0x19 0+30x1000", [paused]: stays(0) }, // always 600 s ago
      { [reconciled]: stays(0), [paused]: stays(1) },
    ],
    missing: { series: { [reconciled]: stays(0) }, fires: true, because: "who does not say that it is paused is not" },
  },
  {
    alert: "NexusConfigurationSlow",
    // Five edits in ten minutes.
    fires: {
      series: histogram("nexus_operator_live_duration_seconds", { "5": 0.247375, "10": 0.25 }),
      onsetSeconds: 600,
      labels: JOB,
      says: ["5.238s"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [
      histogram("nexus_operator_live_duration_seconds", { "5": 990, "10": 1000 }),
      histogram("nexus_operator_live_duration_seconds", { "5": 0.1, "10": 0.24 }),
    ],
    missing: { series: NOBODY_LEADS, fires: false, because: "nothing was edited" },
  },
  {
    alert: "NexusObjectsNotReady",
    fires: {
      series: { [objects("not_ready")]: turns(5, 51), [objects("ready")]: stays(949) },
      onsetSeconds: TURN_SECONDS,
      labels: { ...JOB, kind: "Template" },
      says: ["5.1%"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [objects("not_ready")]: stays(50), [objects("ready")]: stays(950) }],
    missing: { series: { [objects("not_ready")]: stays(1) }, fires: true, because: "none is ready: all there are are not" },
  },
  {
    alert: "NexusClustersWithoutSeries",
    fires: { series: { nexus_operator_clusters_unlabelled: turns(0, 7) }, onsetSeconds: TURN_SECONDS, labels: JOB, says: ["7", "7"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ nexus_operator_clusters_unlabelled: lapses(0, 7, 900) }],
    missing: { series: NOBODY_LEADS, fires: false, because },
  },
];
