// Why: after a restart or an interruption thousands ask at once, and what all of them sent together would wait for its answer
// longer than a command may. It must never change the order, lose a turn when work fails, nor hold anything when there is room.

/** At most so many at a time; whoever comes later begins when one before has ended, in the order they came. */
export class Gate {
  #room: number;
  #waiting: (() => void)[] = [];
  #head = 0;

  constructor(atOnce: number) {
    this.#room = atOnce;
  }

  /** Settles as `work` does. Begins it at once where there is room. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#room > 0) this.#room--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** Gives the place to who waits longest; else there is room for one more. */
  #next(): void {
    const first = this.#waiting[this.#head];
    if (!first) {
      this.#room++;
      return;
    }
    this.#head++;
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    }
    first();
  }
}
