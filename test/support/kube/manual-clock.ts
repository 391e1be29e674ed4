// Why: tests of back-off, fences and watchdogs move time by hand. It must never fire a timer before its time or out of
// order, and gives promises a chance to run between two timers.
import type { Cancel, Clock } from "@nexus/operator/loop/clock.ts";

export class ManualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  readonly #timers = new Map<number, { readonly dueMs: number; readonly fire: () => void }>();
  readonly #epochMs: number;

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
  }

  wallMs(): number {
    return this.#epochMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size;
  }

  after(delayMs: number, fire: () => void): Cancel {
    const id = ++this.#sequence;
    this.#timers.set(id, { dueMs: this.#nowMs + Math.max(0, delayMs), fire });
    return () => void this.#timers.delete(id);
  }

  /** Moves time by `ms`, firing what becomes due in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const next = [...this.#timers]
        .filter(([, timer]) => timer.dueMs <= targetMs)
        .sort((a, b) => a[1].dueMs - b[1].dueMs || a[0] - b[0])[0];
      if (!next) break;
      this.#timers.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1].dueMs);
      next[1].fire();
    }
    this.#nowMs = targetMs;
    await settled();
  }
}

/** Lets everything that is already resolved run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Answers the given numbers in turn, for ever. */
export function scriptedRandom(...values: readonly number[]): () => number {
  let index = 0;
  return () => values[index++ % values.length] ?? 0;
}
