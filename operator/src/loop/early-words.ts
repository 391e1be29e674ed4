// Why: a person who applies a Template where no pod is ready wants to read so at once; of a hundred thousand that come with a new fleet
// each would be written twice, because its first pods are on their way. A few are told soon, the rest when the pods had their time.
// It must never let through more than the few, however many small steps they come in.
import { ACKNOWLEDGE_MS } from "../status/synced.ts";
import type { Clock } from "./clock.ts";

/** So soon, in milliseconds: pods that are nearly ready spare a second write. */
const SOON_MS = 1_500;
/** Objects that are told early within {@link ACKNOWLEDGE_MS}, of all clusters together. */
export const MOST_EARLY = 100;

type Told = { readonly atMs: number; readonly count: number };

export class EarlyWords {
  readonly #clock: Clock;
  #told: readonly Told[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long the first words about `count` objects wait for pods that may become ready, in milliseconds. */
  waitMs(count: number): number {
    const nowMs = this.#clock.monotonicMs();
    this.#told = this.#told.filter(({ atMs }) => nowMs - atMs < ACKNOWLEDGE_MS);
    const before = this.#told.reduce((sum, told) => sum + told.count, 0);
    if (before + count > MOST_EARLY) return ACKNOWLEDGE_MS;
    this.#told = [...this.#told, { atMs: nowMs, count }];
    return SOON_MS;
  }
}
