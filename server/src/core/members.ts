// Why: most streams have one to five listeners, a few have thousands: a Set for each would be most of a session's memory.
// It must never be changed while it is being iterated, except by removing the member at hand.

const FEW = 8;

/** A set that is a small array until it grows past eight. */
export class Members<T> {
  #items: T[] | Set<T> = [];

  get size(): number {
    return Array.isArray(this.#items) ? this.#items.length : this.#items.size;
  }

  has(item: T): boolean {
    return Array.isArray(this.#items) ? this.#items.includes(item) : this.#items.has(item);
  }

  add(item: T): void {
    if (!Array.isArray(this.#items)) {
      this.#items.add(item);
    } else if (!this.#items.includes(item)) {
      this.#items.push(item);
      if (this.#items.length > FEW) this.#items = new Set(this.#items);
    }
  }

  delete(item: T): boolean {
    if (!Array.isArray(this.#items)) return this.#items.delete(item);
    const at = this.#items.indexOf(item);
    if (at < 0) return false;
    this.#items = this.#items.filter((other) => other !== item);
    return true;
  }

  /** Iterates what was there when it started. */
  [Symbol.iterator](): ArrayIterator<T> | SetIterator<T> {
    return this.#items[Symbol.iterator]();
  }
}
