// Why: what of one cluster's configuration has to be looked at again, as entry keys: what users just changed first, then what
// follows from it or from a start. An entry is in it once, however often it changed.

/** `isFound`: the entry was only found in the live bundle; nobody said that anything happened to it. */
export type WorkItem = { readonly key: string; readonly isEdit: boolean; readonly isForced: boolean; readonly isFound: boolean };

export class ConfigWork {
  readonly #edits = new Set<string>();
  readonly #backlog: { readonly keys: Iterator<string>; readonly isFound: boolean }[] = [];
  /** To be compiled again although object and entry agree. */
  readonly #forced = new Set<string>();

  get isEmpty(): boolean {
    return this.#edits.size === 0 && this.#backlog.length === 0;
  }

  edit(key: string): void {
    this.#edits.add(key);
  }

  /** Read as it is worked on, not before: what it walks over may change meanwhile. */
  later(keys: Iterable<string>, isFound = false): void {
    this.#backlog.push({ keys: keys[Symbol.iterator](), isFound });
  }

  /** See {@link WorkItem.isForced}; it still has to be in the work. */
  force(key: string): void {
    this.#forced.add(key);
  }

  next(): WorkItem | undefined {
    for (const key of this.#edits) {
      this.#edits.delete(key);
      return { key, isEdit: true, isForced: this.#forced.delete(key), isFound: false };
    }
    for (let first = this.#backlog[0]; first; first = this.#backlog[0]) {
      const { done, value: key } = first.keys.next();
      if (!done) return { key, isEdit: false, isForced: this.#forced.delete(key), isFound: first.isFound };
      this.#backlog.shift();
    }
    return undefined;
  }
}
