// Why: `Synced` means what users think: every pod that was ready has acknowledged this generation. It is a latch per
// generation: pods that come later, or a restart of the operator, do not take it back. Pure.
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import { few, type Judgement, judge } from "./conditions.ts";

/** What the pusher knows about one entry at one uid and generation. */
export type Acknowledgement =
  | { readonly kind: "all" }
  | { readonly kind: "waiting"; readonly sinceMs: number; readonly pods: readonly string[] }
  | { readonly kind: "rejected"; readonly reason: string }
  | { readonly kind: "nobody" };

/** How long pods may take before it is an error, in milliseconds. */
export const ACKNOWLEDGE_MS = 30_000;

/** `previous`: the condition as it stands; True for this generation stays True. `nowMs` is on the clock of `sinceMs`. */
export function syncedJudgement(input: {
  readonly acknowledgement: Acknowledgement;
  readonly previous: Condition | undefined;
  readonly generation: number;
  readonly nowMs: number;
}): Judgement {
  const { acknowledgement, previous, generation, nowMs } = input;
  if (acknowledgement.kind !== "rejected" && previous?.status === "True" && previous.observedGeneration === generation) {
    return judge("Synced", "True", previous.reason, previous.message);
  }
  switch (acknowledgement.kind) {
    case "all":
      return judge("Synced", "True", "PodsAcknowledged", "every ready pod has this generation");
    case "rejected":
      return judge("Synced", "False", "PodsNotAcknowledged", `a pod refused it: ${acknowledgement.reason}`);
    case "nobody":
      return judge("Synced", "False", "NoReadyPods", "no pod of the cluster is ready");
    case "waiting": {
      const pods = few(acknowledgement.pods);
      return nowMs - acknowledgement.sinceMs >= ACKNOWLEDGE_MS
        ? judge("Synced", "False", "PodsNotAcknowledged", `no answer for 30 s from ${pods}`)
        : judge("Synced", "Unknown", "PushPending", `waiting for ${pods}`);
    }
    default:
      return acknowledgement satisfies never;
  }
}
