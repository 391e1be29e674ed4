// Why: what this process was told about its configuration, bucket by bucket, with digests that are always those of what
// was told. A push is staged first and taken as a whole or not at all. It must never be changed half-way.

import type { RejectedEntry } from "@nexus/protocol/admin.ts";
import { BUCKET_COUNT, bucketDigest, bundleDigest, EMPTY_BUCKET } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { HeldSpec } from "./bundle-entries.ts";

/**
 * One entry as it was told last. `held` is what is live for its key: the entry itself, the older version it could not
 * replace (then `rejected` says why), or nothing.
 */
export type Told = { readonly digest: string; readonly held?: HeldSpec; readonly rejected?: RejectedEntry };

/** `sorted`: digests of the entries in order, kept so that a small change costs one insertion. */
type BucketState = { readonly told: Map<string, Told>; sorted: string[]; digest: string };

/** A change of one bucket, worked out but not taken yet. `undefined` removes the key. */
export type StagedBucket = {
  readonly index: number;
  readonly changes: ReadonlyMap<string, Told | undefined>;
  readonly sorted: string[];
  readonly digest: string;
};

export class BundleState {
  readonly #buckets: readonly BucketState[] = Array.from({ length: BUCKET_COUNT }, () => ({
    told: new Map<string, Told>(),
    sorted: [],
    digest: EMPTY_BUCKET,
  }));
  readonly #rejected = new Map<string, RejectedEntry>();
  #digest: string | undefined;

  digest(): string {
    this.#digest ??= bundleDigest(this.bucketDigests());
    return this.#digest;
  }

  /** By index. */
  bucketDigests(): readonly string[] {
    return this.#buckets.map((bucket) => bucket.digest);
  }

  bucketDigest(index: number): string {
    return this.#bucket(index).digest;
  }

  told(index: number, key: string): Told | undefined {
    return this.#bucket(index).told.get(key);
  }

  keys(index: number): Iterable<string> {
    return this.#bucket(index).told.keys();
  }

  /** Everything that was told and cannot be used. */
  rejected(): readonly RejectedEntry[] {
    return [...this.#rejected.values()];
  }

  /** Works out a bucket's digest after `changes`, without taking them. */
  stage(index: number, changes: ReadonlyMap<string, Told | undefined>): StagedBucket {
    const bucket = this.#bucket(index);
    const many = changes.size > 16;
    const sorted = many ? sortedAfter(bucket.told, changes) : bucket.sorted.slice();
    if (!many) {
      for (const [key, next] of changes) {
        const before = bucket.told.get(key);
        if (before) sorted.splice(place(sorted, before.digest), 1);
        if (next) sorted.splice(place(sorted, next.digest), 0, next.digest);
      }
    }
    // The list is in order already: the same digest as `bucketDigest`, without sorting again.
    return { index, changes, sorted, digest: sorted.length === 0 ? EMPTY_BUCKET : sha256(sorted.join("\n")) };
  }

  /** Takes a staged change. `onHeld` hears of every key whose live content changed: what it was, what it is. */
  take(staged: StagedBucket, onHeld: (before: HeldSpec | undefined, after: HeldSpec | undefined) => void): void {
    const bucket = this.#bucket(staged.index);
    for (const [key, next] of staged.changes) {
      const before = bucket.told.get(key);
      if (next) bucket.told.set(key, next);
      else bucket.told.delete(key);
      if (next?.rejected) this.#rejected.set(key, next.rejected);
      else this.#rejected.delete(key);
      if (before?.held !== next?.held) onHeld(before?.held, next?.held);
    }
    bucket.sorted = staged.sorted;
    bucket.digest = staged.digest;
    this.#digest = undefined;
  }

  #bucket(index: number): BucketState {
    const bucket = this.#buckets[index];
    if (!bucket) throw new RangeError(`no bucket ${index}`);
    return bucket;
  }
}

function sortedAfter(told: ReadonlyMap<string, Told>, changes: ReadonlyMap<string, Told | undefined>): string[] {
  const digests: string[] = [];
  for (const [key, { digest }] of told) if (!changes.has(key)) digests.push(digest);
  for (const next of changes.values()) if (next) digests.push(next.digest);
  return digests.sort();
}

/** Where `digest` is, or belongs, in a sorted list. */
function place(sorted: readonly string[], digest: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < digest) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a bucket that travels whole is what its digest says. */
export const isBucketIntact = (digest: string, entries: readonly { readonly digest: string }[]): boolean =>
  digest === bucketDigest(entries.map((entry) => entry.digest));
