// Why: Kubernetes removes the pods with the lowest deletion cost first, so that annotation makes the emptiest go. Costs move by
// powers of two, so that a session more or less is no write. Pure.

export const COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost";

/** Of a pod that does not say: it may be full. */
const UNKNOWN = 31;

/** 0 for an empty pod, then one more each time the sessions double. `sessions` undefined: not known. */
export const deletionCost = (sessions: number | undefined): number =>
  sessions === undefined ? UNKNOWN : sessions < 1 ? 0 : Math.floor(Math.log2(sessions)) + 1;

/** The cost as the annotation says it; 0 when it is absent or no number, as Kubernetes reads it. */
export function costOf(annotations: Readonly<Record<string, string>> | undefined): number {
  const text = annotations?.[COST_ANNOTATION];
  return text !== undefined && /^-?\d{1,10}$/.test(text) ? Number(text) : 0;
}
