// Why: deltas are only right if laying them over any state we handed out gives the present one, whatever happened in between.
import { expect, test } from "bun:test";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import { planPush } from "@nexus/operator/loop/push-plan.ts";
import {
  BUCKET_COUNT,
  type BundleEntry,
  bucketDigest,
  bucketOf,
  bundleDigest,
  EMPTY_BUCKET,
  entryKey,
  makeBuckets,
} from "@nexus/protocol/bundle.ts";
import fc from "fast-check";
import { entryOf, keyOf } from "./stage.ts";

/** A pod in its simplest form: what it holds, and how it takes a push. */
class Holder {
  readonly entries = new Map<string, BundleEntry>();

  digests(): string[] {
    const sorted: string[][] = Array.from({ length: BUCKET_COUNT }, () => []);
    for (const entry of this.entries.values()) sorted[bucketOf(entry.id)]?.push(entry.digest);
    return sorted.map((digests) => bucketDigest(digests));
  }

  follow(book: BundleBook): void {
    for (let round = 0; round < 100; round++) {
      const { buckets } = planPush(book, this.digests(), new Set());
      if (buckets.length === 0) return;
      for (const { index, full, entriesJson, removed } of buckets) {
        if (full) for (const [key, entry] of this.entries) if (bucketOf(entry.id) === index) this.entries.delete(key);
        for (const key of removed) this.entries.delete(key);
        for (const entry of JSON.parse(entriesJson) as BundleEntry[]) this.entries.set(entryKey(entry), entry);
      }
    }
    throw new Error("the plans do not come to an end");
  }
}

const ids = fc.integer({ min: 0, max: 40 }).map((id) => `t${id}`);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put" as const), id: ids, text: fc.constantFrom("a", "b", "c") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), id: ids }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("follow" as const), who: fc.integer({ min: 0, max: 2 }) }) },
);

test("three followers of different diligence always reach the book, by deltas or whole", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const book = new BundleBook();
      const truth = new Map<string, BundleEntry>();
      const followers = [new Holder(), new Holder(), new Holder()];
      for (const one of steps) {
        if (one.kind === "follow") followers[one.who]?.follow(book);
        else if (one.kind === "put") {
          const entry = entryOf(one.id, one.text);
          truth.set(entryKey(entry), entry);
          book.change({ put: [entry] });
        } else {
          truth.delete(keyOf(one.id));
          book.change({ remove: [keyOf(one.id)] });
        }
      }
      const wanted = bundleDigest(makeBuckets(truth.values()).map((bucket) => bucket.digest));
      expect(book.digest()).toBe(wanted);
      for (const follower of followers) {
        follower.follow(book);
        expect(bundleDigest(follower.digests())).toBe(wanted);
        expect(follower.entries).toEqual(truth);
      }
    }),
    { numRuns: 60 },
  );
});

test("the same entries again change nothing, and replacing spares what is kept", () => {
  const book = new BundleBook();
  const entries = Array.from({ length: 50 }, (_, index) => entryOf(`t${index}`));
  expect([...book.change({ put: entries }).values()].flat()).toHaveLength(50);
  expect(book.change({ put: entries }).size).toBe(0);
  const changed = book.replace(entries.slice(0, 48), new Set([keyOf("t48")]));
  expect([...changed.values()].flat()).toEqual([keyOf("t49")]);
  expect(book.size).toBe(49);
});

test("a follower from before the oldest remembered removal gets the whole bucket, not a delta that misses some", () => {
  const book = new BundleBook();
  const inOne = Array.from({ length: 200_000 }, (_, index) => `t${index}`)
    .filter((id) => bucketOf(`acme/${id}`) === 9)
    .slice(0, 1300);
  book.change({ put: inOne.map((id) => entryOf(id)) });
  const follower = new Holder();
  follower.follow(book);
  for (const id of inOne.slice(0, 1200)) book.change({ remove: [keyOf(id)] });
  const { buckets } = planPush(book, follower.digests(), new Set());
  expect(buckets.map(({ index, full }) => [index, full])).toEqual([[9, true]]);
  follower.follow(book);
  expect(follower.entries.size).toBe(100);
});

test("a plan stays small, however much there is to tell", () => {
  const book = new BundleBook();
  book.change({ put: Array.from({ length: 2000 }, (_, index) => entryOf(`t${index}`, "x".repeat(1000))) });
  const { buckets } = planPush(
    book,
    Array.from({ length: BUCKET_COUNT }, () => EMPTY_BUCKET),
    new Set(),
  );
  expect(JSON.stringify(buckets).length).toBeLessThan(700_000);
  expect(buckets.length).toBeGreaterThan(1);
  const follower = new Holder();
  follower.follow(book);
  expect(follower.entries.size).toBe(2000);
});
