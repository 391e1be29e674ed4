// Why: what only the operator knows of every NexusCluster. It speaks of them with labels of its own, because `namespace` is where
// the operator runs. Only the leader has these series, and for a moment two replicas may: so the greatest counts. Pure.
import { type About, CLUSTER, conditionAlerts, largest, WHERE } from "./conditions.ts";
import type { Alert } from "./model.ts";
import type { Series } from "./series.ts";

const DAY = 86_400;
/** A sixth of its life; it is renewed when a third is left. */
const ADMIN_DAYS = 15;
const AUTHORITY_DAYS = 120;
const PUSH_SECONDS = 60;
const NOT_READY_SHARE = 0.05;
const BOOT_COPY_SECONDS = 600;
const NEARLY_FULL = 0.8;
const UNTOUCHED_SECONDS = 600;
const LIVE_SECONDS = 5;
const FEW_EDITS = 5;

const sizes = (of: Series): readonly Alert[] => {
  const pods = (state: string) => largest(of("nexus_operator_cluster_pods", `state="${state}"`));
  const flag = (metric: string, about: About): Alert => ({ ...about, expr: `${largest(of(metric))} == 1` });
  return [
    {
      name: "NexusClusterBelowSize",
      expr: `${pods("wanted")} - ${pods("ready")} > 0`,
      forSeconds: 600,
      severity: "warning",
      summary: `${WHERE} has fewer ready pods than it should`,
      description:
        "For 10 minutes {{ $value }} pods have been missing or not ready. The others carry more; there may be no room for them on the nodes, or no image.",
    },
    {
      name: "NexusAutoscalingAtMaximum",
      expr: `${pods("wanted")} >= ${largest(of("nexus_operator_cluster_replicas_bound", 'bound="max"'))}`,
      forSeconds: 900,
      severity: "warning",
      summary: `${WHERE} is as large as it may become`,
      description:
        "For 15 minutes it has had the {{ $value }} pods that autoscaling.maxReplicas allows. More load is not met by more pods.",
    },
    flag("nexus_operator_rollout_paused", {
      name: "NexusRolloutPaused",
      forSeconds: 300,
      severity: "warning",
      summary: `A rollout of ${WHERE} is paused`,
      description:
        "For 5 minutes new pods have not been started because clients could not open sessions. Old and new pods run side by side; it goes on by itself after two quiet minutes.",
    }),
    flag("nexus_operator_upgrade_pending", {
      name: "NexusUpgradePending",
      forSeconds: 3600,
      severity: "info",
      summary: `Pods of ${WHERE} wait for an upgrade to be approved`,
      description:
        "For 1 h this operator would have rendered other pods than those that run. Nothing is wrong; rollout.approve with the digest in status.pendingRollout lets it go on.",
    }),
  ];
};

const certificates = (of: Series): readonly Alert[] => {
  const expiry = "nexus_operator_certificate_expiry_timestamp_seconds";
  const left = (certificate: string, days: number) =>
    `min by (${CLUSTER}, certificate) (${of(expiry, `certificate="${certificate}"`)} > 0) - time() < ${days * DAY}`;
  return [
    {
      name: "NexusCertificateNotRenewed",
      expr: `${left("admin", ADMIN_DAYS)} or ${left("admin_ca", AUTHORITY_DAYS)}`,
      forSeconds: 60,
      severity: "warning",
      summary: `A certificate of ${WHERE} is not renewed`,
      description: `{{ $labels.certificate }} is valid for another {{ $value | humanizeDuration }}, half of the time in which the operator should have renewed it (below ${ADMIN_DAYS} days for admin, ${AUTHORITY_DAYS} for admin_ca). Nobody is hurt yet; when it ends, no configuration reaches the servers.`,
    },
    {
      name: "NexusCertificateUnreadable",
      expr: `min by (${CLUSTER}, certificate) (${of(expiry)}) == 0`,
      forSeconds: 300,
      severity: "warning",
      summary: `A certificate of ${WHERE} cannot be read`,
      description:
        "For 5 minutes the Secret of {{ $labels.certificate }} has been there without a certificate that can be read. Pods that run keep what they have; pods that start may not come up.",
    },
  ];
};

const pushes = (of: Series): readonly Alert[] => {
  const live = "nexus_operator_live_duration_seconds";
  const objects: Alert = {
    name: "NexusObjectsNotReady",
    expr: `max by (job, kind) (${of("nexus_operator_objects", 'state="not_ready"')}) / sum by (job, kind) (max by (job, kind, state) (${of("nexus_operator_objects")})) > ${NOT_READY_SHARE}`,
    forSeconds: 900,
    severity: "warning",
    summary: "Many objects of kind {{ $labels.kind }} are not ready",
    description: `For 15 minutes {{ $value | humanizePercentage }} of all of them have not been Ready; it fires above ${NOT_READY_SHARE * 100} %. A few are their owners' business; so many have one cause.`,
  };
  return [
    {
      name: "NexusConfigurationNotAcknowledged",
      expr: `${largest(of("nexus_operator_cluster_oldest_push_seconds"))} > ${PUSH_SECONDS}`,
      forSeconds: 120,
      severity: "critical",
      summary: `Configuration does not reach pods of ${WHERE}`,
      description: `A change has waited for a ready pod's word for {{ $value | humanizeDuration }}; it fires above ${PUSH_SECONDS} s. On that pod new keys and templates do not work, and revoked ones still do.`,
    },
    {
      name: "NexusBootCopyOld",
      expr: `${largest(of("nexus_operator_boot_copy_oldest_seconds"))} > ${BOOT_COPY_SECONDS}`,
      forSeconds: 300,
      severity: "warning",
      summary: `What pods of ${WHERE} start from is old`,
      description: `The Secrets that pods boot with lack a change of {{ $value | humanizeDuration }} ago; it fires above ${BOOT_COPY_SECONDS} s. Pods that run have it. One that starts while no operator leads would not, and would take keys that were withdrawn.`,
    },
    {
      name: "NexusBootCopyFills",
      expr: `${largest(of("nexus_operator_boot_copy_fullest_ratio"))} > ${NEARLY_FULL}`,
      forSeconds: 900,
      severity: "info",
      summary: `The configuration of ${WHERE} nearly fills what pods start from`,
      description: `The fullest of the 64 Secrets that pods boot with is {{ $value | humanizePercentage }} full; it fires above ${NEARLY_FULL * 100} %. At 100 % Templates are left out: pods get those by push only, and one that starts without an operator lacks them.`,
    },
    {
      name: "NexusClusterNotReconciled",
      // Who pauses a cluster wants that.
      expr: `time() - ${largest(of("nexus_operator_cluster_reconciled_timestamp_seconds"))} > ${UNTOUCHED_SECONDS} unless ${largest(of("nexus_operator_cluster_condition", 'type="Paused"'))} == 1`,
      forSeconds: 300,
      severity: "warning",
      summary: `The operator does not get on with ${WHERE}`,
      description: `The last pass over it that went well was {{ $value | humanizeDuration }} ago; every minute is usual, and it fires above ${UNTOUCHED_SECONDS} s. Its servers go on; what is changed or breaks there is not looked after.`,
    },
    {
      name: "NexusConfigurationSlow",
      expr: `histogram_quantile(0.99, sum by (job, le) (rate(${of(`${live}_bucket`)}[10m]))) > ${LIVE_SECONDS} and sum by (job) (increase(${of(`${live}_count`)}[10m])) >= ${FEW_EDITS}`,
      forSeconds: 600,
      severity: "warning",
      summary: "Edits take long to be live",
      description: `One edit in a hundred takes {{ $value | humanizeDuration }} or more from being seen to the word of all pods; it fires above ${LIVE_SECONDS} s. Changes work, late.`,
    },
    objects,
    {
      name: "NexusClustersWithoutSeries",
      expr: `max by (job) (${of("nexus_operator_clusters_unlabelled")}) > 0`,
      forSeconds: 900,
      severity: "info",
      summary: "{{ $value }} NexusClusters have no series at the operator",
      description:
        "The operator has series of its own for the first 500 clusters by name. For {{ $value }} others the alerts about conditions, sizes and certificates cannot fire; their servers' own can.",
    },
  ];
};

/** Alerts about every cluster, told apart by `nexus_namespace` and `nexus_cluster`. */
export const clusterAlerts = (of: Series): readonly Alert[] => [...conditionAlerts(of), ...sizes(of), ...certificates(of), ...pushes(of)];
