// Why: conditions follow Kubernetes' rules in one place: lastTransitionTime moves only with status, each verdict names the
// generation it is about, abnormal conditions are there only while True. Pure; time comes in as a parameter.
import type { Condition, ConditionReason, ConditionType } from "@nexus/protocol/resources/conditions.ts";

/** A verdict before it has times. */
export type Judgement = {
  readonly type: ConditionType;
  readonly status: Condition["status"];
  readonly reason: ConditionReason;
  readonly message: string;
};

export const judge = (type: ConditionType, status: Condition["status"], reason: ConditionReason, message: string): Judgement => ({
  type,
  status,
  reason,
  message,
});
export const isTrue = (judgement: Judgement): boolean => judgement.status === "True";

const ABNORMAL: ReadonlySet<ConditionType> = new Set(["Reconciling", "Stalled", "Paused", "Drift"]);
/** Longest message that is written; the API allows 32768. */
const MESSAGE_CHARACTERS = 1024;

/**
 * The conditions of a status: `judgements` in their order, with times carried over from `previous` where the status did not
 * change. Abnormal types that are not True are left out. `now` is RFC 3339 in seconds, as Kubernetes writes it.
 */
export function conditions(
  judgements: readonly Judgement[],
  context: { readonly previous: readonly Condition[] | undefined; readonly generation: number; readonly now: string },
): Condition[] {
  const kept = judgements.filter((one) => !ABNORMAL.has(one.type) || isTrue(one));
  return kept.map(({ type, status, reason, message }) => {
    const before = context.previous?.find((one) => one.type === type);
    return {
      type,
      status,
      reason,
      message: message.length > MESSAGE_CHARACTERS ? `${message.slice(0, MESSAGE_CHARACTERS - 1)}…` : message,
      observedGeneration: context.generation,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : context.now,
    };
  });
}

/** RFC 3339 in whole seconds. */
export const timestamp = (wallMs: number): string => `${new Date(wallMs).toISOString().slice(0, 19)}Z`;

/** A list for people: the first few, then how many more. */
export function few(items: readonly string[], most = 3): string {
  return items.length <= most ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${items.length - most} more`;
}
