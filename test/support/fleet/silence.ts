// Why: how long people were without news. An entry comes to everybody a few times a second; whoever hears nothing for longer
// was cut off. It must never store more than a few numbers per person.

export class SilenceMeter {
  readonly #thresholdMs: number;
  readonly #last: Float64Array;
  #longestMs = 0;
  #endedAt: number | undefined;
  #cutOff = new Set<number>();

  /** `thresholdMs`: a pause that is no silence yet. */
  constructor(people: number, thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
    this.#last = new Float64Array(people);
  }

  heard(person: number, at: number): void {
    const last = this.#last[person] ?? 0;
    this.#last[person] = at;
    if (last === 0) return;
    const pause = at - last;
    if (pause > this.#longestMs) this.#longestMs = pause;
    if (pause <= this.#thresholdMs) return;
    this.#endedAt = at;
    this.#cutOff.add(person);
  }

  /** Forgets what was before: people that were heard of stay known. */
  reset(): void {
    this.#longestMs = 0;
    this.#endedAt = undefined;
    this.#cutOff = new Set();
  }

  /** Whether everybody heard something after this time. */
  isAliveSince(at: number): boolean {
    return this.#last.every((last) => last > at);
  }

  get longestMs(): number {
    return this.#longestMs;
  }

  /** When the last silence ended; undefined when there was none. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** People who had one. */
  get cutOff(): number {
    return this.#cutOff.size;
  }
}
