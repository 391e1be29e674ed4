// Why: the spec's words for scaling, in the units the operator's own scaler counts in. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { STEP_UP_SECONDS } from "./horizontal.ts";
import { type Autoscaling, requestOf } from "./target.ts";

const seconds = (count: number): number => count * 1000;

/** Times in milliseconds. */
export const scaleRules = ({ minReplicas, maxReplicas, scaleUp, scaleDown }: Autoscaling) => ({
  ...{ minReplicas, maxReplicas },
  up: {
    stabilizationMs: seconds(scaleUp.stabilizationSeconds),
    podsPerStep: scaleUp.podsPerStep,
    stepMs: seconds(STEP_UP_SECONDS),
  },
  down: {
    stabilizationMs: seconds(scaleDown.stabilizationSeconds),
    podsPerStep: scaleDown.podsPerStep,
    stepMs: seconds(scaleDown.stepSeconds),
  },
});

/** Without `autoscaling` a fleet goes down to `replicas` as it would by default, a pod a minute. */
export const rulesOfRemoval = (replicas: number) => ({
  ...{ minReplicas: replicas, maxReplicas: replicas },
  up: { stabilizationMs: 0, podsPerStep: 4, stepMs: seconds(STEP_UP_SECONDS) },
  down: { stabilizationMs: 0, podsPerStep: 1, stepMs: seconds(60) },
});

/**
 * What one pod should carry: sessions, deliveries a second, cores, bytes. CPU and memory only where the pods request some.
 * `amountOf` reads a quantity; undefined when it is none.
 */
export function scaleTargets(cluster: NexusCluster, { targets }: Autoscaling, amountOf: (quantity: string | number) => number | undefined) {
  const { connectionsPerPod, messagesPerSecondPerPod, cpuPercent, memoryPercent } = targets;
  const share = (resource: "cpu" | "memory", percent: number | undefined): number | undefined => {
    const request = requestOf(cluster, resource);
    const amount = request === undefined || percent === undefined ? undefined : amountOf(request);
    return amount === undefined || percent === undefined || amount <= 0 ? undefined : (amount * percent) / 100;
  };
  const [cpuCores, memoryBytes] = [share("cpu", cpuPercent), share("memory", memoryPercent)];
  return {
    sessions: connectionsPerPod,
    ...(messagesPerSecondPerPod === undefined ? {} : { messagesPerSecond: messagesPerSecondPerPod }),
    ...(cpuCores === undefined ? {} : { cpuCores }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}
