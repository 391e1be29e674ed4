// Why: operator and servers agree on configuration by these digests alone.
import { describe, expect, test } from "bun:test";
import {
  BUCKET_COUNT,
  type BundleEntry,
  bucketDigest,
  bucketOf,
  bundleDigest,
  EMPTY_BUCKET,
  isIntact,
  makeBucket,
  makeBuckets,
  sealEntry,
  templateEntryId,
} from "@nexus/protocol/bundle.ts";
import { canonicalJson, digestOf } from "@nexus/protocol/canonical.ts";
import fc from "fast-check";

const template = (tenant: string, id: string, payload: unknown = { text: "hi" }): BundleEntry =>
  sealEntry({
    kind: "template" as const,
    id: templateEntryId(tenant, id),
    uid: `uid-${id}`,
    generation: 1,
    spec: {
      tenant_id: tenant,
      template_id: id,
      event_type: "x",
      priority: "Normal" as const,
      engine: "Simple" as const,
      variables: [],
      payload,
      locales: [],
    },
  });

describe("canonical JSON", () => {
  test("does not depend on the order of keys and equals what JSON reads back", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
    expect(canonicalJson({ b: 1, a: { d: 2, c: undefined } })).toBe('{"a":{"d":2},"b":1}');
  });

  test("refuses what JSON cannot carry", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => 1, Symbol("x"), 10n]) expect(() => canonicalJson(value)).toThrow();
  });
});

describe("entries and buckets", () => {
  test("an entry knows when it was changed on the way", () => {
    const entry = template("acme", "a");
    expect(isIntact(entry)).toBe(true);
    expect(isIntact({ ...entry, generation: 2 })).toBe(false);
  });

  test("an entry's digest does not depend on others, a bucket's not on order", () => {
    const entries = Array.from({ length: 20 }, (_, i) => template("acme", `t${i}`));
    expect(makeBucket(0, entries).digest).toBe(makeBucket(0, [...entries].reverse()).digest);
    expect(makeBucket(0, [])).toMatchObject({ digest: EMPTY_BUCKET, entries: [] });
  });

  test("every entry lies in the bucket of its id, and ids spread over all buckets", () => {
    const entries = Array.from({ length: 2000 }, (_, i) => template("acme", `t${i}`));
    const buckets = makeBuckets(entries);
    expect(buckets).toHaveLength(BUCKET_COUNT);
    for (const bucket of buckets) {
      for (const entry of bucket.entries) expect(bucketOf(entry.id)).toBe(bucket.index);
      expect(bucket.entries.length).toBeGreaterThan(5);
    }
  });

  test("the bundle's digest changes with any entry", () => {
    const digests = (payload: unknown) =>
      makeBuckets([template("acme", "a", payload), template("acme", "b")]).map((bucket) => bucket.digest);
    expect(bundleDigest(digests({ n: 1 }))).not.toBe(bundleDigest(digests({ n: 2 })));
    expect(bundleDigest(digests({ n: 1 }))).toBe(bundleDigest(digests({ n: 1 })));
  });

  test("digests are stable across releases", () => {
    // Operators and servers of adjacent versions compare these: a change here needs a new BUNDLE_FORMAT.
    expect(digestOf({ b: [1, "é"], a: null })).toBe("f8f17faab95c024891d173fa43442b0e52007736a1f36715ac721ab22deeefc5");
    expect(bucketDigest(["b", "a"])).toBe(bucketDigest(["a", "b"]));
  });
});
