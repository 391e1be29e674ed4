// Why: how long clients take to acknowledge is measured from the write of a live entry, of which nobody else keeps the
// time. It must never grow with traffic: the oldest half is forgotten when it is full, and nodes that are never told of an
// ACK remember nothing.

/** Entries remembered are this many to twice as many; about 100 bytes each. */
const HALF = 4096;

export class AckClock {
  #isAsked = false;
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  /** A notification was written to sessions of this node. `atMs`: monotonic. */
  written(id: string, atMs: number): void {
    if (!this.#isAsked) return;
    if (this.#recent.size >= HALF) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(id, atMs);
  }

  /** Milliseconds since the write; undefined when it was not live, too long ago, or on another node. */
  since(id: string, nowMs: number): number | undefined {
    this.#isAsked = true;
    const at = this.#recent.get(id) ?? this.#older.get(id);
    return at === undefined ? undefined : nowMs - at;
  }
}
