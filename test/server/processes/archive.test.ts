// Why: a process that is started again has to have what its siblings have, whatever was pushed before it came.
import { expect, test } from "bun:test";
import { type BundleEntry, bucketOf, entryKey, makeBuckets } from "@nexus/protocol/bundle.ts";
import { createLiveConfig, type LiveConfig, type Push, type PushedBucket } from "@nexus/server/core/live-config.ts";
import { Archive, unpack } from "@nexus/server/processes/archive.ts";
import fc from "fast-check";
import { clusterEntry, digestOfAll, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const create = () => createLiveConfig({ log: silent, clock: { now: () => 1000, monotonic: () => 1000 } });
const IDS = ["a", "b", "c"];

/** Each step says one thing about one template. `bad`: a version that no server can use. `full`: the bucket travels whole. */
type Step = { readonly id: string; readonly change: "good" | "bad" | "gone"; readonly full: boolean };

const step: fc.Arbitrary<Step> = fc.record({
  id: fc.constantFrom(...IDS),
  change: fc.constantFrom("good", "bad", "gone"),
  full: fc.boolean(),
});

function entryOf({ id, change }: Step, generation: number): BundleEntry {
  const good = templateEntry("acme", id, { payload: { generation } }, generation);
  // As an operator of a newer version might send it.
  return change === "bad" ? ({ ...good, digest: good.digest, spec: { ...good.spec, engine: "Unknown" } } as unknown as BundleEntry) : good;
}

function pushOf(
  before: ReadonlyMap<string, BundleEntry>,
  after: ReadonlyMap<string, BundleEntry>,
  { id, full }: Step,
  sequence: number,
): Push {
  const index = bucketOf(`acme/${id}`);
  const [from, to] = [before, after].map((state) => makeBuckets(state.values())[index]);
  if (!from || !to) throw new Error("there are 64 buckets");
  const known = new Set(from.entries.map(({ digest }) => digest));
  const left = new Set(to.entries.map(entryKey));
  const bucket: PushedBucket = {
    ...{ index, from: from.digest, to: to.digest, full },
    entries: full ? to.entries : to.entries.filter(({ digest }) => !known.has(digest)),
    removed: full ? [] : from.entries.map(entryKey).filter((key) => !left.has(key)),
  };
  return { format: 1, term: "7", sequence, digest: digestOfAll(after.values()), buckets: [bucket] };
}

/** What a process started now ends up with. */
function handedOver(archive: Archive, live: LiveConfig): LiveConfig {
  const fresh = create();
  const unpacked = [...archive.packed()].map(unpack);
  for (const { bucket } of unpacked) expect(fresh.load([bucket]).skipped).toEqual([]);
  const buckets = unpacked.flatMap(({ rest }) => (rest ? [rest] : []));
  expect(fresh.push({ format: 1, ...live.fence(), digest: live.digest(), buckets }).kind).toBe("applied");
  return fresh;
}

const shown = (live: LiveConfig) => {
  const confirm = live.push({ format: 1, ...live.fence(), digest: live.digest(), buckets: [] });
  const rejected = confirm.kind === "applied" ? confirm.result.rejected.map(({ key, generation }) => `${key}@${generation}`).sort() : [];
  const templates = IDS.map((id) => live.template("acme", id)?.payload);
  return { digest: live.digest(), fence: live.fence(), counts: live.counts(), rejected, templates };
};

test("what is handed over is what was pushed, rejected entries and what stays live in their place included", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const live = create();
      const archive = new Archive();
      const boot = [clusterEntry(), tenantEntry("acme"), templateEntry("acme", "a", { payload: { generation: 0 } })];
      let told = new Map(boot.map((entry) => [entryKey(entry), entry]));
      for (const bucket of makeBuckets(boot)) {
        live.load([bucket]);
        archive.put(bucket);
      }
      for (const [i, one] of steps.entries()) {
        const next = new Map(told);
        if (one.change === "gone") next.delete(`template:acme/${one.id}`);
        else next.set(`template:acme/${one.id}`, entryOf(one, i + 1));
        const push = pushOf(told, next, one, i + 1);
        const outcome = live.push(push);
        if (outcome.kind !== "applied") throw new Error(`the test's push was ${outcome.kind}`);
        archive.apply(push, new Set(outcome.result.rejected.map(({ key }) => key)));
        told = next;
      }
      expect(shown(handedOver(archive, live))).toEqual(shown(live));
    }),
    { numRuns: 100 },
  );
});

test("a bucket that became empty is handed to nobody", () => {
  const archive = new Archive();
  const entry = tenantEntry("acme");
  const index = bucketOf("acme");
  archive.put({ index, entries: [entry] });
  expect([...archive.packed()]).toHaveLength(1);
  const [from, to] = [makeBuckets([entry])[index]?.digest ?? "", makeBuckets([])[index]?.digest ?? ""];
  archive.apply(
    {
      ...{ format: 1, term: "1", sequence: 1, digest: digestOfAll([]) },
      buckets: [{ index, from, to, full: false, entries: [], removed: [entryKey(entry)] }],
    },
    new Set(),
  );
  expect([...archive.packed()]).toHaveLength(0);
});
