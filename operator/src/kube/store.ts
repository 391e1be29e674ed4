// Why: a reflector's copy of one kind, with indexes kept in step. It holds what the transform left of an object, so that
// 100,000 Templates cost an index entry each. It must never be written by anyone but its reflector.
import type { Store } from "../loop/ports.ts";

/** Values under which an object can be found; an object may have none or many. Must depend on the object alone. */
export type Indexer<T> = (object: T) => readonly string[];

type Entry<T> = { readonly uid: string; readonly resourceVersion: string; readonly value: T };

export class MemoryStore<T> implements Store<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #indexers: Readonly<Record<string, Indexer<T>>>;
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  #synced = false;

  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}) {
    this.#indexers = indexers;
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
    for (const key of index.get(value) ?? []) {
      const entry = this.#entries.get(key);
      if (entry) found.push(entry.value);
    }
    return found;
  }

  hasSynced(): boolean {
    return this.#synced;
  }

  /** For the reflector. */
  markSynced(): void {
    this.#synced = true;
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
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const index = this.#indexes.get(name);
      for (const value of indexer(entry.value)) {
        const keys = index?.get(value);
        if (keys) keys.add(key);
        else index?.set(value, new Set([key]));
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

  #unindex(key: string, value: T): void {
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const index = this.#indexes.get(name);
      for (const found of indexer(value)) {
        const keys = index?.get(found);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(found);
      }
    }
  }
}
