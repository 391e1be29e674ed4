// Why: configuration is taken whole or not at all, bad entries stay alone, and an old leader has no say.
import { describe, expect, test } from "bun:test";
import { type Bucket, type BundleEntry, bucketOf, entryKey, makeBucket, makeBuckets } from "@nexus/protocol/bundle.ts";
import { createLiveConfig, type LiveConfig, type Push, type PushedBucket } from "@nexus/server/core/live-config.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { apiKey, clusterEntry, digestOfAll, platformKey, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function create(now = () => 1_000) {
  return createLiveConfig({ log: silent, clock: { now, monotonic: now } });
}

/** A push from the state `before` to `after`, bucket by bucket. */
function pushOf(before: readonly BundleEntry[], after: readonly BundleEntry[], change: Partial<Push> = {}): Push {
  const from = makeBuckets(before);
  const buckets = makeBuckets(after).flatMap((bucket, index): PushedBucket[] => {
    const old = from[index] as Bucket; // both have all 64
    if (old.digest === bucket.digest) return [];
    const known = new Set(old.entries.map(({ digest }) => digest));
    const left = new Set(bucket.entries.map(entryKey));
    const removed = old.entries.map(entryKey).filter((key) => !left.has(key));
    const entries = bucket.entries.filter(({ digest }) => !known.has(digest));
    return [{ index, from: old.digest, to: bucket.digest, full: false, entries, removed }];
  });
  return { format: 1, term: "10", sequence: 1, digest: digestOfAll(after), buckets, ...change };
}

const full = (entries: readonly BundleEntry[], change: Partial<Push> = {}): Push => ({
  ...pushOf([], entries, change),
  buckets: makeBuckets(entries)
    .filter((bucket) => bucket.entries.length > 0)
    .map(({ index, digest, entries: all }) => ({ index, from: "0".repeat(64), to: digest, full: true, entries: all, removed: [] })),
});

const base = [clusterEntry(), tenantEntry("acme", { api_keys: [apiKey("backend", "secret-1")] }), templateEntry("acme", "welcome")];

describe("pushes", () => {
  test("change what is said and leave the rest alone", () => {
    const live = create();
    expect(live.push(full(base))).toEqual({ kind: "applied", result: { digest: digestOfAll(base), rejected: [] } });
    const before = live.template("acme", "welcome");
    const after = [...base, templateEntry("acme", "other"), clusterEntry({ limits: { bodyBytes: 4096 } }, 2)].slice(1);
    expect(live.push(pushOf(base, after, { sequence: 2 }))).toMatchObject({ kind: "applied" });
    expect(live.template("acme", "other")?.template_id).toBe("other");
    expect(live.cluster().limits.bodyBytes).toBe(4096);
    expect(live.template("acme", "welcome")).toBe(before);
    expect(live.counts()).toEqual({ tenants: 1, templates: 2, rejected: 0 });
    live.push(pushOf(after, [], { sequence: 3 }));
    expect(live.tenant("acme")).toBeUndefined();
    expect(live.keyHolder("secret-1")).toBeUndefined();
    expect(live.cluster().limits.bodyBytes).toBe(65536);
  });

  test("that start at another digest change nothing and name the buckets", () => {
    const live = create();
    live.push(full(base));
    const digest = live.digest();
    const wrong = pushOf([], [...base, templateEntry("acme", "other")], { sequence: 2 });
    const outcome = live.push(wrong);
    expect(outcome).toMatchObject({ kind: "mismatch", mismatch: { digest } });
    expect(live.digest()).toBe(digest);
    if (outcome.kind !== "mismatch") throw new Error("expected a mismatch");
    for (const { index, digest: ours } of outcome.mismatch.buckets) expect(live.bucketDigests()[index]).toBe(ours);
  });

  test("of which one bucket lies about its result change nothing at all", () => {
    const live = create();
    const after = Array.from({ length: 40 }, (_, i) => templateEntry("acme", `t${i}`));
    const push = full(after);
    const buckets = push.buckets.map((bucket, i) => (i === 3 ? { ...bucket, to: "1".repeat(64) } : bucket));
    const refused = live.push({ ...push, buckets });
    expect(refused).toMatchObject({ kind: "refused", refusal: { code: "validation_error", fields: [{ pointer: "/buckets/3/to" }] } });
    expect(live.counts().templates).toBe(0);
    const twice = [...push.buckets, push.buckets[0] as PushedBucket];
    expect(live.push({ ...push, buckets: twice })).toMatchObject({ kind: "refused" });
    expect(live.push({ ...push, format: 2 })).toMatchObject({ kind: "refused", refusal: { fields: [{ pointer: "/format" }] } });
  });

  test("an entry that cannot be used is named, stays named, and the old one stays live", () => {
    const live = create();
    live.push(full(base));
    const good = templateEntry("acme", "welcome", { event_type: "second" }, 2);
    const bad = { ...good, spec: { ...good.spec, engine: "Unknown" } } as unknown as BundleEntry; // as a newer operator might send
    const after = [base[0], base[1], bad].filter((entry) => entry !== undefined);
    const first = live.push(pushOf(base, after, { sequence: 2 }));
    if (first.kind !== "applied") throw new Error(`expected an answer, got ${first.kind}`);
    const { rejected } = first.result;
    expect(rejected).toHaveLength(1);
    expect(rejected[0]).toMatchObject({ key: "template:acme/welcome", uid: good.uid, generation: 2 });
    expect(rejected[0]?.reason).toContain("/spec/engine");
    expect(live.template("acme", "welcome")?.event_type).toBe("test");
    expect(live.confirmed()).toBe(true);
    expect(live.push(pushOf(after, after, { sequence: 3 }))).toEqual({ kind: "applied", result: { ...first.result, rejected } });
    const repaired = templateEntry("acme", "welcome", { event_type: "third" }, 3);
    const final = [base[0], base[1], repaired].filter((entry) => entry !== undefined);
    expect(live.push(pushOf(after, final, { sequence: 4 }))).toMatchObject({ result: { rejected: [] } });
    expect(live.template("acme", "welcome")?.event_type).toBe("third");
  });

  test("unknown kinds, foreign ids, foreign buckets and changed content are rejected, with reasons that hold no content", () => {
    const changed = { ...tenantEntry("a1"), generation: 9 };
    const strange = { ...tenantEntry("a2"), kind: "webhook" } as unknown as BundleEntry;
    const misnamed = { ...templateEntry("acme", "x"), id: "acme/y" } as BundleEntry;
    const live = create();
    for (const [sequence, entry] of [changed, strange, misnamed].entries()) {
      const index = bucketOf(entry.id);
      const bucket = makeBucket(index, [entry]);
      const outcome = live.push({
        ...{ format: 1, term: "1", sequence, digest: "f".repeat(64) },
        buckets: [{ index, from: "0".repeat(64), to: bucket.digest, full: true, entries: [entry], removed: [] }],
      });
      if (outcome.kind !== "applied") throw new Error(`expected an answer, got ${outcome.kind}`);
      expect(outcome.result.rejected.map(({ key }) => key)).toContain(entryKey(entry));
    }
    expect(live.counts()).toEqual({ tenants: 0, templates: 0, rejected: 3 });
    expect(live.confirmed()).toBe(false);
  });
});

describe("leaders", () => {
  test("an older pair is stale, an equal one is a repetition, reset lets one back", () => {
    const live = create();
    const at = (term: string, sequence: number, reset = false) =>
      live.push({ ...full(base), term, sequence, ...(reset ? { reset } : {}) }).kind;
    expect(at("9007199254740993", 5)).toBe("applied");
    expect(at("9007199254740993", 5)).toBe("applied");
    expect(at("9007199254740993", 4)).toBe("stale");
    expect(at("9007199254740992", 9)).toBe("stale");
    expect(live.fence()).toEqual({ term: "9007199254740993", sequence: 5 });
    expect(at("7", 1, true)).toBe("applied");
    expect(at("6", 1)).toBe("stale");
    expect(live.fence()).toEqual({ term: "7", sequence: 1 });
  });

  test("confirm when a push ends at our digest, and not before", () => {
    const live = create();
    live.load([...makeBuckets(base)]);
    const confirm: Push = { format: 1, term: "1", sequence: 1, digest: "a".repeat(64), buckets: [] };
    live.push(confirm);
    expect(live.confirmed()).toBe(false);
    live.push({ ...confirm, digest: live.digest() });
    expect(live.confirmed()).toBe(true);
  });
});

describe("the boot copy", () => {
  test("is taken bucket by bucket: one that is not what it says is left out", () => {
    const live = create();
    const buckets = makeBuckets(base);
    const broken = buckets.map((bucket) => (bucket.index === bucketOf("acme") ? { ...bucket, digest: "0".repeat(64) } : bucket));
    const report = live.load(broken);
    expect(report.skipped).toEqual([{ index: bucketOf("acme"), reason: expect.any(String) }]);
    expect(live.tenant("acme")).toBeUndefined();
    expect(live.template("acme", "welcome")).toBeDefined();
  });
});

describe("keys", () => {
  const rotated = (notAfter: string) => {
    const [key] = [apiKey("backend", "new")];
    const old = apiKey("backend", "old").hashes.map((hash) => ({ ...hash, not_after: notAfter }));
    return tenantEntry("acme", { api_keys: [{ ...key, hashes: [...key.hashes, ...old] }] });
  };

  test("an old key works until its not_after", () => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const live = createLiveConfig({ log: silent, clock: { now: () => now, monotonic: () => now } });
    live.push(full([rotated("2026-01-02T00:00:00Z")]));
    expect(live.keyHolder("old")?.name).toBe("backend");
    now = Date.parse("2026-01-02T00:00:00Z");
    expect(live.keyHolder("old")).toBeUndefined();
    expect(live.keyHolder("new")).toEqual({ tenant: "acme", name: "backend", scopes: ["publish", "read", "admin"] });
  });

  test("platform keys act for nobody in particular; a rotated-away key is gone at once", () => {
    const live = create();
    live.push(full([clusterEntry({ platform_keys: [platformKey("root", "p1")] })]));
    expect(live.keyHolder("p1")).toMatchObject({ tenant: undefined, name: "root" });
    live.push(full([clusterEntry({ platform_keys: [platformKey("root", "p2")] }, 2)], { sequence: 2 }));
    expect([live.keyHolder("p1"), live.keyHolder("p2")?.name]).toEqual([undefined, "root"]);
  });
});

test("overrides of the process are laid over what the cluster says", () => {
  const live = createLiveConfig({
    overrides: { limits: { framesPerSecond: 7 }, delivery: { drainSeconds: 5 } },
    log: silent,
    clock: { now: () => 0, monotonic: () => 0 },
  });
  live.push(full([clusterEntry({ limits: { framesPerSecond: 99, bodyBytes: 2048 } })]));
  expect(live.cluster().limits).toMatchObject({ framesPerSecond: 7, bodyBytes: 2048 });
  expect(live.cluster().delivery.drainSeconds).toBe(5);
});

test("listeners hear what changed, once per push, with the new state in place", () => {
  const live = create();
  const heard: unknown[] = [];
  const stop = live.onChange(({ cluster, tenants, templates }) =>
    heard.push([cluster, [...tenants], [...templates], live.counts().templates]),
  );
  live.push(full(base));
  live.push(pushOf(base, base, { sequence: 2 }));
  expect(heard).toEqual([[true, ["acme"], ["acme/welcome"], 1]]);
  stop();
  live.push(pushOf(base, [], { sequence: 3 }));
  expect(heard).toHaveLength(1);
});

test("any history of deltas ends where a full push ends", () => {
  const entryOf = (id: number, version: number): BundleEntry => templateEntry("acme", `t${id}`, { event_type: `v${version}` }, version + 1);
  const step = fc.record({ id: fc.nat(30), version: fc.nat(3), gone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 25 }), { maxLength: 12 }), (history) => {
      const live = create();
      const state = new Map<number, BundleEntry>();
      for (const [sequence, changes] of history.entries()) {
        const before = [...state.values()];
        for (const { id, version, gone } of changes) {
          if (gone) state.delete(id);
          else state.set(id, entryOf(id, version));
        }
        expect(live.push(pushOf(before, [...state.values()], { sequence })).kind).toBe("applied");
      }
      expect(live.digest()).toBe(digestOfAll(state.values()));
      expect(templatesOf(live, 31)).toEqual([...state.keys()].sort((a, b) => a - b));
    }),
    { numRuns: 100 },
  );
});

const templatesOf = (live: LiveConfig, count: number): number[] =>
  Array.from({ length: count }, (_, id) => id).filter((id) => live.template("acme", `t${id}`) !== undefined);
