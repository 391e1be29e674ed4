// Why: pushes to many pods must not open hundreds of connections at once, and pods that never answer must not take the
// places of those that do. First come, first served.

export class Gate {
  readonly #places: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#places = places;
  }

  /** Runs `work` once there is a place. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    // A place that is given back goes straight to the one who waits longest: `#taken` does not change then.
    if (this.#taken < this.#places) this.#taken++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken--;
    }
  }
}
