// Why: the `Synced` latch: True for a generation once every pod that was ready when it came has acknowledged it. Pods that
// come later never reset it, or a scale-up would rewrite every status. Pure state machine: time and pods are inputs.
// What a condition says about it is `status/synced.ts`' to choose.
import { ACKNOWLEDGE_MS, type Acknowledgement } from "../status/synced.ts";

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

/** The pods' word on the generation so far. */
export function acknowledgementOf(latch: Latch, view: LatchView): Acknowledgement {
  if (latch.awaited === undefined) return { kind: "nobody" };
  const nameOf = (pod: string) => view.ready.get(pod)?.name ?? pod;
  for (const pod of latch.awaited) {
    const answer = view.answer(pod);
    if (typeof answer !== "string") return { kind: "rejected", reason: `${nameOf(pod)}: ${answer.refused}` };
  }
  return { kind: "waiting", sinceMs: latch.sinceMs, pods: [...latch.awaited].map(nameOf).sort() };
}

/** A text that changes when people should hear of it: who is still awaited is news only once that is an error. */
export function verdictOf(latch: Latch, view: LatchView): string {
  if (latch.awaited === undefined) return "nobody";
  for (const pod of latch.awaited) {
    const answer = view.answer(pod);
    if (typeof answer !== "string") return `${pod} refused: ${answer.refused}`;
  }
  return view.nowMs - latch.sinceMs >= ACKNOWLEDGE_MS ? `late: ${[...latch.awaited].join()}` : "waiting";
}
