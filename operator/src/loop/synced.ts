// Why: the `Synced` latch: True for a generation once every pod that was ready when it came has acknowledged it. Pods that
// come later never reset it, or a scale-up would rewrite every status. Pure state machine: time and pods are inputs.
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";

/** How long ready pods may stay silent before the object says so. */
export const ACKNOWLEDGE_MS = 30_000;

/** One pod's word on one entry: it has it, it has not answered yet, or it refused it and why. */
export type PodAnswer = "acknowledged" | "silent" | { readonly refused: string };

/** `ready` pods by uid. `answer` is asked for awaited pods only. `nowMs` is monotonic. */
export type LatchView = {
  readonly nowMs: number;
  readonly ready: ReadonlyMap<string, { readonly name: string }>;
  readonly answer: (podUid: string) => PodAnswer;
};

/**
 * A generation that is not acknowledged yet. `awaited`: uids of pods that still have to; undefined while no pod was ready
 * to be told. `hasAnswer`: at least one pod acknowledged.
 */
export type Latch = { readonly sinceMs: number; readonly awaited: ReadonlySet<string> | undefined; readonly hasAnswer: boolean };

export type SyncedVerdict = {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Extract<ConditionReason, "PodsAcknowledged" | "PodsNotAcknowledged" | "PushPending" | "NoReadyPods">;
  readonly message: string;
};

export const ACKNOWLEDGED: SyncedVerdict = {
  status: "True",
  reason: "PodsAcknowledged",
  message: "Every pod that was ready has this generation",
};
export const NOT_PUSHED: SyncedVerdict = { status: "Unknown", reason: "PushPending", message: "The servers have not been told yet" };

/** A new generation: awaited are the pods that are ready now. */
export const openLatch = (view: LatchView): Latch => ({
  sinceMs: view.nowMs,
  awaited: view.ready.size === 0 ? undefined : new Set(view.ready.keys()),
  hasAnswer: false,
});

/** Looks again at pods and answers. A pod that is no longer ready is no longer awaited. The same latch when nothing changed. */
export function stepLatch(latch: Latch, view: LatchView): Latch | "acknowledged" {
  const { awaited } = latch.awaited === undefined ? openLatch(view) : latch;
  if (awaited === undefined) return latch;
  const sinceMs = latch.awaited === undefined ? view.nowMs : latch.sinceMs;
  const left = [...awaited].filter((pod) => view.ready.has(pod) && view.answer(pod) !== "acknowledged");
  const hasAnswer = latch.hasAnswer || [...awaited].some((pod) => view.answer(pod) === "acknowledged");
  if (left.length > 0) {
    const isSame = latch.awaited?.size === left.length && hasAnswer === latch.hasAnswer;
    return isSame ? latch : { sinceMs, awaited: new Set(left), hasAnswer };
  }
  // All awaited pods went away without a word: those that are ready now have to answer instead.
  return hasAnswer ? "acknowledged" : { ...openLatch(view), hasAnswer };
}

/** When the verdict changes by time alone, in monotonic milliseconds; undefined when it does not. */
export const lateAtMs = (latch: Latch): number | undefined => (latch.awaited ? latch.sinceMs + ACKNOWLEDGE_MS : undefined);

/** What the object's `Synced` condition says. */
export function judgeLatch(latch: Latch, view: LatchView): SyncedVerdict {
  if (latch.awaited === undefined) return { status: "Unknown", reason: "NoReadyPods", message: "No pod is ready to be told" };
  const nameOf = (pod: string) => view.ready.get(pod)?.name ?? pod;
  for (const pod of latch.awaited) {
    const answer = view.answer(pod);
    if (typeof answer === "string") continue;
    return { status: "False", reason: "PodsNotAcknowledged", message: `Pod ${nameOf(pod)} refused this generation: ${answer.refused}` };
  }
  const isLate = view.nowMs - latch.sinceMs >= ACKNOWLEDGE_MS;
  if (!isLate) return { status: "Unknown", reason: "PushPending", message: "Waiting for the servers to acknowledge this generation" };
  const names = [...latch.awaited].map(nameOf).sort();
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return {
    status: "False",
    reason: "PodsNotAcknowledged",
    message: `Not acknowledged within ${ACKNOWLEDGE_MS / 1000} s by ${names.slice(0, 3).join(", ")}${more}`,
  };
}
