// Why: everything the memory engine keeps counts against one budget; when it is over, the oldest goes first, whatever
// stream it is in. It must never free what is not there: each item is in the list exactly once.

/** Something that takes memory and can be let go. `evict` removes it from where it lives. */
export type Item = { readonly bytes: number; evict(): void; older: Item | undefined; newer: Item | undefined; counted: boolean };

export class ByteBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #evicted = 0;
  #oldest: Item | undefined;
  #newest: Item | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Items let go because the budget was over, since the start. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Counts an item and lets go of older ones until the budget holds. An item larger than the whole budget goes itself. */
  add(item: Item): void {
    item.counted = true;
    item.older = this.#newest;
    if (this.#newest) this.#newest.newer = item;
    else this.#oldest = item;
    this.#newest = item;
    this.#bytes += item.bytes;
    while (this.#bytes > this.#maxBytes && this.#oldest) {
      const victim = this.#oldest;
      this.remove(victim);
      this.#evicted++;
      victim.evict();
    }
  }

  /** Stops counting an item; nothing happens when it is not counted any more. */
  remove(item: Item): void {
    if (!item.counted) return;
    item.counted = false;
    this.#bytes -= item.bytes;
    if (item.older) item.older.newer = item.newer;
    else this.#oldest = item.newer;
    if (item.newer) item.newer.older = item.older;
    else this.#newest = item.older;
    item.older = undefined;
    item.newer = undefined;
  }
}
