// Why: one formula for every retry. Full jitter spreads a fleet of failures over the whole window; a fixed delay would
// bring all of them back at once. Nothing here waits; callers do.
import type { Random } from "./clock.ts";

/** `baseMs` is the first window, `capMs` the largest one; the window doubles per failure. */
export type BackoffLimits = { readonly baseMs: number; readonly capMs: number };

/** The queue's default: 50 ms … 5 min. */
export const QUEUE_BACKOFF: BackoffLimits = { baseMs: 50, capMs: 300_000 };
/** Lists and watches: 200 ms … 30 s. */
export const WATCH_BACKOFF: BackoffLimits = { baseMs: 200, capMs: 30_000 };

/** The window before retry number `failures` (1 = first retry), without jitter, in milliseconds. */
export const backoffWindowMs = (limits: BackoffLimits, failures: number): number =>
  Math.min(limits.capMs, limits.baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, 40));

/** A delay picked evenly from (0, window]; never 0, so that a retry always gives way to other work. */
export const backoffDelayMs = (limits: BackoffLimits, failures: number, random: Random): number =>
  Math.max(1, Math.round(backoffWindowMs(limits, failures) * (1 - random())));

/** Failures per key. A key that was never reported, or was reset, has none. */
export class KeyedBackoff<K> {
  readonly #failures = new Map<K, number>();
  readonly #limits: BackoffLimits;
  readonly #random: Random;

  constructor(limits: BackoffLimits, random: Random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Counts one more failure of `key` and says how long to wait, in milliseconds. */
  nextDelayMs(key: K): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return backoffDelayMs(this.#limits, failures, this.#random);
  }

  failures(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  reset(key: K): void {
    this.#failures.delete(key);
  }
}
