// Why: how an alert is told what it should do: as series in, alerts out, in data that a checker can count. Every alert has the
// same four questions, and none may be left out: the type says so. Data and its shorthands only.

/**
 * Series of one world, by selector, with values as promtool writes them, every 30 s from 0 on. What a scrape adds is added by
 * the runner where it is not given: `namespace`, `nexus_cluster` and `pod="live-a"` for a fleet; `job`, `namespace` and
 * `pod="operator-a"` for the operator.
 */
export type World = Readonly<Record<string, string>>;

export type AlertCase = {
  readonly alert: string;
  /** Just over the threshold. It is nothing before `onsetSeconds`, pending from then on, and fires exactly its `for` later. */
  readonly fires: {
    readonly series: World;
    readonly onsetSeconds: number;
    /** Besides `severity`, the alert's own, and what every alert of a fleet has. */
    readonly labels?: Readonly<Record<string, string>>;
    /** What its text says for `$value`, in the order in which it does. */
    readonly says: readonly string[];
  };
  /** All is well; every metric of the expression is there, or the case would prove nothing. */
  readonly silent: World;
  /**
   * For each number in the expression a world exactly on it, or just below, in which all the others are passed; where there is
   * nothing between well and bad, one that is bad for one step too few. Never fires.
   */
  readonly boundary: readonly World[];
  /** Something that it needs is not exported. */
  /** Of alerts that look back: a world in which it fires up to the step before `quietSeconds`, and then no more. */
  readonly ends?: { readonly series: World; readonly quietSeconds: number };
  readonly missing: { readonly series: World; readonly fires: boolean; readonly because: string };
};

/** Samples of a world: eight hours. */
const SAMPLES = 1000;
/** When something changes in {@link turns}. */
export const TURN_SECONDS = 300;
const BEFORE = TURN_SECONDS / 30 - 1;

/** A gauge that stays. */
export const stays = (value: number): string => `${value}+0x${SAMPLES}`;
/** A gauge that changes after five minutes, and stays. */
export const turns = (from: number, to: number): string => `${from}+0x${BEFORE} ${to}+0x${SAMPLES}`;
/** A gauge that is bad after five minutes, for one step less than an alert waits. */
export const lapses = (from: number, to: number, forSeconds: number): string =>
  `${from}+0x${BEFORE} ${to}+0x${forSeconds / 30 - 1} ${from}+0x${SAMPLES}`;
/** A gauge whose pod goes away after five minutes. */
export const ends = (value: number): string => `${value}+0x${BEFORE} stale`;
/** A counter from 0 on. */
export const rises = (by: number): string => `0+${by}x${SAMPLES}`;
/** A counter that stands still, then rises from the fifth minute on. */
export const wakes = (by: number): string => `0+0x${BEFORE} ${by}+${by}x${SAMPLES}`;
/** A counter that rises once, after five minutes. */
export const once = (by: number): string => turns(0, by);

/** A histogram whose buckets rise by so much; `count` by as much as the last. */
export function histogram(name: string, buckets: Readonly<Record<string, number>>): World {
  const sorted = Object.entries(buckets).sort(([a], [b]) => Number(a) - Number(b));
  const total = Math.max(...sorted.map(([, by]) => by));
  return {
    ...Object.fromEntries(sorted.map(([le, by]) => [`${name}_bucket{le="${le}"}`, rises(by)])),
    [`${name}_bucket{le="+Inf"}`]: rises(total),
    [`${name}_count`]: rises(total),
  };
}

/** Of a metric, its name. */
export const nameOf = (selector: string): string => selector.replace(/\{.*$/, "");

/** A world without these metrics. */
export const without = (world: World, ...names: readonly string[]): World =>
  Object.fromEntries(Object.entries(world).filter(([selector]) => !names.includes(nameOf(selector))));

/** A world in which these metrics are as in `changes`, and no longer as they were. */
export const but = (world: World, changes: World): World => ({
  ...without(world, ...Object.keys(changes).map(nameOf)),
  ...changes,
});
