// Why: the boot copy is what a fleet lives from while the operator is dead; it must be right, rare and bounded.
import { describe, expect, test } from "bun:test";
import { COMPILER_REVISION, compileBundle } from "@nexus/operator/desired/bundle.ts";
import { COMPILER_ANNOTATION, childNames } from "@nexus/operator/desired/names.ts";
import { BootCopy, type BootOptions } from "@nexus/operator/loop/boot.ts";
import { packBucket, readStored, storedOf, unpackBucket } from "@nexus/operator/loop/boot-bucket.ts";
import { urgencyOf } from "@nexus/operator/loop/boot-urgency.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { ChildRequest } from "@nexus/operator/loop/ports.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import { BOOT_SECRET_KEY, type BundleEntry, bucketOf, entryKey, makeBuckets } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster, accepted, aTenant, secretsOf } from "../bundle/fixtures.ts";
import { bucketsOf, entryOf, keyOf } from "./stage.ts";

type Secret = KubeObject & { readonly data?: Readonly<Record<string, string>> };
const OWNER = {
  namespace: "prod",
  name: "live",
  labels: { "nexus.dev/operator-id": "me" },
  ownerReferences: [{ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", name: "live", uid: "owner", controller: true }],
  identity: { ownerUid: "owner", labels: {} },
};

/** Secrets in memory, with every write in order. */
function etcd() {
  const secrets = new Map<string, Secret>();
  const writes: string[] = [];
  let failing = 0;
  return {
    secrets,
    writes,
    fail(times: number) {
      failing = times;
    },
    api: {
      get: async (ref: { readonly name: string }) => secrets.get(ref.name) as never,
      heads: async () => [...secrets.values()].map(({ data: _, ...head }) => head),
    },
    applier: {
      apply: async ({ desired }: ChildRequest) => {
        if (failing-- > 0) throw new Error("the API server is away");
        if (secrets.get(desired.metadata.name)?.metadata.ownerReferences?.[0]?.uid === "stranger")
          return { kind: "nameConflict", message: "exists" } as const;
        writes.push(desired.metadata.name);
        const live = { ...desired, metadata: { ...desired.metadata, resourceVersion: String(writes.length) } };
        secrets.set(desired.metadata.name, live);
        return { kind: "created", live } as const;
      },
    },
  };
}

function open(store = etcd(), options: Partial<BootOptions> = {}) {
  const clock = new ManualClock();
  const book = new BundleBook();
  const errors: unknown[] = [];
  const boot = new BootCopy({
    owner: OWNER,
    book,
    api: store.api,
    applier: store.applier,
    clock,
    random: () => 0.5,
    mayWrite: () => true,
    onChange: () => undefined,
    onError: (error) => errors.push(error),
    ...options,
  });
  const put = (...entries: BundleEntry[]) => {
    const urgency = urgencyOf(book, { put: entries });
    book.change({ put: entries });
    boot.changed(urgency);
  };
  return { store, clock, book, boot, put, errors };
}
const secretOf = (id: string) => childNames("live").boot(bucketOf(`acme/${id}`));

describe("the boot copy", () => {
  test("comes back when somebody deletes or edits it, and is not fought over", async () => {
    const { store, clock, boot, put } = open();
    await bucketsOf(boot);
    put(entryOf("a"));
    await clock.advance(0);
    const index = bucketOf("acme/a");
    boot.seen(index, store.secrets.get(secretOf("a"))?.metadata.resourceVersion);
    await clock.advance(120_000);
    expect(store.writes).toHaveLength(1); // our own write is no news

    store.secrets.delete(secretOf("a"));
    boot.seen(index, undefined);
    await clock.advance(5_000);
    expect(store.writes).toHaveLength(2);
    boot.seen(index, undefined); // again, within the minute: at the usual pace
    await clock.advance(59_000);
    expect(store.writes).toHaveLength(2);
    await clock.advance(1_000);
    expect(store.writes).toHaveLength(3);

    await clock.advance(120_000);
    boot.seen(index, "edited");
    await clock.advance(5_000);
    expect(store.writes).toHaveLength(4);
    expect(boot.state().isWritten).toBe(true);
  });

  test("a watch that is quicker than the answer to our write is no touch of somebody else's", async () => {
    const store = etcd();
    const index = bucketOf("acme/a");
    let shown: (() => string | undefined) | undefined;
    const { clock, boot, put } = open(store, {
      applier: {
        apply: async (request: ChildRequest) => {
          const outcome = await store.applier.apply(request);
          if (shown) boot.seen(index, shown());
          return outcome;
        },
      },
    });
    await bucketsOf(boot);
    shown = () => store.secrets.get(secretOf("a"))?.metadata.resourceVersion;
    put(entryOf("a"));
    await clock.advance(120_000);
    expect(store.writes).toHaveLength(1);
    boot.seen(index, "edited"); // the first touch of all: put back soon
    await clock.advance(5_000);
    expect(store.writes).toHaveLength(2);

    await clock.advance(120_000);
    shown = () => {
      shown = undefined;
      return "edited while we wrote";
    };
    put(entryOf("a", "changed", 2));
    await clock.advance(5_000);
    expect(store.writes).toHaveLength(3);
    await clock.advance(65_000);
    expect(store.writes).toHaveLength(4);
  });

  test("ends without a word when its namespace is going", async () => {
    const causes = [{ reason: "NamespaceTerminating", field: "", message: "" }];
    const store = etcd();
    let tries = 0;
    const apply = async () => {
      tries++;
      throw new KubeError({ status: 403, reason: "Forbidden", message: "it is being terminated", causes });
    };
    const { clock, boot, put, errors } = open(store, { applier: { apply } });
    await bucketsOf(boot);
    put(entryOf("a"));
    await clock.advance(600_000);
    expect([tries, errors]).toEqual([1, []]);
  });

  test("is written at once the first time, then 5 s after the last change, then once a minute", async () => {
    const { store, clock, boot, put } = open();
    expect(await bucketsOf(boot)).toEqual([]);
    put(entryOf("a"));
    await clock.advance(0);
    expect(store.writes).toEqual([secretOf("a")]);
    expect(boot.state()).toMatchObject({ isWritten: true, behindMs: 0, left: 0, problem: undefined });

    put(entryOf("a", "edit", 2));
    await clock.advance(59_000);
    expect(store.writes).toHaveLength(1);
    expect(boot.state()).toMatchObject({ isWritten: false, behindMs: 59_000 });
    await clock.advance(1_000);
    expect(store.writes).toHaveLength(2);
    expect(boot.state().behindMs).toBe(0);
    await clock.advance(120_000);
    put(entryOf("a", "edit", 3));
    await clock.advance(4_900);
    put(entryOf("a", "edit", 4));
    await clock.advance(4_900);
    expect(store.writes).toHaveLength(2);
    await clock.advance(200);
    expect(store.writes).toHaveLength(3);
    const data = Buffer.from(store.secrets.get(secretOf("a"))?.data?.[BOOT_SECRET_KEY] ?? "", "base64");
    expect(unpackBucket(bucketOf("acme/a"), data)?.entries.map((entry) => entry.generation)).toEqual([4]);
  });

  test("does not starve while edits keep coming", async () => {
    const { store, clock, boot, put } = open();
    await bucketsOf(boot);
    put(entryOf("a"));
    await clock.advance(61_000);
    for (let round = 2; round < 40; round++) {
      put(entryOf("a", `edit ${round}`, round));
      await clock.advance(2_000);
    }
    expect(store.writes).toHaveLength(2);
  });

  test("writes nothing after a restart, and nothing for content that came back", async () => {
    const first = open();
    await bucketsOf(first.boot);
    first.put(...Array.from({ length: 300 }, (_, index) => entryOf(`t${index}`)));
    await first.clock.advance(100);
    const written = first.store.writes.length;

    const second = open(first.store);
    const buckets = await bucketsOf(second.boot);
    expect(buckets.flatMap((bucket) => bucket.entries)).toHaveLength(300);
    for (const bucket of buckets) second.book.fill(storedOf(bucket));
    second.boot.changed();
    expect(second.boot.state().isWritten).toBe(true);
    second.put(...Array.from({ length: 300 }, (_, index) => entryOf(`t${index}`)));
    await second.clock.advance(300_000);
    expect(first.store.writes).toHaveLength(written);
    second.put(entryOf("t1", "edit", 2));
    second.put(entryOf("t1"));
    await second.clock.advance(300_000);
    expect(first.store.writes).toHaveLength(written);
  });

  test("of another revision of the compiler says so until everything was compiled, then is marked anew", async () => {
    const first = open();
    await bucketsOf(first.boot);
    first.put(entryOf("t1"));
    await first.clock.advance(100);
    const name = secretOf("t1");
    const { metadata, ...rest } = first.store.secrets.get(name) ?? { metadata: { name }, apiVersion: "v1", kind: "Secret" };
    first.store.secrets.set(name, {
      ...rest,
      metadata: { ...metadata, annotations: { ...metadata.annotations, [COMPILER_ANNOTATION]: "0" } },
    });

    const second = open(first.store);
    for (const bucket of await bucketsOf(second.boot)) second.book.fill(storedOf(bucket));
    expect(second.boot.isOutdated()).toBe(true);
    second.boot.compiled();
    await second.clock.advance(60_000);
    expect(first.store.secrets.get(name)?.metadata.annotations?.[COMPILER_ANNOTATION]).toBe(COMPILER_REVISION);
    const third = open(first.store);
    await bucketsOf(third.boot);
    expect(third.boot.isOutdated()).toBe(false);
  });

  test("tries again after a failure, and does not touch a Secret of somebody else", async () => {
    const { store, clock, boot, put, errors } = open();
    await bucketsOf(boot);
    store.fail(2);
    put(entryOf("a"));
    await clock.advance(100);
    expect(boot.state()).toMatchObject({ isWritten: false, problem: "the API server is away" });
    await clock.advance(10_000);
    expect([errors.length, store.writes.length, boot.state().problem]).toEqual([2, 1, undefined]);

    const theirs = open();
    const stranger = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: secretOf("a"), ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid: "stranger", controller: true }] },
    };
    theirs.store.secrets.set(secretOf("a"), {
      ...stranger,
      data: {
        [BOOT_SECRET_KEY]: packBucket(bucketOf("acme/a"), [{ key: keyOf("a"), json: JSON.stringify(entryOf("a")) }]).data.toString(
          "base64",
        ),
      },
    });
    expect(await bucketsOf(theirs.boot)).toEqual([]);
    theirs.put(entryOf("a"));
    await theirs.clock.advance(100);
    expect(theirs.boot.state()).toMatchObject({ isWritten: false, problem: "exists" });
  });

  test("a bucket that is too large keeps the cluster and tenants, then templates in id order, and says how many are left", async () => {
    const index = bucketOf("cluster");
    const noise = (seed: number) => Array.from({ length: 400 }, (_, at) => Math.imul(at + 1, seed * 2654435761) >>> 0).join("");
    const templates = Array.from({ length: 3000 }, (_, id) => `t${String(id).padStart(4, "0")}`)
      .filter((id) => bucketOf(`acme/${id}`) === index)
      .map((id, seed) => entryOf(id, noise(seed + 1)));
    const cluster = compileBundle({ cluster: aCluster(), tenants: [], templates: [], secrets: () => undefined }).entries[0]!;
    const { clock, boot, put, store } = open(etcd(), { maxBytes: 20_000 });
    await bucketsOf(boot);
    put(...templates, cluster);
    await clock.advance(100);
    const data = Buffer.from(store.secrets.get(childNames("live").boot(index))?.data?.[BOOT_SECRET_KEY] ?? "", "base64");
    expect(data.length).toBeLessThanOrEqual(20_000);
    const kept = unpackBucket(index, data)!.entries.map((entry) => entryKey(entry));
    expect(kept[0]).toBe("cluster:cluster");
    expect(kept.slice(1)).toEqual(templates.map((entry) => entryKey(entry)).slice(0, kept.length - 1));
    expect(kept.length).toBeGreaterThan(1);
    expect(boot.state()).toMatchObject({ isWritten: true, behindMs: 0, left: templates.length + 1 - kept.length, problem: undefined });
    expect(boot.state().fullest).toBeGreaterThan(0.9);
    expect(boot.state().fullest).toBeLessThanOrEqual(1);
  });

  test("nothing but a bucket is taken for one", () => {
    const { data } = packBucket(3, []);
    expect(unpackBucket(3, data)?.entries).toEqual([]);
    expect(unpackBucket(4, data)).toBeUndefined();
    expect(unpackBucket(3, data.subarray(0, 5))).toBeUndefined();
    expect(unpackBucket(3, Buffer.from("no zstd"))).toBeUndefined();
    const forged = { ...entryOf("a"), generation: 9 };
    expect(unpackBucket(3, packBucket(3, [{ key: keyOf("a"), json: JSON.stringify(forged) }]).data)).toBeUndefined();
  });
});

describe("urgency", () => {
  const secrets = (key: string) => secretsOf({ "prod/acme-apikey-a": { key }, "prod/jwt": { key: "x".repeat(32) } });
  const auth = {
    apiKeys: [{ name: "a", scopes: ["publish", "read"] }],
    issuers: [{ name: "i", algorithms: ["HS256"], secretRef: { name: "jwt" } }],
  };
  const entry = (spec: object = { auth }, key = "one") =>
    compileBundle({ cluster: aCluster(), tenants: [accepted(aTenant("acme", spec))], templates: [], secrets: secrets(key) }).entries.filter(
      (one) => one.kind === "tenant",
    );
  const book = new BundleBook();
  book.change({ put: [...entry(), entryOf("t")] });

  test.each([
    ["a new key", { auth: { ...auth, apiKeys: [...auth.apiKeys, { name: "b", scopes: ["read"] }] } }, "calm"],
    ["another quota", { auth, quotas: { publishPerSecond: 1 } }, "calm"],
    ["a suspended tenant", { auth, suspended: true }, "urgent"],
    ["a removed key", { auth: { issuers: auth.issuers } }, "urgent"],
    ["a scope less", { auth: { ...auth, apiKeys: [{ name: "a", scopes: ["read"] }] } }, "urgent"],
    ["a removed issuer", { auth: { apiKeys: auth.apiKeys } }, "urgent"],
  ] as const)("%s", (_name, spec, urgency) => {
    expect(urgencyOf(book, { put: entry(spec) })).toBe(urgency);
  });

  test("a replaced key and a removed tenant are urgent, a removed template is not", () => {
    expect(urgencyOf(book, { put: entry({ auth }, "two") })).toBe("urgent");
    expect(urgencyOf(book, { remove: ["tenant:acme"] })).toBe("urgent");
    expect(urgencyOf(book, { remove: [keyOf("t")] })).toBe("calm");
  });

  test("an urgent change does not wait for the minute", async () => {
    const { store, clock, boot, put } = open();
    await bucketsOf(boot);
    put(...entry());
    await clock.advance(100);
    put(...entry({ auth, suspended: true }));
    await clock.advance(100);
    expect(store.writes).toHaveLength(2);
  });
});

test("entries are taken as they were written under the right checksum, and read one by one without it", () => {
  const entries = ["a", "b"].map((id) => entryOf(id));
  const bucket = makeBuckets(entries).find((one) => one.entries.length > 0);
  if (!bucket) throw new Error("no bucket has an entry");
  const lines = bucket.entries.map((entry) => ({ key: entryKey(entry), json: JSON.stringify(entry) }));
  const { data } = packBucket(bucket.index, lines);
  expect(readStored(bucket.index, data, sha256(data))).toEqual(storedOf(bucket));
  expect(readStored(bucket.index, data, undefined)).toEqual(storedOf(bucket));
  expect(readStored(bucket.index, data, "another")).toEqual(storedOf(bucket));
  expect(readStored(bucket.index + 1, data, sha256(data))).toBeUndefined();
  // Somebody changed an entry: the checksum that was written does not fit, and its own digest neither.
  const forged = packBucket(
    bucket.index,
    lines.map(({ key, json }) => ({ key, json: json.replace('"text":"hi"', '"text":"ho"') })),
  );
  expect(readStored(bucket.index, forged.data, sha256(data))).toBeUndefined();
});
