// Why: gathers what is known of one cluster, from watches, pods and the last passes, into what its status is written from.
// Pure over its inputs: it judges nothing and writes nothing.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { notSupported } from "../desired/children.ts";
import { selectorLabels } from "../desired/names.ts";
import type { ClusterSeen } from "../status/cluster.ts";
import { previousMonitoring } from "../status/monitoring.ts";
import { previousScaling, SCALING_NOT_REQUESTED } from "../status/scaling.ts";
import type { BootState } from "./boot.ts";
import { wantedReplicas } from "./fleet/scaling.ts";
import type { FleetFound } from "./fleet-pass.ts";
import type { PushState } from "./pusher.ts";
import type { DeploymentObject } from "./views.ts";

/** Absent members were not looked at, or do not exist. */
export type ClusterFacts = {
  readonly deployment: DeploymentObject | undefined;
  readonly pushed: PushState | undefined;
  readonly boot: BootState | undefined;
  readonly config: { readonly missing: readonly string[]; readonly refused: string | undefined } | undefined;
  readonly found: FleetFound | undefined;
  readonly error: string | undefined;
};

export function clusterSeen(cluster: NexusCluster, { deployment, pushed, boot, config, found, error }: ClusterFacts): ClusterSeen {
  const { name } = cluster.metadata;
  const status = deployment?.status;
  const progressing = status?.conditions?.find((one) => one.type === "Progressing");
  const refused = status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True");
  const labels = Object.entries(selectorLabels(name, "server")).map(([label, value]) => `${label}=${value}`);
  return {
    replicas: status?.replicas ?? 0,
    readyReplicas: status?.readyReplicas ?? 0,
    selector: labels.join(","),
    wantedReplicas: wantedReplicas(cluster, deployment?.spec.replicas),
    isDeploymentObserved: status !== undefined && (status.observedGeneration ?? 0) >= (deployment?.metadata.generation ?? 0),
    podsRefused: refused?.message,
    isRolloutStuck: progressing?.status === "False" && progressing.reason === "ProgressDeadlineExceeded",
    bundle: pushed ? { digest: pushed.digest, podsSynced: pushed.podsSynced, podsTotal: pushed.podsTotal } : undefined,
    lagging: pushed?.lagging ?? [],
    bootCopy: (boot?.left ?? 0) > 0 ? "incomplete" : boot?.isWritten ? "complete" : "pending",
    version: pushed?.version ?? cluster.status?.version,
    sessions: pushed?.sessions ?? 0,
    // Nothing asked for is nothing to look at, also when a pass could not look.
    storage: found?.storage,
    brokers: pushed?.brokers ?? { up: 0, down: [] },
    redis: found?.redis ?? (cluster.spec.redis.mode === "None" ? { kind: "notRequested" } : undefined),
    // What was said last stands: that somebody scaled is remembered nowhere else.
    scaling:
      found?.scaling ?? previousScaling(cluster.status?.conditions) ?? (cluster.spec.autoscaling ? undefined : SCALING_NOT_REQUESTED),
    monitoring: found?.monitoring ?? previousMonitoring(cluster.status?.conditions),
    isRolloutPaused: found?.isRolloutPaused ?? false,
    endpoints: found?.exposure.endpoints ?? cluster.status?.endpoints ?? [],
    exposure: found?.listenerTls ?? found?.exposure.waitsFor,
    missingSecrets: config?.missing ?? [],
    conflict: found?.conflict ?? config?.refused,
    contested: found?.contested ?? [],
    foreign: found?.foreign ?? [],
    repaired: found?.repaired ?? [],
    notSupported: notSupported(cluster),
    pendingRollout: found ? found.pendingRollout : cluster.status?.pendingRollout, // what was not looked at is as it was
    error,
  };
}
