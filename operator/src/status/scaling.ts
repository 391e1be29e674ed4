// Why: what the status says of a fleet's scaler. Pure.
import { type Judgement, judge } from "./conditions.ts";

export type ScalingSeen = { readonly kind: "notRequested" } | { readonly kind: "notSupported" };

/** `AutoscalingActive`. */
export function autoscalingActive(seen: ScalingSeen | undefined): Judgement {
  if (!seen) return judge("AutoscalingActive", "Unknown", "NotObserved", "not looked at yet");
  return seen.kind === "notRequested"
    ? judge("AutoscalingActive", "True", "NotRequested", "not asked for")
    : judge("AutoscalingActive", "False", "NotSupported", "this version cannot scale by itself");
}
