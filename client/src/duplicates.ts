// Why: the server promises at-least-once inside retention; this makes it once for the application. It must stay bounded:
// what is older than the last `capacity` entries may be repeated.

export class Duplicates {
  readonly #capacity: number;
  readonly #seen = new Set<string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#seen.size;
  }

  /**
   * True the first time a notification is seen on a stream. One notification that was sent to two channels is no
   * duplicate: it arrives once on each, under the same id.
   */
  isNew(stream: string, id: string): boolean {
    const key = `${id} ${stream}`;
    const known = this.#seen.delete(key);
    this.#seen.add(key); // a Set keeps insertion order: the first one is the longest unseen
    if (this.#seen.size > this.#capacity) for (const oldest of this.#seen) return this.#forget(oldest, known);
    return !known;
  }

  #forget(oldest: string, known: boolean): boolean {
    this.#seen.delete(oldest);
    return !known;
  }
}
