// Why: autoscaling by Kubernetes' own controller. What the spec asks for is rendered whether somebody serves the metric or not:
// one that is missing keeps the controller from shrinking, which is safe. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { type Autoscaling, requestOf, scaleTarget } from "./target.ts";

/** How often pods may be added, in seconds. */
export const STEP_UP_SECONDS = 15;

/** Names under which an adapter has to serve what the servers count (docs/autoscaling.md). */
export const POD_METRICS = { sessions: "nexus_sessions", messages: "nexus_deliveries_per_second" } as const;

const podsMetric = (name: string, averageValue: number) => ({
  type: "Pods",
  pods: { metric: { name }, target: { type: "AverageValue", averageValue: String(averageValue) } },
});
const resourceMetric = (name: "cpu" | "memory", averageUtilization: number) => ({
  type: "Resource",
  resource: { name, target: { type: "Utilization", averageUtilization } },
});

/** Steps and windows; KEDA hands the same to the controller it uses. */
export const behavior = ({ scaleUp, scaleDown }: Autoscaling) => ({
  scaleUp: {
    stabilizationWindowSeconds: scaleUp.stabilizationSeconds,
    selectPolicy: "Max",
    policies: [{ type: "Pods", value: scaleUp.podsPerStep, periodSeconds: STEP_UP_SECONDS }],
  },
  scaleDown: {
    stabilizationWindowSeconds: scaleDown.stabilizationSeconds,
    selectPolicy: "Max",
    policies: [{ type: "Pods", value: scaleDown.podsPerStep, periodSeconds: scaleDown.stepSeconds }],
  },
});

export function horizontalPodAutoscaler(cluster: NexusCluster, autoscaling: Autoscaling, context: RenderContext) {
  const { minReplicas, maxReplicas, targets } = autoscaling;
  const { connectionsPerPod, messagesPerSecondPerPod, cpuPercent, memoryPercent } = targets;
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context),
    spec: {
      scaleTargetRef: scaleTarget(cluster),
      ...{ minReplicas, maxReplicas },
      metrics: [
        podsMetric(POD_METRICS.sessions, connectionsPerPod),
        ...(messagesPerSecondPerPod === undefined ? [] : [podsMetric(POD_METRICS.messages, messagesPerSecondPerPod)]),
        ...(cpuPercent === undefined || requestOf(cluster, "cpu") === undefined ? [] : [resourceMetric("cpu", cpuPercent)]),
        ...(memoryPercent === undefined || requestOf(cluster, "memory") === undefined ? [] : [resourceMetric("memory", memoryPercent)]),
      ],
      behavior: behavior(autoscaling),
    },
  };
}
