// Why: thousands of sessions change the same few counts at once; what changes while a write is on its way goes out as one
// write after it. It must never say that something was written before it was.

/** What changed of one partition, by key; only the last state of each counts. */
export class Batch<T> {
  readonly #send: (items: readonly T[]) => Promise<void>;
  #waiting = new Map<string, T>();
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `send` reads the state of each item when it is called. */
  constructor(send: (items: readonly T[]) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves once a write that began after this call is done; rejects with what `send` rejects with. */
  write(key: string, item: T): Promise<void> {
    this.#waiting.set(key, item);
    this.#next ??= this.#flush(this.#running);
    return this.#next;
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#running, this.#next]);
  }

  async #flush(before: Promise<void>): Promise<void> {
    await Promise.allSettled([before, new Promise<void>((resolve) => setImmediate(resolve))]);
    const items = [...this.#waiting.values()];
    this.#waiting = new Map();
    this.#next = undefined;
    this.#running = this.#send(items);
    await this.#running;
  }
}
