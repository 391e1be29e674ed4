// Why: what the status says of a fleet's scaler: its own words where it has a status, ours where we scale. Messages hold no
// numbers that move with the load, because every change of a message is a write. Pure.
import type { Condition, ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import { type Judgement, judge } from "./conditions.ts";

/** What is known of the scaler: a verdict, whoever gave it. */
export type ScalingSeen = {
  readonly status: Condition["status"];
  readonly reason: ConditionReason;
  readonly message: string;
};

const seen = (status: Condition["status"], reason: ConditionReason, message: string): ScalingSeen => ({ status, reason, message });

export const SCALING_NOT_REQUESTED = seen("True", "NotRequested", "not asked for");

/** `AutoscalingActive`. */
export const autoscalingActive = (scaling: ScalingSeen | undefined): Judgement =>
  scaling
    ? judge("AutoscalingActive", scaling.status, scaling.reason, scaling.message)
    : judge("AutoscalingActive", "Unknown", "NotObserved", "not looked at yet");

/** The verdict of the last status, for who has nothing newer to say. */
export function previousScaling(conditions: readonly Condition[] | undefined): ScalingSeen | undefined {
  const last = conditions?.find(({ type }) => type === "AutoscalingActive");
  return last && seen(last.status, last.reason, last.message);
}

/** Whether somebody scaled this fleet when its status was last written. */
export const wasScaled = (conditions: readonly Condition[] | undefined): boolean => {
  const last = previousScaling(conditions);
  return last !== undefined && last.reason !== "NotRequested";
};

/** A scaler has to go before another may come. */
export const waitsForScaler = (what: string): ScalingSeen =>
  seen("Unknown", "Progressing", `waiting until ${what} is gone; the size stays`);

/** The spec's bounds are the only numbers here. */
type Bounds = { readonly minReplicas: number; readonly maxReplicas: number };

/** The operator's own scaler. */
export function ownScaler(
  { minReplicas, maxReplicas }: Bounds,
  facts: { readonly isBlind: boolean; readonly limit: "min" | "max" | undefined },
): ScalingSeen {
  if (facts.isBlind)
    return seen("False", "MetricsUnavailable", "too many ready pods do not say how loaded they are: the size may grow and does not shrink");
  if (facts.limit === "max") return seen("True", "ScalingLimited", `the load asks for more than maxReplicas (${maxReplicas})`);
  return seen("True", "ScalingActive", `between ${minReplicas} and ${maxReplicas} pods`);
}

export const movingToReplicas = (replicas: number): ScalingSeen =>
  seen("True", "MovingToReplicas", `autoscaling was removed: down to spec.replicas (${replicas}), a pod a minute`);

/** A condition of a scaler's own status. */
export type ScalerCondition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
};

const find = (conditions: readonly ScalerCondition[] | undefined, type: string) => conditions?.find((one) => one.type === type);
const words = ({ type, reason = "", message = "" }: ScalerCondition): string => `${type}: ${[reason, message].filter(Boolean).join(": ")}`;

/** A HorizontalPodAutoscaler in its own words. */
export function horizontalScaler(conditions: readonly ScalerCondition[] | undefined, bounds: Bounds): ScalingSeen {
  const [able, active, limited] = ["AbleToScale", "ScalingActive", "ScalingLimited"].map((type) => find(conditions, type));
  const failing = [able, active].find((one) => one?.status === "False");
  if (failing) return seen("False", "ScalerReports", words(failing));
  if (!able || !active) return seen("Unknown", "NotObserved", "the HorizontalPodAutoscaler was not looked at by its controller yet");
  if (limited?.status === "True") return seen("True", "ScalingLimited", words(limited));
  return seen("True", "ScalingActive", `between ${bounds.minReplicas} and ${bounds.maxReplicas} pods`);
}

/** A ScaledObject in its own words. `Active` only says whether there is load. */
export function kedaScaler(conditions: readonly ScalerCondition[] | undefined, bounds: Bounds): ScalingSeen {
  const [ready, fallback, paused] = ["Ready", "Fallback", "Paused"].map((type) => find(conditions, type));
  if (!ready || ready.status === "Unknown") return seen("Unknown", "NotObserved", "the ScaledObject was not looked at by KEDA yet");
  if (ready.status === "False") return seen("False", "ScalerReports", words(ready));
  const abnormal = [fallback, paused].find((one) => one?.status === "True");
  if (abnormal) return seen("False", "ScalerReports", words(abnormal));
  return seen("True", "ScalingActive", `between ${bounds.minReplicas} and ${bounds.maxReplicas} pods`);
}
