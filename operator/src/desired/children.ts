// Why: the objects one NexusCluster asks for, besides its Secrets: one small builder each. Pure and deterministic.
// The size is never among them: only the scale subresource sets it, because applying a Deployment without replicas
// would drop a fleet to one.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "./metadata.ts";
import { childNames, selectorLabels } from "./names.ts";
import { PROPAGATION_SECONDS, podTemplate, type RenderContext } from "./pod-template.ts";

export const serviceAccount = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
  automountServiceAccountToken: false,
});

export const disruptionBudget = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
  spec: {
    maxUnavailable: "10%",
    selector: { matchLabels: selectorLabels(cluster.metadata.name, "server") },
    unhealthyPodEvictionPolicy: "AlwaysAllow",
  },
});

const deploymentHead = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
});
const selector = (cluster: NexusCluster) => ({ matchLabels: selectorLabels(cluster.metadata.name, "server") });

/** The Deployment without its pod template: strategy and deadlines. `isPaused`: its rollout waits. */
export function deployment(cluster: NexusCluster, context: RenderContext, { isPaused = false }: { readonly isPaused?: boolean } = {}) {
  const { rollout, redis, delivery } = cluster.spec;
  // A Deployment does not wait for pods that terminate: this puts drains one after another.
  const minReadySeconds = delivery.drainSeconds + PROPAGATION_SECONDS;
  return {
    ...deploymentHead(cluster, context),
    spec: {
      selector: selector(cluster),
      // Two pods without a broker would be two separate services behind one address.
      strategy:
        redis.mode === "None"
          ? { type: "Recreate" }
          : { type: "RollingUpdate", rollingUpdate: { maxSurge: rollout.maxSurge, maxUnavailable: rollout.maxUnavailable } },
      minReadySeconds,
      progressDeadlineSeconds: minReadySeconds + 600,
      revisionHistoryLimit: 5,
      ...(isPaused ? { paused: true } : {}),
    },
  };
}

/** The Deployment's pod template alone, for its own field manager. It also creates the Deployment. */
export const deploymentPods = (cluster: NexusCluster, context: RenderContext) => ({
  ...deploymentHead(cluster, context),
  spec: { selector: selector(cluster), template: podTemplate(cluster, context) },
});

/** Fields this version accepts and cannot carry out, with whether a spec asks for them. There are none now. */
const LATER: ReadonlyMap<string, (spec: NexusCluster["spec"]) => boolean> = new Map();

/** Those of {@link LATER} that the cluster asks for. */
export const notSupported = ({ spec }: NexusCluster): readonly string[] =>
  [...LATER].filter(([, isAsked]) => isAsked(spec)).map(([path]) => path);
