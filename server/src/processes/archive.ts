// Why: a process that is started again must get the configuration its siblings have, not that of the boot copy: every
// bucket is kept here as it was told, compressed, because nothing else keeps entries whole. Only the parent has one.
// It must never judge an entry: what was rejected is known from whoever judged.
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { BUCKET_COUNT, BUNDLE_FORMAT, type Bucket, bucketDigest, entryKey } from "@nexus/protocol/bundle.ts";
import type { EntryEnvelope } from "../core/bundle-entries.ts";
import type { Push, PushedBucket } from "../core/live-config.ts";

/**
 * A bucket for the way. `entries` is what is live; `refused` are the versions told last that could not take the place of
 * what is live under the same key.
 */
type Packed = { readonly index: number; readonly entries: readonly EntryEnvelope[]; readonly refused: readonly EntryEnvelope[] };

/** What a process loads, and the bucket of the push that follows: it ends at the digest of what was told. */
export type Unpacked = { readonly bucket: Bucket; readonly rest: PushedBucket | undefined };

// An entry of a kind this version does not know has a key as well.
const keyOf = (entry: EntryEnvelope): string => entryKey(entry as { kind: "tenant"; id: string });
const digestOf = (entries: Iterable<EntryEnvelope>): string => bucketDigest([...entries].map(({ digest }) => digest));

export class Archive {
  readonly #packed = new Map<number, Uint8Array>();

  /** A bucket of the boot copy, as it was read. */
  put({ index, entries }: Pick<Bucket, "index" | "entries">): void {
    this.#keep({ index, entries, refused: [] });
  }

  /** A push that was applied. `rejected`: keys of all entries that cannot be used since. */
  apply(push: Push, rejected: ReadonlySet<string>): void {
    for (const bucket of push.buckets) this.#applyBucket(bucket, rejected);
  }

  /** All buckets that hold something. */
  packed(): Iterable<Uint8Array> {
    return this.#packed.values();
  }

  #applyBucket({ index, full, entries, removed }: PushedBucket, rejected: ReadonlySet<string>): void {
    const before = this.#read(index);
    const live = new Map(before.entries.map((entry) => [keyOf(entry), entry]));
    const told = new Map(full ? [] : [...before.entries, ...before.refused].map((entry) => [keyOf(entry), entry]));
    for (const key of removed) told.delete(key);
    for (const entry of entries) told.set(keyOf(entry), entry);
    const next: Packed & { entries: EntryEnvelope[]; refused: EntryEnvelope[] } = { index, entries: [], refused: [] };
    for (const [key, entry] of told) {
      const older = live.get(key);
      if (rejected.has(key) && older && older.digest !== entry.digest) {
        next.entries.push(older);
        next.refused.push(entry);
      } else next.entries.push(entry);
    }
    this.#keep(next);
  }

  #read(index: number): Packed {
    const packed = this.#packed.get(index);
    return packed ? parse(packed) : { index, entries: [], refused: [] };
  }

  #keep(bucket: Packed): void {
    if (bucket.entries.length === 0) this.#packed.delete(bucket.index);
    else this.#packed.set(bucket.index, zstdCompressSync(Buffer.from(JSON.stringify(bucket))));
  }
}

// What it parses was packed above.
const parse = (packed: Uint8Array): Packed => JSON.parse(zstdDecompressSync(packed).toString()) as Packed;

export function unpack(packed: Uint8Array): Unpacked {
  const { index, entries, refused } = parse(packed);
  if (!(index >= 0 && index < BUCKET_COUNT)) throw new RangeError(`no bucket ${index}`);
  const digest = digestOf(entries);
  // Carried as they came; each is judged when it is loaded.
  const bucket: Bucket = { format: BUNDLE_FORMAT, index, digest, entries: [...entries] as Bucket["entries"] };
  if (refused.length === 0) return { bucket, rest: undefined };
  const told = new Map([...entries, ...refused].map((entry) => [keyOf(entry), entry]));
  return { bucket, rest: { index, from: digest, to: digestOf(told.values()), full: false, entries: refused, removed: [] } };
}
