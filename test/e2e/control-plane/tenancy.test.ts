// Why: who may attach, whose data are whose, and what a deletion leaves, against a real API server: one for the file, a namespace
// for each test, pods that speak the real admin protocol.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { unpackBucket } from "@nexus/operator/loop/boot-bucket.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { BOOT_SECRET_KEY, type BundleEntry, bucketName, bucketOf, entryKey } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { denyOnPurpose } from "../../support/cluster/rights-log.ts";
import { eventually } from "../../support/eventually.ts";
import type { FakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";
import { type Ground, ground, openPlace, type Place } from "./scenarios/place.ts";

let stage: Stage;
let shared: Ground;
let operator: RunningOperator & AsyncDisposable;
const open: Place[] = [];

beforeAll(async () => {
  stage = await startStage();
  shared = await ground(stage);
  operator = await stage.operator();
}, 120_000);
afterAll(async () => {
  for (const place of open) await place[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

async function place(name: string): Promise<Place> {
  const made = await openPlace(shared, name);
  open.push(made);
  return made;
}

const onPods = (kubelet: FakeKubelet, key: string): BundleEntry | undefined => [...kubelet.pods.values()][0]?.entry(key);
const accepted = (status: "True" | "False", reason?: string) => ({ type: "Accepted", status, ...(reason ? { reason } : {}) });
const READY = { type: "Ready", status: "True" } as const;

/** What a pod would boot with. */
async function inBootCopy({ get }: Place, key: string): Promise<BundleEntry | undefined> {
  const index = bucketOf(key.slice(key.indexOf(":") + 1));
  const data = (await get(KINDS.Secret, `live-boot-${bucketName(index)}`))?.data?.[BOOT_SECRET_KEY];
  const bucket = data === undefined ? undefined : unpackBucket(index, Buffer.from(data, "base64"));
  return bucket?.entries.find((entry) => entryKey(entry) === key);
}

const purged = async ({ events }: Place) => (await events("live")).filter(({ reason }) => reason === "Purged").map(({ note }) => note);

// Begun here and looked at last: a minute has to pass.
let revoked: { readonly at: Place; readonly guest: string; readonly kubelet: FakeKubelet; readonly sinceMs: number };

test("a permission taken away is told with its end, changes nothing yet, and is forgotten when it is given back", async () => {
  const at = await place("revoked");
  const selector = { matchLabels: { team: "green" } };
  const kubelet = await at.fleet({ allowedNamespaces: { from: "Selector", selector } });
  const [back, guest] = [await at.namespace("back", { team: "green" }), await at.namespace("guest", { team: "green" })];
  const clusterRef = { name: "live", namespace: at.ns };
  for (const ns of [back, guest]) await at.apply(tenant(ns, "acme", { clusterRef }));
  for (const ns of [back, guest]) await at.until(KINDS.Tenant, "acme", READY, ns);
  // Another test exchanges the operator meanwhile: the next one knows from the boot copy what was live.
  for (const ns of [back, guest]) await at.eventually("it is in the boot copy", () => inBootCopy(at, `tenant:${ns}.acme`));
  const label = (name: string, team: string) => at.patch(KINDS.Namespace, name, { metadata: { labels: { team } } });
  const sinceMs = performance.now();
  for (const ns of [back, guest]) await label(ns, "blue");
  for (const ns of [back, guest]) {
    const told = await at.until(KINDS.Tenant, "acme", accepted("False", "AccessRevoked"), ns);
    const until = Date.parse(/disabled at (\S+),/.exec(told.message)?.[1] ?? "");
    expect(until - Date.now()).toBeGreaterThan(20_000);
    expect(until - Date.now()).toBeLessThanOrEqual(60_000);
  }
  expect(onPods(kubelet, `tenant:${back}.acme`)).toBeDefined();
  await label(back, "green");
  await at.until(KINDS.Tenant, "acme", READY, back);
  // What is new is refused at once.
  await at.apply(tenant(guest, "late", { clusterRef }));
  await at.until(KINDS.Tenant, "late", accepted("False", "ReferenceNotPermitted"), guest);
  expect(onPods(kubelet, `tenant:${guest}.late`)).toBeUndefined();
  revoked = { at, guest, kubelet, sinceMs };
}, 120_000);

test("a deleted Tenant with policy Delete leaves a tombstone that outlives the operator, until a pod says purged", async () => {
  const at = await place("purge");
  const kubelet = await at.fleet();
  const purging = tenant(at.ns, "acme", { deletionPolicy: "Delete" });
  await at.apply(purging, template(at.ns));
  await at.until(KINDS.Template, "hello", READY);
  const uid = (await at.get(KINDS.Tenant, "acme"))?.metadata.uid ?? "none";
  await at.remove(KINDS.Tenant, "acme");
  await at.eventually("the pods have a tombstone", () => onPods(kubelet, "tombstone:acme")?.uid === uid);
  expect([onPods(kubelet, "tenant:acme"), onPods(kubelet, "template:acme/hello")]).toEqual([undefined, undefined]);
  await at.eventually("so has the boot copy", async () => (await inBootCopy(at, "tombstone:acme"))?.uid === uid);
  expect(await inBootCopy(at, "tenant:acme")).toBeUndefined();

  await at.apply(purging);
  await at.until(KINDS.Tenant, "acme", accepted("False", "PurgePending"));
  await at.until(KINDS.Template, "hello", accepted("False", "TenantNotAccepted"));
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator();
  await at.apply(template(at.ns, "other"));
  await at.until(KINDS.Template, "other", accepted("False", "TenantNotAccepted")); // the new one is at work
  expect(onPods(kubelet, "tombstone:acme")?.uid).toBe(uid);
  expect(await purged(at)).toEqual([]);

  for (const pod of kubelet.pods.values()) pod.purge();
  await at.until(KINDS.Tenant, "acme", READY);
  await at.until(KINDS.Template, "hello", READY);
  expect(onPods(kubelet, "tombstone:acme")).toBeUndefined();
  expect(onPods(kubelet, "tenant:acme")?.uid).not.toBe(uid);
  await at.eventually("an event tells", async () => (await purged(at)).length === 1);
  expect(await purged(at)).toEqual([expect.stringContaining("acme")]);
}, 180_000);

test("with policy Retain nothing is purged, and who comes next in the namespace is served at once", async () => {
  const at = await place("retain");
  const kubelet = await at.fleet();
  await at.apply(tenant(at.ns));
  await at.until(KINDS.Tenant, "acme", READY);
  await at.remove(KINDS.Tenant, "acme");
  await at.eventually("it is gone from the pods", () => onPods(kubelet, "tenant:acme") === undefined);
  expect(onPods(kubelet, "tombstone:acme")).toBeUndefined();
  await at.apply(tenant(at.ns));
  await at.until(KINDS.Tenant, "acme", READY);
}, 120_000);

test("who takes over an id from another namespace never meets its data, whatever the policy was", async () => {
  const at = await place("heir");
  const kubelet = await at.fleet({ allowedNamespaces: { from: "All" } });
  const guest = await at.namespace("g");
  const id = `${guest}.acme`;
  await at.apply(tenant(at.ns, "first", { tenantId: id }));
  await at.until(KINDS.Tenant, "first", READY);
  const uid = (await at.get(KINDS.Tenant, "first"))?.metadata.uid ?? "none";
  await at.eventually("a later second", async () => {
    const made = (await at.get(KINDS.Tenant, "first"))?.metadata.creationTimestamp ?? "";
    return Date.now() - Date.parse(made) > 1_000;
  });
  await at.apply(tenant(guest, "acme", { clusterRef: { name: "live", namespace: at.ns } }));
  await at.until(KINDS.Tenant, "acme", accepted("False", "NameConflict"), guest);
  await at.remove(KINDS.Tenant, "first");
  await at.until(KINDS.Tenant, "acme", accepted("False", "PurgePending"), guest);
  expect(onPods(kubelet, `tombstone:${id}`)?.uid).toBe(uid);
  expect(onPods(kubelet, `tenant:${id}`)).toBeUndefined();
  for (const pod of kubelet.pods.values()) pod.purge();
  await at.until(KINDS.Tenant, "acme", READY, guest);
}, 120_000);

const keyed = (...names: readonly string[]) => ({ auth: { apiKeys: names.map((name) => ({ name, scopes: ["publish"] })) } });
const hashes = (entry: BundleEntry | undefined): readonly string[] =>
  entry?.kind === "tenant" ? entry.spec.api_keys.flatMap((key) => key.hashes.map((hash) => hash.sha256)) : [];

test("the Secret of a key that was taken out goes; others of such a name stay; a deleted one is made anew", async () => {
  const at = await place("keys");
  const platform = (...names: readonly string[]) => ({ platformKeys: names.map((name) => ({ name })) });
  const kubelet = await at.fleet(platform("ops", "ci"));
  expect(await at.get(KINDS.Secret, "live-platformkey-ci")).toBeDefined();
  await at.apply(cluster(at.ns, "live", platform("ops")));
  await at.eventually("a platform key's Secret goes too", async () => (await at.get(KINDS.Secret, "live-platformkey-ci")) === undefined);
  expect(await at.get(KINDS.Secret, "live-platformkey-ops")).toBeDefined();
  const mine = { apiVersion: "v1", kind: "Secret", metadata: { name: "acme-apikey-mine", namespace: at.ns }, stringData: { key: "k" } };
  await at.apply(mine, tenant(at.ns, "acme", keyed("backend", "batch")));
  await at.until(KINDS.Tenant, "acme", READY);
  expect(await at.get(KINDS.Secret, "acme-apikey-batch")).toBeDefined();

  await at.apply(tenant(at.ns, "acme", keyed("backend")));
  await at.eventually("its Secret is gone", async () => (await at.get(KINDS.Secret, "acme-apikey-batch")) === undefined);
  expect(await at.get(KINDS.Secret, "acme-apikey-mine")).toBeDefined();
  const keyOf = async () => {
    const data = (await at.get(KINDS.Secret, "acme-apikey-backend"))?.data?.key;
    return data === undefined ? undefined : Buffer.from(data, "base64").toString();
  };
  const old = (await keyOf()) ?? "none";
  await at.eventually("pods know one key", () => hashes(onPods(kubelet, "tenant:acme")).join() === sha256(old));

  await at.remove(KINDS.Secret, "acme-apikey-backend");
  const fresh = await at.eventually("another key", async () => {
    const now = await keyOf();
    return now !== old && now;
  });
  await at.eventually("pods know it alone", () => hashes(onPods(kubelet, "tenant:acme")).join() === sha256(fresh));
  const sinceMs = performance.now();
  // A pass that saw no Secret at all wrote the copy at once; the new key then comes at the calm pace, once a minute.
  const inCopy = async () => hashes(await inBootCopy(at, "tenant:acme")).join() === sha256(fresh);
  await eventually("so does the boot copy", inCopy, { timeoutMs: 75_000, intervalMs: 100 });
  process.stderr.write(`measured: boot copy ${(performance.now() - sinceMs).toFixed(0)} ms behind the pods\n`);
}, 180_000);

test("a suspension and a rotation are in the boot copy at once", async () => {
  const at = await place("urgent");
  const kubelet = await at.fleet();
  await at.apply(tenant(at.ns));
  await at.until(KINDS.Tenant, "acme", READY);
  await at.quiet(3_000);
  const spec = async () => {
    const entry = await inBootCopy(at, "tenant:acme");
    return entry?.kind === "tenant" ? entry.spec : undefined;
  };
  // Each within seconds of the one before: the calm pace is a minute.
  await at.apply(tenant(at.ns, "acme", { suspended: true }));
  await at.eventually("suspended there", async () => (await spec())?.suspended === true);
  await at.apply(tenant(at.ns, "acme", { auth: { apiKeys: [{ name: "backend", scopes: ["publish"], rotation: 1 }] } }));
  await at.eventually("pods have both keys", () => hashes(onPods(kubelet, "tenant:acme")).length === 2);
  const sinceMs = performance.now();
  await at.eventually("so has the boot copy", async () => (await spec())?.api_keys[0]?.hashes.length === 2);
  expect(performance.now() - sinceMs).toBeLessThan(20_000);
}, 120_000);

test("after its minute what lost the permission is out of the pods and of the boot copy", async () => {
  const { at, guest, kubelet, sinceMs } = revoked;
  const key = `tenant:${guest}.acme`;
  const leftMs = () => 60_000 - (performance.now() - sinceMs);
  if (leftMs() > 0) expect(onPods(kubelet, key)).toBeDefined();
  await at.until(KINDS.Tenant, "acme", accepted("False", "ReferenceNotPermitted"), guest).catch(async () => {
    await at.until(KINDS.Tenant, "acme", accepted("False", "ReferenceNotPermitted"), guest); // a wait is shorter than a grace
  });
  expect(leftMs()).toBeLessThanOrEqual(500);
  await at.eventually("it is gone from the pods", () => onPods(kubelet, key) === undefined);
  await at.eventually("and from the boot copy", async () => (await inBootCopy(at, key)) === undefined);
  expect(onPods(kubelet, `tombstone:${guest}.acme`)).toBeUndefined(); // it is there: no deletion
}, 180_000);

test("an operator that sees fewer namespaces lets nobody go", async () => {
  const at = await place("scope");
  const kubelet = await at.fleet({ allowedNamespaces: { from: "All" } });
  const guest = await at.namespace("far");
  const clusterRef = { name: "live", namespace: at.ns };
  await at.apply(tenant(guest, "acme", { clusterRef, deletionPolicy: "Delete" }), tenant(at.ns, "near"));
  await at.until(KINDS.Tenant, "acme", READY, guest);
  await at.until(KINDS.Tenant, "near", READY);
  await at.eventually("it is in the boot copy", async () => inBootCopy(at, `tenant:${guest}.acme`));
  await operator[Symbol.asyncDispose]();
  // The rights here are those for all namespaces; with a list of them the chart gives this one by a Role in each.
  denyOnPurpose(stage.plane, { verb: "get", resource: "namespaces" });
  operator = await stage.operator({ "--namespace": at.ns });
  await at.apply(tenant(at.ns, "near", { suspended: true }));
  await at.eventually("it works", () => {
    const entry = onPods(kubelet, "tenant:near");
    return entry?.kind === "tenant" && entry.spec.suspended;
  });
  await at.until(KINDS.Tenant, "near", READY);
  expect(onPods(kubelet, `tenant:${guest}.acme`)).toBeDefined();
  expect(onPods(kubelet, `tombstone:${guest}.acme`)).toBeUndefined();
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator();
  await at.remove(KINDS.Tenant, "near");
  await at.eventually("the whole view is back", () => onPods(kubelet, "tenant:near") === undefined);
  expect(onPods(kubelet, `tenant:${guest}.acme`)).toBeDefined();
}, 180_000);
