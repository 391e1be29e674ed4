// Why: configuration comes over the wire and from mounted files. However it is damaged, what is live stays whole: a push is
// taken or it is not, a bad entry stays alone, and the good ones beside it mean what they say.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ADMIN_PATHS, type PushRequest } from "@nexus/protocol/admin.ts";
import { type Bucket, type BundleEntry, entryKey, makeBuckets, sealEntry } from "@nexus/protocol/bundle.ts";
import { createLiveConfig, type LiveConfig } from "@nexus/server/core/live-config.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { apiKey, clusterEntry, digestOfAll, secretIssuer, templateEntry, tenantEntry } from "../support/bundle-entries.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { CANARY, mutated } from "../support/mutate.ts";
import { ADMIN_NAME, ADMIN_TOKEN, type AdminFiles, adminFiles, type RealServer, startRealServer } from "../support/real-server.ts";

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const rule = {
  match: "a.*",
  history: { size: 3, ttlSeconds: 60 },
  slowConsumer: "DropOldest",
  subscribe: "Claim",
  publish: "Claim",
} as const;
const GOOD: readonly BundleEntry[] = [
  clusterEntry({ channels: [rule] }),
  tenantEntry("acme", { api_keys: [apiKey("one", "key-1")], issuers: [secretIssuer("a secret")], channels: [rule] }),
  tenantEntry("other", { api_keys: [apiKey("two", "key-2")] }),
  templateEntry("acme", "welcome", { variables: [{ name: "name", type: "string", required: true }] }),
  templateEntry("other", "liquid", { engine: "Liquid", payload: { text: "{% if a %}{{a}}{% endif %}" } }),
];
/** `every`: also the buckets that are empty, which takes away what damage may have put there. */
const whole = (entries: readonly BundleEntry[], sequence: number, every = false): PushRequest => ({
  ...{ format: 1, term: "5", sequence, digest: digestOfAll(entries) },
  buckets: makeBuckets(entries)
    .filter((bucket) => every || bucket.entries.length > 0)
    .map(({ index, digest, entries: all }) => ({ index, from: "0".repeat(64), to: digest, full: true, entries: all, removed: [] })),
});

/** Everything a reader can see. */
const seen = (live: LiveConfig) => ({
  cluster: live.cluster(),
  tenants: [...live.tenantIds()]
    .sort()
    .map((id) => [id, live.tenant(id), [...live.templateIds(id)].sort().map((one) => live.template(id, one))]),
  keys: ["key-1", "key-2"].map((key) => live.keyHolder(key)),
  digest: live.digest(),
});

/** The entry with another meaning and the digest of it; undefined where JSON cannot carry that. */
function sealed({ digest: _, ...bare }: BundleEntry, spec: unknown): BundleEntry | undefined {
  try {
    // The seal is right; what is sealed is what the server has to judge.
    return sealEntry({ ...bare, generation: 2, spec: JSON.parse(JSON.stringify(spec) ?? "null") as unknown } as typeof bare) as BundleEntry;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

describe("in files", () => {
  test(
    "damaged buckets are skipped or read, entry by entry, and never throw",
    async () => {
      const buckets = makeBuckets(GOOD).filter(({ entries }) => entries.length > 0);
      await fc.assert(
        fc.property(
          fc.nat(buckets.length - 1).chain((at) => fc.tuple(fc.constant(at), mutated(buckets[at]?.entries))),
          ([at, damaged]) => {
            fc.pre(Array.isArray(damaged) && damaged.every((one) => typeof one === "object" && one !== null)); // the file's reader sees to that
            const live = createLiveConfig({ log: silent, clock: { now: Date.now, monotonic: () => 0 } });
            live.load(buckets);
            const before = seen(live);
            const bad = { ...buckets[at], entries: damaged } as Bucket; // as much of one as a file may hold
            const report = live.load([bad]);
            if (report.skipped.length > 0) expect(seen(live)).toEqual(before);
            else expect(seen(live).digest).toBe(before.digest); // the digest of a bucket is that of its entries
          },
        ),
        fuzzSettings(),
      );
    },
    fuzzTimeoutMs(20),
  );
});

describe("over the wire", () => {
  let files: AdminFiles;
  let real: RealServer;
  let sequence = 0;
  beforeAll(async () => {
    files = await adminFiles();
    real = await startRealServer({ env: files.env });
    real.expectErrors("config.entry_rejected");
  });
  afterAll(async () => {
    await real[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });
  const push = async (request: unknown) => {
    const answer = await fetch(`https://127.0.0.1:${real.server.adminPort}${ADMIN_PATHS.bundle}`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(request) ?? "",
      tls: { ca: files.ca, serverName: ADMIN_NAME },
    });
    return { status: answer.status, text: await answer.text() };
  };
  const restore = async () => {
    sequence += 10;
    const { live } = real.server;
    const { term } = live.fence();
    expect(await push({ ...whole(GOOD, sequence, true), term, reset: true })).toMatchObject({ status: 200 });
    return seen(live);
  };

  test(
    "a damaged push is taken as a whole or not at all, and a good one mends everything",
    async () => {
      const good = await restore();
      const run = async (damaged: unknown) => {
        const { status, text } = await push(damaged);
        expect(status).toBeLessThan(500);
        if (status !== 200) {
          expect(text).not.toContain(CANARY);
          expect(seen(real.server.live)).toEqual(good);
        }
        expect(await restore()).toEqual(good);
      };
      const request = mutated({ ...whole(GOOD, 1_000_000), reset: true });
      await fc.assert(fc.asyncProperty(request, run), fuzzSettings());
    },
    fuzzTimeoutMs(60),
  );

  test(
    "an entry with a right digest and a wrong meaning stays alone: the others come in, what was live for it stays",
    async () => {
      const good = await restore();
      let refusals = 0;
      const one = fc.nat(GOOD.length - 1).chain((at) => fc.tuple(fc.constant(at), mutated(GOOD[at]?.spec)));
      const run = async ([at, spec]: readonly [number, unknown]) => {
        const odd = sealed(GOOD[at] as BundleEntry, spec); // one of them
        fc.pre(odd !== undefined);
        const others = GOOD.filter((entry) => entry !== GOOD[at]);
        sequence += 10;
        const { status, text } = await push({ ...whole([...others, odd], sequence), term: real.server.live.fence().term });
        expect(status).toBeLessThan(500);
        if (status === 200) {
          const { rejected } = JSON.parse(text) as { rejected: { key: string }[] }; // what a 200 of the contract holds
          expect(rejected.map(({ key }) => key).filter((key) => key !== entryKey(odd))).toEqual([]);
          refusals += rejected.length;
          if (rejected.length > 0) expect({ ...seen(real.server.live), digest: "" }).toEqual({ ...good, digest: "" });
        }
        expect(await restore()).toEqual(good);
      };
      await fc.assert(fc.asyncProperty(one, run), fuzzSettings());
      expect(refusals).toBeGreaterThan(0);
    },
    fuzzTimeoutMs(60),
  );
});
