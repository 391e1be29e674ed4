// Why: a reflector's copy of one kind, with indexes kept in step. It holds what the transform left of an object, so that
// 100,000 Templates cost an index entry each. It must never be written by anyone but its reflector.
import type { Store } from "../loop/ports.ts";

/** Values under which an object can be found; an object may have none or many. Must depend on the object alone. */
export type Indexer<T> = (object: T) => readonly string[];

/** Under what an object is counted; undefined: under nothing. Must depend on the object alone. */
export type Tally<T> = (object: T) => string | undefined;

type Entry<T> = { readonly uid: string; readonly resourceVersion: string; readonly value: T };

export class MemoryStore<T> implements Store<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #indexers: Readonly<Record<string, Indexer<T>>>;
  readonly #indexes = new Map<string, Map<string, string | Set<string>>>();
  readonly #tally: Tally<T> | undefined;
  readonly #counts = new Map<string, number>();
  #unsynced: number;

  /** `parts`: how many reflectors fill it, each its own namespace. `tally`: an index that costs a number, not a set of keys. */
  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}, parts = 1, tally?: Tally<T>) {
    this.#indexers = indexers;
    this.#unsynced = parts;
    this.#tally = tally;
    for (const name of Object.keys(indexers)) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  list(): T[] {
    return Array.from(this.#entries.values(), (entry) => entry.value);
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index ${name}`);
    const found: T[] = [];
    const keys = index.get(value) ?? [];
    for (const key of typeof keys === "string" ? [keys] : keys) {
      const entry = this.#entries.get(key);
      if (entry) found.push(entry.value);
    }
    return found;
  }

  counted(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  hasSynced(): boolean {
    return this.#unsynced <= 0;
  }

  /** For the reflector, once. */
  markSynced(): void {
    this.#unsynced--;
  }

  /** For the reflector: identity and version of what is stored. */
  entry(key: string): Entry<T> | undefined {
    return this.#entries.get(key);
  }

  /** For the reflector. */
  set(key: string, entry: Entry<T>): void {
    const before = this.#entries.get(key);
    if (before) this.#unindex(key, before.value);
    this.#entries.set(key, entry);
    this.#count(entry.value, 1);
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const index = this.#indexes.get(name);
      for (const value of indexer(entry.value)) {
        const keys = index?.get(value);
        // Most values have one object: 100,000 sets of one would cost more than what they index.
        if (keys === undefined) index?.set(value, key);
        else if (typeof keys !== "string") keys.add(key);
        else if (keys !== key) index?.set(value, new Set([keys, key]));
      }
    }
  }

  /** For the reflector. */
  delete(key: string): void {
    const before = this.#entries.get(key);
    if (!before) return;
    this.#unindex(key, before.value);
    this.#entries.delete(key);
  }

  #count(value: T, by: 1 | -1): void {
    const what = this.#tally?.(value);
    if (what !== undefined) this.#counts.set(what, this.counted(what) + by);
  }

  #unindex(key: string, value: T): void {
    this.#count(value, -1);
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const index = this.#indexes.get(name);
      for (const found of indexer(value)) {
        const keys = index?.get(found);
        if (keys === key) index?.delete(found);
        if (keys === undefined || typeof keys === "string") continue;
        keys.delete(key);
        if (keys.size === 0) index?.delete(found);
      }
    }
  }
}
