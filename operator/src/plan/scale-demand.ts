// Why: how many pods a load asks for, by HPA's rules: the measure that asks for most wins, small differences ask for nothing,
// and a pod nobody could measure never helps to shrink nor to grow. Pure.

/** What one pod carries; an absent measure is one it could not tell. `memoryBytes` is what it holds now. */
export type PodLoad = {
  readonly sessions: number;
  readonly messagesPerSecond?: number;
  readonly cpuCores?: number;
  readonly memoryBytes?: number;
};
export type Measure = keyof PodLoad;

/** What one pod should carry on average, in the units of {@link PodLoad}. Measures without a target are not looked at. */
export type Targets = Partial<Readonly<Record<Measure, number>>>;

export type LoadSeen = {
  /** Pods that are there to stay; undefined: it did not say. */
  readonly staying: readonly (PodLoad | undefined)[];
  /** Pods that are being stopped: their sessions come back to the others. */
  readonly leaving: readonly PodLoad[];
};

/** `because`: the measure that asks for most; undefined when all of them are content with the size there is. */
export type Demand = { readonly pods: number; readonly because: Measure | undefined };

/** A share of the target that is no reason to move. */
export const TOLERANCE = 0.1;

const MEASURES: readonly Measure[] = ["sessions", "messagesPerSecond", "cpuCores", "memoryBytes"];

/** Pods asked for with `current` pods wanted now; undefined when no measure is known of any pod. */
export function demandOf(seen: LoadSeen, targets: Targets, current: number): Demand | undefined {
  let most: Demand | undefined;
  for (const measure of MEASURES) {
    const target = targets[measure];
    const pods = target === undefined ? undefined : askedBy(seen, { measure, target, current });
    if (pods !== undefined && (most === undefined || pods > most.pods)) most = { pods, because: pods === current ? undefined : measure };
  }
  return most;
}

type Question = { readonly measure: Measure; readonly target: number; readonly current: number };

function askedBy({ staying, leaving }: LoadSeen, { measure, target, current }: Question): number | undefined {
  const known = staying.flatMap((pod) => pod?.[measure] ?? []);
  if (known.length === 0) return undefined;
  // Memory of a process that ends goes with it.
  const returning = measure === "memoryBytes" ? [] : leaving.flatMap((pod) => pod[measure] ?? []);
  const load = [...known, ...returning].reduce((sum, one) => sum + one, 0);
  const missing = Math.max(staying.length, current) - known.length;
  if (load > current * target * (1 + TOLERANCE)) return Math.max(current, atLeast(load / target)); // missing pods are idle
  const full = load + missing * target;
  if (full < current * target * (1 - TOLERANCE)) return Math.min(current, atLeast(full / target));
  return current;
}

/** Rounded up, but not for what arithmetic leaves behind a comma. */
const atLeast = (pods: number): number => Math.ceil(pods - 1e-9);

/** Share of ready pods that did not say how loaded they are, above which nothing shrinks. */
export const BLIND_SHARE = 0.2;

/** `readyPods` of which `known` said how loaded they are. */
export const isBlind = (readyPods: number, known: number): boolean => readyPods > 0 && readyPods - known > readyPods * BLIND_SHARE;
