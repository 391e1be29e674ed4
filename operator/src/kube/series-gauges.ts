// Why: turns what is known of clusters into series, all anew at each scrape, so that those of a cluster end with it.
import { type AllSeries, SHOWN_CONDITIONS } from "../loop/cluster-series.ts";
import type { OperatorTable } from "./metrics-table.ts";

/** Sets every gauge about clusters and objects; nothing is shown of undefined. */
export function showSeries({ gauge }: OperatorTable): (all: AllSeries | undefined) => void {
  const count = gauge("nexus_operator_clusters");
  const unlabelled = gauge("nexus_operator_clusters_unlabelled");
  const objects = gauge("nexus_operator_objects");
  const condition = gauge("nexus_operator_cluster_condition");
  const pods = gauge("nexus_operator_cluster_pods");
  const bounds = gauge("nexus_operator_cluster_replicas_bound");
  const oldestPush = gauge("nexus_operator_cluster_oldest_push_seconds");
  const certificate = gauge("nexus_operator_certificate_expiry_timestamp_seconds");
  const reconciled = gauge("nexus_operator_cluster_reconciled_timestamp_seconds");
  const heldBack = gauge("nexus_operator_cluster_held_back");
  const bootAge = gauge("nexus_operator_boot_copy_oldest_seconds");
  const bootFullest = gauge("nexus_operator_boot_copy_fullest_ratio");
  const bootLeft = gauge("nexus_operator_boot_copy_left_entries");
  const purges = gauge("nexus_operator_purges_pending");
  const paused = gauge("nexus_operator_rollout_paused");
  const upgrade = gauge("nexus_operator_upgrade_pending");
  const each = [
    ...[count, unlabelled, objects, condition, pods, bounds, oldestPush, certificate],
    ...[reconciled, heldBack, bootAge, bootFullest, bootLeft, purges, paused, upgrade],
  ];

  return (all) => {
    for (const one of each) one.clear();
    if (!all) return;
    count.set({}, all.count);
    unlabelled.set({}, all.count - all.clusters.length);
    for (const { kind, ready, notReady } of all.objects) {
      objects.set({ kind, state: "ready" }, ready);
      objects.set({ kind, state: "not_ready" }, notReady);
    }
    for (const one of all.clusters) {
      const cluster = { nexus_namespace: one.namespace, nexus_cluster: one.name };
      for (const type of SHOWN_CONDITIONS) condition.set({ ...cluster, type }, one.conditions[type]);
      for (const state of ["wanted", "ready", "synced"] as const) pods.set({ ...cluster, state }, one.pods[state]);
      if (one.bounds) for (const bound of ["min", "max"] as const) bounds.set({ ...cluster, bound }, one.bounds[bound]);
      oldestPush.set(cluster, one.oldestPushSeconds);
      for (const { which, expiry } of one.certificates) certificate.set({ ...cluster, certificate: which }, expiry);
      if (one.reconciledMs !== undefined) reconciled.set(cluster, one.reconciledMs / 1000);
      heldBack.set(cluster, Number(one.isHeldBack));
      if (one.boot) {
        bootAge.set(cluster, one.boot.behindSeconds);
        bootFullest.set(cluster, one.boot.fullest);
        bootLeft.set(cluster, one.boot.left);
      }
      purges.set(cluster, one.purges);
      paused.set(cluster, Number(one.isRolloutPaused));
      upgrade.set(cluster, Number(one.isUpgradePending));
    }
  };
}
