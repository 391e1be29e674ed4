// Why: the life of a generated key against an API server that keeps versions: made once, rotated with overlap, gone with its
// place in the spec; and what servers are told of it.
import { expect, test } from "bun:test";
import { keyHashes } from "@nexus/operator/desired/bundle/credentials.ts";
import { MANAGED_BY, ownedBy, tenantLabels } from "@nexus/operator/desired/names.ts";
import { ensureKey, type SecretHead } from "@nexus/operator/loop/generated-secrets.ts";
import { type OrphanKeys, orphanKeys, removeOrphanKeys } from "@nexus/operator/loop/orphan-keys.ts";
import { SecretSource } from "@nexus/operator/loop/secret-source.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { secretsApi } from "../../support/kube/secrets-api.ts";

const HOUR = 3_600_000;
const owner = { apiVersion: "nexus.dev/v1alpha1", kind: "Tenant", metadata: { name: "acme", uid: "uid-acme" } };
const labels = tenantLabels("acme", "op");
const head = (key: string): SecretHead => ({ namespace: "prod", name: `acme-apikey-${key}`, labels, ownerReferences: ownedBy(owner) });

function scene() {
  const kube = secretsApi();
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const secrets = new SecretSource({ api: kube.api, stores: [], clock });
  return {
    ...{ kube, clock, secrets },
    ensure: (key: string, rotation = 0) =>
      ensureKey(head(key), rotation, { api: kube.api, secrets, manager: "nexus-operator", wallMs: clock.wallMs() }),
    textOf: (key: string, field = "key") =>
      Buffer.from(kube.secrets.get(`prod/acme-apikey-${key}`)?.data?.[field] ?? "", "base64").toString(),
    hashes: (key: string) => keyHashes(secrets.read, "prod", { name: `acme-apikey-${key}`, key: "key" }),
  };
}

test("a key is made once and left alone", async () => {
  const { ensure, textOf, kube } = scene();
  await ensure("backend");
  const first = textOf("backend");
  expect(first).toMatch(/^nxk_[\w-]{43}$/);
  await ensure("backend");
  expect(textOf("backend")).toBe(first);
  expect(kube.writes).toEqual(["create prod/acme-apikey-backend"]);
});

test("a rotated key and the one before are both valid for 24 h, and nothing is written for it to end", async () => {
  const { ensure, textOf, hashes, kube } = scene();
  await ensure("backend");
  const old = textOf("backend");
  await ensure("backend", 1);
  await ensure("backend", 1);
  const now = textOf("backend");
  expect(now).not.toBe(old);
  expect(hashes("backend")).toEqual([{ sha256: sha256(now) }, { sha256: sha256(old), not_after: "2026-01-02T00:00:00.000Z" }]);
  expect(kube.writes.length).toBe(2);
});

test("rotated twice within the overlap, each of the three ends at its own time", async () => {
  const { ensure, textOf, hashes, clock } = scene();
  await ensure("backend");
  const first = textOf("backend");
  await ensure("backend", 1);
  const second = textOf("backend");
  await clock.advance(6 * HOUR);
  await ensure("backend", 2);
  expect(hashes("backend")).toEqual([
    { sha256: sha256(textOf("backend")) },
    { sha256: sha256(second), not_after: "2026-01-02T06:00:00.000Z" },
    { sha256: sha256(first), not_after: "2026-01-02T00:00:00.000Z" },
  ]);
  await clock.advance(20 * HOUR); // the first is over
  await ensure("backend", 3);
  expect(hashes("backend").map(({ not_after }) => not_after)).toEqual([undefined, "2026-01-03T02:00:00.000Z", "2026-01-02T06:00:00.000Z"]);
});

test("rotation that jumps, or is lowered again, is one rotation", async () => {
  const { ensure, textOf, kube } = scene();
  await ensure("backend");
  await ensure("backend", 7);
  const key = textOf("backend");
  await ensure("backend", 2);
  expect(textOf("backend")).toBe(key);
  expect(kube.writes.length).toBe(2);
});

test("an emptied key is made anew, and what it replaced stays valid", async () => {
  const { ensure, textOf, hashes, kube, secrets } = scene();
  await ensure("backend");
  const old = textOf("backend");
  await ensure("backend", 1);
  const secret = kube.secrets.get("prod/acme-apikey-backend");
  if (!secret) throw new Error("it was made");
  kube.put({ ...secret, data: { ...secret.data, key: "" } });
  secrets.invalidate("prod/acme-apikey-backend");
  await ensure("backend", 1);
  expect(textOf("backend")).toMatch(/^nxk_/);
  expect(hashes("backend")[1]).toMatchObject({ sha256: sha256(old) });
});

test("a Secret of somebody else is never touched", async () => {
  const { ensure, kube } = scene();
  kube.put({ apiVersion: "v1", kind: "Secret", metadata: { name: "acme-apikey-backend", namespace: "prod" }, data: {} });
  expect(await ensure("backend", 3)).toMatchObject({ ok: false });
  expect(kube.writes).toEqual([]);
});

const imported = (data: Readonly<Record<string, string>>, key = "token") =>
  keyHashes((_namespace, _name, field) => (data[field] === undefined ? undefined : new TextEncoder().encode(data[field])), "prod", {
    name: "mine",
    key,
  });

test("an imported key overlaps with those beside it, as long as they are there or as long as they say", () => {
  expect(imported({ token: "b\n" })).toEqual([{ sha256: sha256("b") }]);
  expect(imported({ token: "b", "token.previous": "a\n" })).toEqual([{ sha256: sha256("b") }, { sha256: sha256("a") }]);
  const until = "2026-01-02T00:00:00Z";
  expect(imported({ token: "b", "token.previous": "a", "token.previous-not-after": until })).toEqual([
    { sha256: sha256("b") },
    { sha256: sha256("a"), not_after: until },
  ]);
  // A time nobody can read ends it; another key's previous one is another matter.
  expect(imported({ token: "b", "token.previous": "a", "token.previous-not-after": "tomorrow" })).toEqual([{ sha256: sha256("b") }]);
  expect(imported({ token: "b", "other.previous": "a" })).toEqual([{ sha256: sha256("b") }]);
  expect(imported({ token: "b", previous: "a" })).toEqual([{ sha256: sha256("b") }]);
});

const asked = (wanted: readonly string[], stored: OrphanKeys["stored"]): OrphanKeys => ({
  ...{ stored, namespace: "prod", prefix: "acme-apikey-" },
  ...{ wanted: new Set(wanted.map((key) => `acme-apikey-${key}`)), identity: { labels, ownerUid: "uid-acme" } },
});

test("the Secret of a key that was taken out goes, and no other", async () => {
  const { ensure, kube, secrets } = scene();
  for (const key of ["backend", "batch"]) await ensure(key);
  const made = [...kube.secrets.values()];
  const [own] = made;
  if (!own) throw new Error("two were made");
  const { metadata } = own;
  const other = (change: object) => ({ ...own, metadata: { ...metadata, name: "acme-apikey-x", ...change } });
  const strangers = [
    other({ ownerReferences: ownedBy({ ...owner, metadata: { name: "acme", uid: "another" } }) }),
    other({ ownerReferences: [] }),
    other({ labels: { ...metadata.labels, "nexus.dev/operator-id": "another" } }),
    other({ namespace: "elsewhere" }),
    other({ name: "acme-notes" }),
    other({ deletionTimestamp: "2026-01-01T00:00:00Z" }),
    { apiVersion: "v1", kind: "Secret", metadata: { name: "acme-apikey-y", namespace: "prod", labels: MANAGED_BY } },
  ];
  expect(orphanKeys(asked(["backend"], [...made, ...strangers])).map((one) => one.metadata.name)).toEqual(["acme-apikey-batch"]);
  expect(await removeOrphanKeys(asked(["backend"], made), { api: kube.api, secrets })).toEqual(["acme-apikey-batch"]);
  expect([...kube.secrets.keys()]).toEqual(["prod/acme-apikey-backend"]);
});

test("one that was made anew since it was seen stays", async () => {
  const { ensure, kube, secrets } = scene();
  await ensure("batch");
  const [seen] = [...kube.secrets.values()];
  if (!seen) throw new Error("it was made");
  kube.put({ ...seen, metadata: { ...seen.metadata, uid: "another" } });
  expect(await removeOrphanKeys(asked([], [seen]), { api: kube.api, secrets })).toEqual([]);
  expect(kube.secrets.size).toBe(1);
});
