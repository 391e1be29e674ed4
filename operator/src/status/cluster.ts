// Why: the status of a NexusCluster from what was rendered and seen. Pure: data in, status out.

import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster, NexusClusterStatus } from "@nexus/protocol/resources/nexus-cluster.ts";
import { conditions, few, isTrue, type Judgement, judge } from "./conditions.ts";
import type { Obstacle } from "./exposure.ts";
import { type MonitoringSeen, monitoringReady } from "./monitoring.ts";
import { type BrokerWords, type RedisSeen, redisReady } from "./redis.ts";
import { autoscalingActive, type ScalingSeen } from "./scaling.ts";

/** What a pass found; absent members were not looked at yet. */
export type ClusterSeen = {
  /** Of the Deployment's status. */
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly selector: string;
  /** Pods the fleet should have. */
  readonly wantedReplicas: number;
  readonly isDeploymentObserved: boolean;
  readonly isRolloutStuck: boolean;
  /** Why the API server lets no pod in (quota, admission), in its words. */
  readonly podsRefused: string | undefined;
  readonly bundle: { readonly digest: string; readonly podsSynced: number; readonly podsTotal: number } | undefined;
  readonly lagging: readonly { readonly pod: string; readonly why: string }[];
  readonly bootCopy: "complete" | "pending" | "incomplete";
  readonly version: string | undefined;
  readonly sessions: number;
  readonly redis: RedisSeen | undefined;
  readonly brokers: BrokerWords;
  /** What keeps inboxes from where the spec wants them. */
  readonly storage: Refused | undefined;
  readonly scaling: ScalingSeen | undefined;
  readonly monitoring: MonitoringSeen | undefined;
  readonly isRolloutPaused: boolean;
  readonly endpoints: readonly string[];
  /** What keeps the listener or its route from working. */
  readonly exposure: Obstacle | undefined;
  readonly missingSecrets: readonly string[];
  /** A child that belongs to somebody else. */
  readonly conflict: string | undefined;
  readonly contested: readonly string[];
  /** `path (manager)` of what others added. */
  readonly foreign: readonly string[];
  /** `child path (manager)` of what others changed and this pass put back. */
  readonly repaired: readonly string[];
  readonly notSupported: readonly string[];
  readonly pendingRollout: NexusClusterStatus["pendingRollout"];
  readonly error: string | undefined;
};

type Context = {
  readonly now: string;
  readonly isPaused: boolean /** False: keep the published number of sessions. */;
  readonly mayMoveConnections: boolean;
};

/** Two significant digits, so that a status does not move with every session. */
export function rounded(count: number): number {
  if (count < 100) return count;
  const unit = 10 ** (Math.floor(Math.log10(count)) - 1);
  return Math.round(count / unit) * unit;
}

function availability(seen: ClusterSeen): Judgement {
  // Pods that are ready serve, also in the moment before its controller has seen an edit of the Deployment.
  if (seen.readyReplicas > 0 && seen.wantedReplicas > 0) return judge("Available", "True", "AsExpected", `${seen.readyReplicas} ready`);
  if (!seen.isDeploymentObserved) return judge("Available", "Unknown", "NotObserved", "the Deployment was not seen yet");
  if (seen.wantedReplicas === 0) return judge("Available", "False", "ScaledToZero", "no pods are asked for");
  return judge("Available", "False", "ReplicasNotReady", `0/${seen.wantedReplicas} ready`);
}

function configuration(seen: ClusterSeen): Judgement {
  const { bundle } = seen;
  if (!bundle) return judge("ConfigSynced", "Unknown", "NotObserved", "the configuration was not compiled yet");
  if (bundle.podsTotal === 0) return judge("ConfigSynced", "Unknown", "NoReadyPods", "no pod is ready to be told");
  if (bundle.podsSynced < bundle.podsTotal) {
    const why = few(seen.lagging.map(({ pod, why: reason }) => `${pod}: ${reason}`));
    return judge(
      "ConfigSynced",
      "False",
      "PodsNotAcknowledged",
      `${bundle.podsSynced}/${bundle.podsTotal} pods have it${why ? `; ${why}` : ""}`,
    );
  }
  if (seen.bootCopy === "incomplete")
    return judge("ConfigSynced", "False", "BootCopyIncomplete", "the boot Secrets cannot hold everything; the rest is pushed only");
  return judge("ConfigSynced", "True", "PodsAcknowledged", `${bundle.podsSynced}/${bundle.podsTotal} pods have it`);
}

function replicasReady(seen: ClusterSeen): Judgement {
  const { readyReplicas: ready, wantedReplicas: wanted } = seen;
  if (!seen.isDeploymentObserved) return judge("Ready", "Unknown", "NotObserved", "the Deployment was not seen yet");
  if (seen.isRolloutStuck)
    return judge("Ready", "False", "RolloutStuck", `${ready}/${wanted} ready; the rollout made no progress within its deadline`);
  const why = seen.podsRefused === undefined ? "" : `; ${seen.podsRefused}`;
  return ready >= wanted
    ? judge("Ready", "True", wanted === 0 ? "ScaledToZero" : "AllReplicasReady", `${ready}/${wanted} ready`)
    : judge("Ready", "False", "ReplicasNotReady", `${ready}/${wanted} ready${why}`);
}

const PAUSED = "clients cannot open sessions: the rollout waits until it is quiet for two minutes";

/** What keeps the cluster from being Ready and only a user can mend. */
function blocked(seen: ClusterSeen): Judgement | undefined {
  const stop = (reason: Parameters<typeof judge>[2], message: string) => judge("Stalled", "True", reason, message);
  if (seen.conflict) return stop("NameConflict", seen.conflict);
  if (seen.notSupported.length > 0) return stop("NotSupported", `this version cannot carry out ${few(seen.notSupported, 8)}`);
  if (seen.exposure && !seen.exposure.isProgress) return stop(seen.exposure.reason, seen.exposure.message);
  if (seen.redis?.kind === "refused") return stop(seen.redis.reason, `redis: ${seen.redis.message}`);
  if (seen.storage) return stop(seen.storage.reason, `storage: ${seen.storage.message}`);
  if (seen.missingSecrets.length > 0) return stop("SecretNotFound", `missing: ${few(seen.missingSecrets)}`);
  return undefined;
}

/** How long it is said that something was put back. */
const PUT_BACK_MS = 600_000;

/** What others added stays and is said while it is there; what was put back is said for ten minutes. */
function driftOf(seen: ClusterSeen, previous: NexusClusterStatus["conditions"], now: string): Judgement[] {
  const repaired = seen.repaired.length > 0 ? [`put back: ${few(seen.repaired, 8)}`] : [];
  if (seen.foreign.length > 0)
    return [judge("Drift", "True", "ForeignFields", [`left alone: ${few(seen.foreign, 8)}`, ...repaired].join("; "))];
  const [message] = repaired;
  if (message) return [judge("Drift", "True", "FieldsPutBack", message)];
  const before = previous?.find(({ type, reason }) => type === "Drift" && reason === "FieldsPutBack");
  const isRecent = before && Date.parse(now) - Date.parse(before.lastTransitionTime) < PUT_BACK_MS;
  return isRecent ? [judge("Drift", "True", "FieldsPutBack", before.message)] : [];
}

function judgements(seen: ClusterSeen, previous: NexusClusterStatus["conditions"], now: string): Judgement[] {
  const stalled = blocked(seen);
  const config = configuration(seen);
  const replicas = replicasReady(seen);
  const troubled = seen.error ? judge("Ready", "False", "ApiError", seen.error) : undefined;
  const pending = seen.exposure?.isProgress ? judge("Ready", "False", seen.exposure.reason, seen.exposure.message) : undefined;
  const contested =
    seen.contested.length > 0
      ? judge("Ready", "False", "FieldContested", `another controller keeps writing ${few(seen.contested)}`)
      : undefined;
  const configured =
    config.status === "False" && config.reason === "PodsNotAcknowledged"
      ? judge("Ready", "False", config.reason, config.message)
      : undefined;
  const paused = seen.isRolloutPaused ? judge("Ready", "False", "RolloutPausedOnErrors", PAUSED) : undefined;
  const ready = stalled
    ? judge("Ready", "False", stalled.reason, stalled.message)
    : (troubled ?? pending ?? contested ?? paused ?? (isTrue(replicas) ? (configured ?? replicas) : replicas));
  const reconciling = !stalled && !isTrue(ready) ? [judge("Reconciling", "True", ready.reason, ready.message)] : [];
  return [
    ready,
    availability(seen),
    redisReady(seen.redis, seen.brokers),
    config,
    autoscalingActive(seen.scaling),
    monitoringReady(seen.monitoring),
    ...reconciling,
    ...(stalled ? [stalled] : []),
    ...driftOf(seen, previous, now),
  ];
}

/** The whole status of `cluster`. */
export function clusterStatus(cluster: NexusCluster, seen: ClusterSeen, context: Context): NexusClusterStatus {
  const previous = cluster.status;
  const generation = cluster.metadata.generation ?? 1;
  const paused = context.isPaused
    ? [judge("Paused", "True", "PausedByAnnotation", "the annotation nexus.dev/paused is true; nothing is changed")]
    : [];
  const connections = context.mayMoveConnections ? rounded(seen.sessions) : previous?.connections;
  return {
    observedGeneration: generation,
    replicas: seen.replicas,
    readyReplicas: seen.readyReplicas,
    selector: seen.selector,
    ...(connections === undefined ? {} : { connections }),
    ...(seen.endpoints.length > 0 ? { endpoints: [...seen.endpoints] } : {}),
    ...(seen.version === undefined ? {} : { version: seen.version }),
    ...(seen.bundle ? { bundle: seen.bundle } : {}),
    ...(seen.pendingRollout ? { pendingRollout: seen.pendingRollout } : {}),
    conditions: conditions([...judgements(seen, previous?.conditions, context.now), ...paused], {
      previous: previous?.conditions,
      generation,
      now: context.now,
    }),
  };
}
