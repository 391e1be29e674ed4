// Why: the objects one NexusCluster asks for, besides its Secrets: one small builder each. Pure and deterministic.
// The size is never among them: only the scale subresource sets it, because applying a Deployment without replicas
// would drop a fleet to one.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childLabels, childNames, ownedBy, selectorLabels } from "./names.ts";
import { PORTS, PROPAGATION_SECONDS, podTemplate, type RenderContext } from "./pod-template.ts";

function metadata(cluster: NexusCluster, name: string, { operatorId }: RenderContext, annotations?: Readonly<Record<string, string>>) {
  return {
    name,
    namespace: cluster.metadata.namespace ?? "default",
    labels: childLabels(cluster.metadata.name, "server", operatorId),
    ownerReferences: ownedBy(cluster),
    ...(annotations ? { annotations } : {}),
  };
}

export const serviceAccount = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: metadata(cluster, childNames(cluster.metadata.name).server, context),
  automountServiceAccountToken: false,
});

export const service = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata(cluster, childNames(cluster.metadata.name).server, context, cluster.spec.exposure.service.annotations),
  spec: {
    type: cluster.spec.exposure.service.type,
    selector: selectorLabels(cluster.metadata.name, "server"),
    ports: [{ name: "http", port: PORTS.http, targetPort: "http", protocol: "TCP" }],
  },
});

export const disruptionBudget = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: metadata(cluster, childNames(cluster.metadata.name).server, context),
  spec: {
    maxUnavailable: "10%",
    selector: { matchLabels: selectorLabels(cluster.metadata.name, "server") },
    unhealthyPodEvictionPolicy: "AlwaysAllow",
  },
});

const deploymentHead = (cluster: NexusCluster, context: RenderContext) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: metadata(cluster, childNames(cluster.metadata.name).server, context),
});
const selector = (cluster: NexusCluster) => ({ matchLabels: selectorLabels(cluster.metadata.name, "server") });

/** The Deployment without its pod template: strategy and deadlines. */
export function deployment(cluster: NexusCluster, context: RenderContext) {
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
    },
  };
}

/** The Deployment's pod template alone, for its own field manager. It also creates the Deployment. */
export const deploymentPods = (cluster: NexusCluster, context: RenderContext) => ({
  ...deploymentHead(cluster, context),
  spec: { selector: selector(cluster), template: podTemplate(cluster, context) },
});

/** Fields of the spec that this version accepts and cannot carry out; empty when there are none. */
export function notSupported({ spec }: NexusCluster): readonly string[] {
  const found: string[] = [];
  if (spec.redis.mode !== "None") found.push("spec.redis.mode");
  if (spec.autoscaling) found.push("spec.autoscaling");
  if (spec.storage.inbox === "Postgres") found.push("spec.storage.inbox");
  if (spec.exposure.ingress) found.push("spec.exposure.ingress");
  if (spec.exposure.gateway) found.push("spec.exposure.gateway");
  if (spec.tls) found.push("spec.tls");
  if (spec.monitoring.tracing) found.push("spec.monitoring.tracing");
  return found;
}
