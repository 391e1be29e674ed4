// Why: when and by how much a size moves. A need must last as long as its window, steps are bounded, and whoever knows too
// little (a new leader, changed rules, silent pods) may grow and must not shrink. Pure: time comes in as a parameter.

export type Direction = {
  /** How long the need must last, in milliseconds. */
  readonly stabilizationMs: number;
  readonly podsPerStep: number;
  /** Time between two steps, in milliseconds. */
  readonly stepMs: number;
};
export type ScaleRules = { readonly minReplicas: number; readonly maxReplicas: number; readonly up: Direction; readonly down: Direction };

/** What has to be remembered between two looks. Times are monotonic milliseconds. */
export type ScaleState = {
  readonly sinceMs: number;
  /** What was asked for, oldest first, as far back as the longer window reaches. */
  readonly asked: readonly { readonly atMs: number; readonly pods: number }[];
  /** Nothing shrinks before. */
  readonly blindUntilMs: number;
  readonly steppedUpMs: number | undefined;
  readonly steppedDownMs: number | undefined;
};

/** Nothing is known yet: a new leader, or rules that changed. */
export const beginScaling = (nowMs: number, rules: ScaleRules): ScaleState => ({
  sinceMs: nowMs,
  asked: [],
  blindUntilMs: nowMs + rules.down.stabilizationMs,
  steppedUpMs: undefined,
  steppedDownMs: undefined,
});

/** Takes down what a look found. `pods`: how many are asked for, undefined when nobody can tell. `isBlind`: too many are silent. */
export function askedFor(
  state: ScaleState,
  look: { readonly atMs: number; readonly pods: number | undefined; readonly isBlind: boolean },
  rules: ScaleRules,
): ScaleState {
  const { atMs, pods } = look;
  const longestMs = Math.max(rules.up.stabilizationMs, rules.down.stabilizationMs);
  const kept = state.asked.filter((one) => one.atMs > atMs - longestMs);
  const isBlind = look.isBlind || pods === undefined;
  return {
    ...state,
    asked: pods === undefined ? kept : [...kept, { atMs, pods }],
    blindUntilMs: isBlind ? Math.max(state.blindUntilMs, atMs + rules.down.stabilizationMs) : state.blindUntilMs,
  };
}

/** `replicas`: the size to have now. `limit`: which bound keeps it from what is asked for. `isHeld`: it would shrink and must not yet. */
export type SizeDecision = { readonly replicas: number; readonly limit: "min" | "max" | undefined; readonly isHeld: boolean };

/** The next size, from `current`. */
export function decideSize(state: ScaleState, current: number, nowMs: number, rules: ScaleRules): SizeDecision {
  const wanted = stabilized(state, current, nowMs, rules);
  const bounded = Math.min(rules.maxReplicas, Math.max(rules.minReplicas, wanted));
  const limit = bounded < wanted ? "max" : bounded > wanted ? "min" : undefined;
  if (bounded >= current) return { replicas: step(current, bounded, since(state.steppedUpMs, nowMs), rules.up), limit, isHeld: false };
  if (nowMs < state.blindUntilMs) return { replicas: current, limit, isHeld: true };
  return { replicas: step(current, bounded, since(state.steppedDownMs, nowMs), rules.down), limit, isHeld: false };
}

/** The size was changed by what {@link decideSize} said. */
export const stepped = (state: ScaleState, from: number, to: number, nowMs: number): ScaleState =>
  to > from ? { ...state, steppedUpMs: nowMs } : { ...state, steppedDownMs: nowMs };

/** The least that was asked for all through the window upwards, the most all through the window downwards, else what there is. */
function stabilized({ asked, sinceMs }: ScaleState, current: number, nowMs: number, { up, down }: ScaleRules): number {
  const latest = asked.at(-1);
  if (!latest) return current;
  const within = (windowMs: number) => [latest.pods, ...asked.filter((one) => one.atMs > nowMs - windowMs).map(({ pods }) => pods)];
  const least = Math.min(...within(up.stabilizationMs));
  if (least > current) return nowMs - sinceMs >= up.stabilizationMs ? least : current;
  return Math.min(current, Math.max(...within(down.stabilizationMs)));
}

const since = (atMs: number | undefined, nowMs: number): number => (atMs === undefined ? Number.POSITIVE_INFINITY : nowMs - atMs);

function step(from: number, to: number, sinceLastMs: number, { podsPerStep, stepMs }: Direction): number {
  if (from === to || sinceLastMs < stepMs) return from;
  return to > from ? Math.min(to, from + podsPerStep) : Math.max(to, from - podsPerStep);
}
