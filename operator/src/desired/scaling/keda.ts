// Why: autoscaling by KEDA with what Prometheus knows of the servers. Where its release can keep the size when Prometheus is
// away, it is told to; where it cannot, nothing is said, because the older fallback would shrink a fleet. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { behavior } from "./horizontal.ts";
import { type Autoscaling, requestOf, scaleTarget } from "./target.ts";

/** KEDA's answer to a metric that fails so often. */
const FAILURES = 3;
const POLL_SECONDS = 15;

/** Where in the schema of ScaledObject it shows that the fallback can keep the size. */
export const FALLBACK_BEHAVIOR = ["spec", "fallback", "behavior"] as const;

/** Name of the HorizontalPodAutoscaler that KEDA makes for ours. */
export const kedaAutoscalerName = (cluster: string): string => `keda-hpa-${childNames(cluster).server}`;

/** Exactly the pods of this fleet: a Deployment's pods are `<name>-<hash>-<suffix>`. */
const podsOf = ({ metadata }: NexusCluster): string =>
  `namespace="${metadata.namespace ?? "default"}",pod=~"${childNames(metadata.name).server}-[0-9a-z]+-[0-9a-z]+"`;

function prometheusTriggers(cluster: NexusCluster, { targets, prometheus }: Autoscaling) {
  const access = prometheus?.authSecretRef
    ? { auth: { authenticationRef: { name: childNames(cluster.metadata.name).server } }, metadata: { authModes: "bearer" } }
    : { auth: {}, metadata: {} };
  const trigger = (name: string, query: string, threshold: number) => ({
    type: "prometheus",
    name,
    metricType: "AverageValue",
    metadata: { serverAddress: prometheus?.serverAddress ?? "", query, threshold: String(threshold), ...access.metadata },
    ...access.auth,
  });
  const { connectionsPerPod, messagesPerSecondPerPod } = targets;
  const pods = podsOf(cluster);
  return [
    trigger("sessions", `sum(nexus_sessions{${pods}})`, connectionsPerPod),
    ...(messagesPerSecondPerPod === undefined
      ? []
      : [trigger("deliveries", `sum(rate(nexus_deliveries_total{${pods}}[1m]))`, messagesPerSecondPerPod)]),
  ];
}

const utilization = (type: "cpu" | "memory", percent: number) => ({
  type,
  metricType: "Utilization",
  metadata: { value: String(percent) },
});

/** `canKeepSize`: the served schema has {@link FALLBACK_BEHAVIOR}. */
export function scaledObject(
  cluster: NexusCluster,
  autoscaling: Autoscaling,
  { canKeepSize, ...context }: RenderContext & { readonly canKeepSize: boolean },
) {
  const { minReplicas, maxReplicas, targets, scaleDown } = autoscaling;
  const { cpuPercent, memoryPercent } = targets;
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
    spec: {
      scaleTargetRef: scaleTarget(cluster),
      ...{ minReplicaCount: minReplicas, maxReplicaCount: maxReplicas },
      ...{ pollingInterval: POLL_SECONDS, cooldownPeriod: scaleDown.stabilizationSeconds },
      ...(canKeepSize ? { fallback: { failureThreshold: FAILURES, replicas: minReplicas, behavior: "currentReplicasIfHigher" } } : {}),
      advanced: {
        restoreToOriginalReplicaCount: false, // whoever scales next begins with the size there is
        horizontalPodAutoscalerConfig: { behavior: behavior(autoscaling) },
      },
      triggers: [
        ...prometheusTriggers(cluster, autoscaling),
        ...(cpuPercent === undefined || requestOf(cluster, "cpu") === undefined ? [] : [utilization("cpu", cpuPercent)]),
        ...(memoryPercent === undefined || requestOf(cluster, "memory") === undefined ? [] : [utilization("memory", memoryPercent)]),
      ],
    },
  };
}

/** The bearer token for Prometheus; undefined when none is named. */
export function triggerAuthentication(cluster: NexusCluster, { prometheus }: Autoscaling, context: RenderContext) {
  const ref = prometheus?.authSecretRef;
  if (!ref) return undefined;
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "TriggerAuthentication",
    metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
    spec: { secretTargetRef: [{ parameter: "bearerToken", name: ref.name, key: ref.key }] },
  };
}
