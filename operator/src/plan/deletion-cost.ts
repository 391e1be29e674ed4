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

/** `cost`: as the annotation says it. `sessions`: now; undefined where the pod does not say. */
export type MarkedPod = { readonly cost: number; readonly sessions: number | undefined };

/**
 * Whether the `count` pods that Kubernetes would take by their costs are the emptiest, give or take a factor of two. Costs may be
 * a minute old, and pods of equal cost are all as likely.
 */
export function takesEmptiest(pods: readonly MarkedPod[], count: number): boolean {
  const nth = (costs: readonly number[]) => [...costs].sort((a, b) => a - b)[Math.min(count, costs.length) - 1] ?? 0;
  const mostTaken = nth(pods.map(({ cost }) => cost));
  const mostMeant = nth(pods.map(({ sessions }) => deletionCost(sessions)));
  return pods.every(({ cost, sessions }) => cost > mostTaken || sessions === undefined || deletionCost(sessions) <= mostMeant + 1);
}
