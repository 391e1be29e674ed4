// Why: one bucket of a cluster's bundle as the operator holds it: an index of digests, and the entries compressed, because
// 100,000 templates as objects would not fit. It knows what changed since earlier states, so that pods can be sent deltas.
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type BundleEntry, bucketDigest, entryKey } from "@nexus/protocol/bundle.ts";
import type { StoredEntry } from "./boot-bucket.ts";
import { PushTexts } from "./push-texts.ts";

/**
 * An entry as known without its content. `rev` is the bucket's revision that brought this content. `acknowledged` is the
 * `Synced` latch: it survives a change of content under the same uid and generation (a rotated Secret).
 */
export type Mark = {
  readonly digest: string;
  readonly uid: string;
  readonly generation: number;
  readonly rev: number;
  acknowledged: boolean;
};

export type BucketChange = { readonly put: readonly BundleEntry[]; readonly remove: readonly string[] };
/** `entriesJson`: the text of a JSON array of entries. */
export type BucketDelta = { readonly entriesJson: string; readonly removed: readonly string[] };

/** Earlier states a delta can start from. */
const REMEMBERED_STATES = 64;
const REMEMBERED_REMOVALS = 1024;
/** Entries that may wait uncompressed, at least. */
const OVERLAY = 32;

/** JSON texts hold no line breaks. */
const SEPARATOR = ",\n";
/** How an entry of ours begins. */
const HEAD = /^\{"kind":"([a-z]+)","id":"([^"\\]*)"/;

function keyOfText(json: string): string {
  const [, kind, id] = HEAD.exec(json) ?? [];
  return kind === undefined ? entryKey(parsed(json)) : `${kind}:${id}`;
}

const compress = (text: string): Buffer => zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });

export class BucketBook {
  readonly #marks = new Map<string, Mark>();
  /** Entries as JSON, sorted by key, with SEPARATOR between them: what stands in the brackets of an array. */
  #compressed: Buffer | undefined;
  /** Newer than `#compressed`; undefined = removed. */
  readonly #overlay = new Map<string, string | undefined>();
  readonly #removedAt = new Map<string, number>();
  /** Revision of each state somebody may have been told, by digest. */
  readonly #revOf = new Map<string, number>();
  #oldestDelta = 0;
  #rev = 0;
  #digest: string | undefined;
  readonly #index: number;
  readonly #texts: PushTexts;

  /** `texts` may be shared by buckets of other indexes. */
  constructor(index = 0, texts = new PushTexts()) {
    this.#index = index;
    this.#texts = texts;
  }

  /** Grows by one per change that changed something. */
  get rev(): number {
    return this.#rev;
  }

  get size(): number {
    return this.#marks.size;
  }

  digest(): string {
    if (this.#digest === undefined) {
      const digests: string[] = [];
      for (const mark of this.#marks.values()) digests.push(mark.digest);
      this.#digest = bucketDigest(digests);
      this.#revOf.delete(this.#digest); // to the end: the oldest is forgotten first
      this.#revOf.set(this.#digest, this.#rev);
      if (this.#revOf.size > REMEMBERED_STATES) dropOldest(this.#revOf);
    }
    return this.#digest;
  }

  mark(key: string): Mark | undefined {
    return this.#marks.get(key);
  }

  marks(): IterableIterator<[key: string, mark: Mark]> {
    return this.#marks.entries();
  }

  keys(): IterableIterator<string> {
    return this.#marks.keys();
  }

  /** Answers the keys whose content changed. */
  change({ put, remove }: BucketChange): readonly string[] {
    const rev = this.#rev + 1;
    const changed: string[] = [];
    for (const key of remove) {
      if (!this.#marks.delete(key)) continue;
      this.#overlay.set(key, undefined);
      this.#noteRemoval(key, rev);
      changed.push(key);
    }
    for (const entry of put) {
      const key = entryKey(entry);
      const before = this.#marks.get(key);
      if (before?.digest === entry.digest) continue;
      const { digest, uid, generation } = entry;
      const acknowledged = before?.uid === uid && before.generation === generation && before.acknowledged;
      this.#marks.set(key, { digest, uid, generation, rev, acknowledged });
      this.#removedAt.delete(key);
      this.#overlay.set(key, JSON.stringify(entry));
      changed.push(key);
    }
    if (changed.length === 0) return changed;
    this.#rev = rev;
    this.#digest = undefined;
    if (this.#overlay.size > Math.max(OVERLAY, this.#marks.size / 4)) this.#compact();
    return changed;
  }

  /** Takes over what an earlier process stored; only while it is empty. */
  fill(entries: readonly StoredEntry[]): void {
    if (this.#rev > 0) throw new Error("a bucket that has a content is not filled");
    this.#rev = 1;
    this.#digest = undefined;
    for (const { key, uid, generation, digest } of entries) this.#marks.set(key, { digest, uid, generation, rev: 1, acknowledged: false });
    const sorted = [...entries].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#compressed = sorted.length === 0 ? undefined : compress(sorted.map(({ json }) => json).join(SEPARATOR));
  }

  /** The revision of a state by its digest; undefined when it is none we remember. */
  revOf(digest: string): number | undefined {
    return digest === this.digest() ? this.#rev : this.#revOf.get(digest);
  }

  /** What leads from the state with this digest to the present one; undefined when only the whole bucket can. */
  deltaFrom(digest: string): BucketDelta | undefined {
    const from = this.revOf(digest);
    if (from === undefined || from < this.#oldestDelta) return undefined;
    const keys: string[] = [];
    for (const [key, mark] of this.#marks) if (mark.rev > from) keys.push(key);
    const removed: string[] = [];
    for (const [key, rev] of this.#removedAt) if (rev > from) removed.push(key);
    if (keys.length * 2 > this.#marks.size && keys.length > OVERLAY) return undefined; // the whole bucket is hardly more
    return { entriesJson: this.#texts.get(`${this.#index}/${this.#rev}/${from}`, () => this.#json(keys)), removed };
  }

  /** The JSON text of every entry, sorted by key. */
  lines(): readonly { readonly key: string; readonly json: string }[] {
    this.#compact();
    return this.#lines();
  }

  /** All entries as the text of a JSON array, sorted by key. */
  entriesJson(): string {
    return this.#texts.get(`${this.#index}/${this.#rev}/all`, () => {
      this.#compact();
      return `[${this.#text()}]`;
    });
  }

  entries(): readonly BundleEntry[] {
    return this.lines().map(({ json }) => parsed(json));
  }

  entry(key: string): BundleEntry | undefined {
    return this.#marks.has(key) ? (JSON.parse(this.#json([key])) as BundleEntry[])[0] : undefined; // written by us
  }

  #json(keys: readonly string[]): string {
    const stored = keys.every((key) => this.#overlay.has(key)) ? undefined : new Map(this.#lines().map(({ key, json }) => [key, json]));
    return `[${keys.map((key) => this.#overlay.get(key) ?? stored?.get(key) ?? "").join()}]`;
  }

  #lines(): { key: string; json: string }[] {
    const text = this.#text();
    return text === "" ? [] : text.split(SEPARATOR).map((json) => ({ key: keyOfText(json), json }));
  }

  #text(): string {
    return this.#compressed ? zstdDecompressSync(this.#compressed).toString() : "";
  }

  #compact(): void {
    if (this.#overlay.size === 0) return;
    const lines = this.#lines().filter(({ key }) => !this.#overlay.has(key));
    for (const [key, json] of this.#overlay) if (json !== undefined) lines.push({ key, json });
    lines.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#overlay.clear();
    this.#compressed = lines.length === 0 ? undefined : compress(lines.map(({ json }) => json).join(SEPARATOR));
  }

  #noteRemoval(key: string, rev: number): void {
    this.#removedAt.set(key, rev);
    if (this.#removedAt.size > REMEMBERED_REMOVALS) this.#oldestDelta = Math.max(this.#oldestDelta, dropOldest(this.#removedAt) ?? 0);
  }
}

/** Maps keep the order of insertion. Answers the value that went. */
function dropOldest<V>(map: Map<string, V>): V | undefined {
  const [oldest] = map;
  if (!oldest) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}

/** Written by us from an entry: it has the type it had. */
const parsed = (json: string): BundleEntry => JSON.parse(json) as BundleEntry;
