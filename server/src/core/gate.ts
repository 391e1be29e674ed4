// Why: work that comes in bursts (every stream of a node at once) runs a few at a time, in the order it was asked for.
// It must never lose a turn when work fails.

/** Runs at most `width` pieces of work at once. */
export class Gate {
  readonly #width: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  /** What `work` resolves or rejects with. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next)
        next(); // takes this one's place
      else this.#running--;
    }
  }
}
