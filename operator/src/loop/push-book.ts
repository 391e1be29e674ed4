// Why: the live bundle of one cluster as the operator holds it: what every pod should be told. It changes by entries, never
// by lists, so that a list that failed cannot be taken for deletions; replacing it whole is the caller's explicit word.
import { BUCKET_COUNT, type BundleEntry, bucketOf, bundleDigest, entryKey } from "@nexus/protocol/bundle.ts";
import type { StoredBucket } from "./boot-bucket.ts";
import { BucketBook, type Mark } from "./push-bucket.ts";
import { PushTexts } from "./push-texts.ts";

export type BundleChange = {
  readonly put?: Iterable<BundleEntry>;
  /** `entryKey`s. */
  readonly remove?: Iterable<string>;
};

/** The bucket an `entryKey` (`<kind>:<id>`) lives in. */
export const bucketOfKey = (key: string): number => bucketOf(key.slice(key.indexOf(":") + 1));

export class BundleBook {
  readonly #texts = new PushTexts();
  readonly #buckets: readonly BucketBook[] = Array.from({ length: BUCKET_COUNT }, (_, index) => new BucketBook(index, this.#texts));
  #digest: string | undefined;

  digest(): string {
    this.#digest ??= bundleDigest(this.#buckets.map((bucket) => bucket.digest()));
    return this.#digest;
  }

  bucket(index: number): BucketBook {
    const bucket = this.#buckets[index];
    if (!bucket) throw new RangeError(`no bucket ${index}`);
    return bucket;
  }

  get size(): number {
    return this.#buckets.reduce((sum, bucket) => sum + bucket.size, 0);
  }

  mark(key: string): Mark | undefined {
    return this.bucket(bucketOfKey(key)).mark(key);
  }

  *keys(): Generator<string> {
    for (const bucket of this.#buckets) yield* bucket.keys();
  }

  /** Takes over a bucket of an earlier process (the boot copy) where there is nothing yet. */
  fill({ index, entries }: StoredBucket): void {
    if (entries.length === 0) return;
    this.bucket(index).fill(entries);
    this.#digest = undefined;
  }

  /** Answers the keys whose content changed, by bucket. Entries that are the same already cost a look-up. */
  change({ put = [], remove = [] }: BundleChange): ReadonlyMap<number, readonly string[]> {
    const sorted = new Map<number, { put: BundleEntry[]; remove: string[] }>();
    const of = (index: number) => {
      const found = sorted.get(index) ?? { put: [], remove: [] };
      sorted.set(index, found);
      return found;
    };
    for (const entry of put) of(bucketOf(entry.id)).put.push(entry);
    for (const key of remove) of(bucketOfKey(key)).remove.push(key);
    const changed = new Map<number, readonly string[]>();
    for (const [index, change] of sorted) {
      const keys = this.bucket(index).change(change);
      if (keys.length > 0) changed.set(index, keys);
    }
    if (changed.size > 0) this.#digest = undefined;
    return changed;
  }

  /** Makes these entries the whole bundle. Keys in `keep` stay as they are (objects whose new version was refused). */
  replace(entries: readonly BundleEntry[], keep: ReadonlySet<string> = new Set()): ReadonlyMap<number, readonly string[]> {
    const wanted = new Set(entries.map(entryKey));
    const remove = [...this.keys()].filter((key) => !wanted.has(key) && !keep.has(key));
    return this.change({ put: entries, remove });
  }
}
