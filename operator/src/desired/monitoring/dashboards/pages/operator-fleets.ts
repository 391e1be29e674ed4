// Why: the part of the operator's page about what it looks after: what people change, and what becomes of fleets. Pure.
import type { Row } from "../model.ts";
import { happening, quantiles } from "../promql.ts";
import { NEVER_HAPPENED } from "../scope.ts";
import { CLUSTER, CLUSTER_LEGEND, line, of } from "./operator-series.ts";

export const changesRow: Row = {
  title: "What people change",
  panels: [
    line({
      title: "From an edit to live",
      description: "From an edit that was seen to the word of all ready pods. Usual is well below a second.",
      unit: "s",
      thresholds: { warning: 1, error: 5 },
      queries: quantiles(of("nexus_operator_live_duration_seconds_bucket")),
      alerts: ["NexusConfigurationSlow"],
    }),
    line({
      title: "Pushes to a pod",
      description: "From a push to the pod's word that it took it. Slow pushes with fast passes: busy servers or the network.",
      unit: "s",
      queries: quantiles(of("nexus_operator_push_duration_seconds_bucket")),
    }),
    line({
      title: "Pushes that were not plain",
      description:
        "mismatch is repaired at once; failed: a pod cannot be reached; rejected: it cannot use an object; stale: another leader came first.",
      unit: "cps",
      queries: [{ expr: happening(of("nexus_operator_push_events_total"), "event"), legend: "{{event}}", mayBeEmpty: NEVER_HAPPENED }],
    }),
    line({
      title: "Oldest change that is not live",
      description: "By fleet. One that grows alone: its pods are away, or one of them refuses.",
      unit: "s",
      thresholds: { warning: 30, error: 60 },
      queries: [{ expr: `max by (${CLUSTER}) (${of("nexus_operator_cluster_oldest_push_seconds")})`, legend: CLUSTER_LEGEND }],
      alerts: ["NexusConfigurationNotAcknowledged"],
    }),
    line({
      title: "Tenants and Templates that are not ready",
      description: "Over all fleets. A step after a deployment: somebody applied something that is refused; its status says why.",
      unit: "short",
      queries: [{ expr: `sum by (kind) (${of("nexus_operator_objects", 'state="not_ready"')})`, legend: "{{kind}}" }],
      alerts: ["NexusObjectsNotReady"],
    }),
    line({
      title: "Tenants and Templates",
      description: "All it looks after. Ten thousands more than yesterday explain its memory and the length of a restart.",
      unit: "short",
      queries: [{ expr: `sum by (kind) (${of("nexus_operator_objects")})`, legend: "{{kind}}" }],
    }),
  ],
};

const byFleet = (metric: string) => ({ expr: `max by (${CLUSTER}) (${of(metric)})`, legend: CLUSTER_LEGEND });

/** What pods find when they start while no operator runs. */
export const bootRow: Row = {
  title: "Boot copies and old data",
  panels: [
    line(
      {
        title: "Boot copies, oldest change they lack",
        description: "A minute is usual. Older: a pod that starts without an operator would have old configuration, withdrawn keys too.",
        unit: "s",
        thresholds: { warning: 120, error: 300 },
        queries: [byFleet("nexus_operator_boot_copy_oldest_seconds")],
        alerts: ["NexusBootCopyOld"],
      },
      6,
    ),
    line(
      {
        title: "Boot copies, fullest Secret",
        description: "Of the 64 of each fleet. At 100 % Templates are left out of the copy.",
        unit: "percentunit",
        thresholds: { warning: 0.8, error: 1 },
        queries: [byFleet("nexus_operator_boot_copy_fullest_ratio")],
        alerts: ["NexusBootCopyFills"],
      },
      6,
    ),
    line(
      {
        title: "Objects that do not fit into boot copies",
        description: "Above 0 the copy is full: such Templates reach new pods by push only.",
        unit: "short",
        thresholds: { warning: 1, error: 1000 },
        queries: [byFleet("nexus_operator_boot_copy_left_entries")],
        alerts: ["NexusConfigurationNotSynced"],
      },
      6,
    ),
    line(
      {
        title: "Deleted tenants whose data are left",
        description: "Until a pod reports that they are gone. For days: the fleet is away, or deleting fails; see the fleet's page.",
        unit: "short",
        queries: [byFleet("nexus_operator_purges_pending")],
      },
      6,
    ),
  ],
};

export const fleetsRow: Row = {
  title: "Fleets",
  panels: [
    line({
      title: "Pods missing",
      description:
        "Asked for and not ready, by fleet. For minutes: no room on the nodes, an image that cannot be pulled, a server that does not start.",
      unit: "short",
      queries: [
        {
          expr: `sum by (${CLUSTER}) (${of("nexus_operator_cluster_pods", 'state="wanted"')}) - sum by (${CLUSTER}) (${of("nexus_operator_cluster_pods", 'state="ready"')})`,
          legend: CLUSTER_LEGEND,
        },
      ],
      alerts: ["NexusClusterBelowSize"],
    }),
    line({
      title: "Ready pods without the whole configuration",
      description: "They answer with what they have. Above 0 for longer than a push takes: see pushes above.",
      unit: "short",
      queries: [
        {
          expr: `sum by (${CLUSTER}) (${of("nexus_operator_cluster_pods", 'state="ready"')}) - sum by (${CLUSTER}) (${of("nexus_operator_cluster_pods", 'state="synced"')})`,
          legend: CLUSTER_LEGEND,
        },
      ],
    }),
    line({
      title: "Size, of what it may grow to",
      description: "Pods asked for against autoscaling's maximum. At 100 % it cannot grow any more.",
      unit: "percentunit",
      thresholds: { warning: 0.8, error: 1 },
      queries: [
        {
          expr: `sum by (${CLUSTER}) (${of("nexus_operator_cluster_pods", 'state="wanted"')}) / sum by (${CLUSTER}) (${of("nexus_operator_cluster_replicas_bound", 'bound="max"')})`,
          legend: CLUSTER_LEGEND,
        },
      ],
      alerts: ["NexusAutoscalingAtMaximum"],
    }),
    {
      kind: "table",
      title: "Conditions that are not well",
      description:
        "Of all fleets: conditions that should be True and are not, and Stalled or Drift that are. kubectl nexus explain says why.",
      unit: "none",
      width: 12,
      columns: { nexus_namespace: "Namespace", nexus_cluster: "Fleet", type: "Condition" },
      sort: { by: "Condition", first: "largest" },
      alerts: [
        "NexusClusterStalled",
        "NexusClusterDrift",
        "NexusConfigurationNotSynced",
        "NexusAutoscalingInactive",
        "NexusClusterUnmonitored",
      ],
      queries: [
        {
          expr: `max by (${CLUSTER}, type) (${of("nexus_operator_cluster_condition", 'type!~"Reconciling|Stalled|Paused|Drift"')} < 1 or ${of("nexus_operator_cluster_condition", 'type=~"Stalled|Paused|Drift"')} == 1)`,
          legend: "Status",
          mayBeEmpty: "every condition of every fleet is well",
        },
      ],
      values: {
        Status: {
          words: { 1: { text: "True", color: "red" }, 0: { text: "False", color: "red" }, [-1]: { text: "Unknown", color: "yellow" } },
        },
      },
    },
    line(
      {
        title: "Time until certificates end",
        description:
          "The first to end of each kind. The operator renews those of the admin port long before; the listener's are yours or cert-manager's.",
        unit: "s",
        queries: [
          {
            expr: `min by (certificate) (${of("nexus_operator_certificate_expiry_timestamp_seconds")} > 0) - time()`,
            legend: "{{certificate}}",
          },
        ],
        alerts: ["NexusCertificateNotRenewed", "NexusCertificateUnreadable"],
      },
      12,
    ),
    line(
      {
        title: "Rollouts that wait",
        description: "paused: clients could not open sessions on the new pods; pending: another version of the pods waits for approval.",
        unit: "short",
        queries: [
          { expr: `sum(${of("nexus_operator_rollout_paused")})`, legend: "paused" },
          { expr: `sum(${of("nexus_operator_upgrade_pending")})`, legend: "pending" },
        ],
        alerts: ["NexusRolloutPaused", "NexusUpgradePending"],
      },
      8,
    ),
    line(
      {
        title: "Fleets held back, fleets without series",
        description:
          "Held back: failed so often in a row that they are worked on rarely. Without series: past the cap, their lines are missing here.",
        unit: "short",
        queries: [
          { expr: `max(${of("nexus_operator_clusters_held_back")})`, legend: "held back" },
          { expr: `max(${of("nexus_operator_clusters_unlabelled")})`, legend: "without series" },
        ],
        alerts: ["NexusOperatorClustersHeldBack", "NexusClustersWithoutSeries"],
      },
      8,
    ),
    line({
      title: "Since the last good pass",
      description:
        "By fleet; each is looked at every minute unless it is paused. Growing: its passes fail, see reconcile.failed in the log.",
      unit: "s",
      thresholds: { warning: 180, error: 600 },
      queries: [
        {
          expr: `time() - max by (${CLUSTER}) (${of("nexus_operator_cluster_reconciled_timestamp_seconds")})`,
          legend: CLUSTER_LEGEND,
        },
      ],
      alerts: ["NexusClusterNotReconciled"],
    }),
  ],
};
