// Why: new pods stay empty while sessions last, so after a scale-up the fullest hand over what is above the mean, at a rate the
// others can take in. Clients choose where they come back, so several rounds get close, and close is enough. Pure.

/** `acceptsPerSecond`: sessions it could take in now. */
export type Weight = { readonly pod: string; readonly sessions: number; readonly acceptsPerSecond: number };
export type ShedOrder = { readonly pod: string; readonly sessions: number; readonly perSecond: number };

/** Nobody is moved while the fullest pod has less than so much of the mean. */
export const BALANCED = 1.25;
/** A pod this close to the mean keeps what it has. */
const NEAR = 1.1;
/** Fewer than so many are not worth a reconnect. */
const FEW = 10;
/** Share of what the others can take: people who come by themselves need some, too. */
const BUDGET = 0.5;

/** What to send away now; nothing when the pods are balanced, or nobody can take more. In the order of `weights`. */
export function shedOrders(weights: readonly Weight[]): readonly ShedOrder[] {
  const mean = weights.reduce((sum, { sessions }) => sum + sessions, 0) / Math.max(1, weights.length);
  const fullest = Math.max(0, ...weights.map(({ sessions }) => sessions));
  if (fullest <= mean * BALANCED) return [];
  const surplus = weights
    .map(({ pod, sessions }) => ({ pod, isOver: sessions > mean * NEAR, sessions: Math.floor(sessions - mean) }))
    .filter(({ isOver, sessions }) => isOver && sessions >= FEW);
  const total = surplus.reduce((sum, { sessions }) => sum + sessions, 0);
  const budget = BUDGET * weights.filter(({ sessions }) => sessions < mean).reduce((sum, one) => sum + one.acceptsPerSecond, 0);
  if (total === 0 || budget <= 0) return [];
  return surplus.map(({ pod, sessions }) => ({ pod, sessions, perSecond: (budget * sessions) / total }));
}
