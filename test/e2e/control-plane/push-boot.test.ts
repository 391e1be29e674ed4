// Why: the boot Secrets are written by server-side apply into a real API server, whose audit log says how often.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childLabels, childNames } from "@nexus/operator/desired/names.ts";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createApplier } from "@nexus/operator/kube/apply.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { BootCopy } from "@nexus/operator/loop/boot.ts";
import { storedOf } from "@nexus/operator/loop/boot-bucket.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import { BOOT_SECRET_KEY, type Bucket, type BundleEntry, bucketOf } from "@nexus/protocol/bundle.ts";
import { readBootCopy } from "@nexus/server/adapters/boot.ts";
import { bucketsOf, entryOf } from "../../operator/push/stage.ts";
import { isWrite } from "../../support/cluster/audit.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { eventually } from "../../support/eventually.ts";

setDefaultTimeout(120_000);

const NAMESPACE = "boot";
let plane: ControlPlane;
let api: KubeApi;
let ownerUid = "";

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: true });
  api = createKubeApi({
    transport: createTransport({ access: await kubeconfigAccess(plane.adminKubeconfig), userAgent: "nexus-boot-test" }),
  });
  await plane.kubectl(["create", "namespace", NAMESPACE]);
  const owner = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: NAMESPACE, name: "owner" } };
  ownerUid = (await api.create<KubeObject>(KINDS.ConfigMap, owner)).metadata.uid ?? "";
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

const entries = (count: number): BundleEntry[] => Array.from({ length: count }, (_, index) => entryOf(`t${index}`));
const writes = async (): Promise<number> =>
  (await plane.auditEvents()).filter(
    (event) => isWrite(event) && event.userAgent === "nexus-boot-test" && event.objectRef?.resource === "secrets",
  ).length;

/** One life of an operator, as far as the boot copy of cluster `name` goes. */
function life(name: string) {
  const book = new BundleBook();
  const errors: unknown[] = [];
  const labels = childLabels(name, "server", "test");
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: ownerUid, controller: true }];
  const unchanged: string[] = [];
  const boot = new BootCopy({
    owner: { namespace: NAMESPACE, name, labels, ownerReferences, identity: { ownerUid, labels } },
    book,
    api,
    applier: createApplier({
      api,
      contests: new ContestTracker(systemClock),
      metrics: { unchanged: (kind) => void unchanged.push(kind), applied: () => undefined, drifted: () => undefined },
    }),
    clock: systemClock,
    random: Math.random,
    mayWrite: () => true,
    onChange: () => undefined,
    onError: (error) => errors.push(error),
  });
  const put = (changed: readonly BundleEntry[], urgency: "calm" | "urgent" = "calm") => {
    book.change({ put: changed });
    boot.changed(urgency);
  };
  const written = () => eventually(`the boot copy of ${name} is written`, () => boot.state().isWritten, { timeoutMs: 60_000 });
  return { book, boot, put, written, errors, unchanged };
}

test("64 Secrets are written once; a restart reads them back and writes nothing; an edit writes one", async () => {
  const first = life("live");
  expect(await bucketsOf(first.boot)).toEqual([]);
  first.put(entries(1000));
  const startedMs = performance.now();
  await first.written();
  console.log(`64 boot Secrets of 1,000 templates written in ${(performance.now() - startedMs).toFixed(0)} ms`);
  first.boot.stop();
  expect([first.errors, await writes()]).toEqual([[], 64]);

  const second = life("live");
  const buckets = await bucketsOf(second.boot);
  for (const bucket of buckets) second.book.fill(storedOf(bucket));
  second.put(entries(1000));
  expect(second.boot.state()).toMatchObject({ isWritten: true, behindMs: 0, left: 0, problem: undefined });
  expect(second.book.digest()).toBe(first.book.digest());
  second.put([entryOf("t5", "edit", 2)], "urgent");
  await second.written();
  second.boot.stop();
  expect([second.errors, second.unchanged, await writes()]).toEqual([[], [], 65]);
});

test("a server boots from what lies there", async () => {
  const directory = await mkdtemp(join(tmpdir(), "nexus-boot-"));
  try {
    const { items } = await api.list<KubeObject & { readonly data: Record<string, string> }>(KINDS.Secret, { namespace: NAMESPACE });
    const mounted = items.filter((secret) => secret.metadata.name.startsWith("live-boot-"));
    for (const { metadata, data } of mounted) {
      await writeFile(join(directory, metadata.name.slice(-2)), Buffer.from(data[BOOT_SECRET_KEY] ?? "", "base64"));
    }
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const buckets: Bucket[] = [];
    expect(await readBootCopy(directory, { log, take: (bucket) => void buckets.push(bucket) })).toBe(0);
    const loaded = buckets.flatMap((bucket) => bucket.entries);
    expect([buckets.length, loaded.length]).toEqual([64, 1000]);
    expect(loaded.find((entry) => entry.id === "acme/t5")?.generation).toBe(2);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a Secret that somebody else made under our name is neither read nor overwritten", async () => {
  const name = childNames("other").boot(bucketOf("acme/t0"));
  const stolen = await api.get<KubeObject & { readonly data: Record<string, string> }>({
    kind: KINDS.Secret,
    namespace: NAMESPACE,
    name: childNames("live").boot(bucketOf("acme/t0")),
  });
  const theirs = { apiVersion: "v1", kind: "Secret", metadata: { namespace: NAMESPACE, name }, data: stolen?.data };
  await api.create(KINDS.Secret, theirs, { manager: "kubectl" });
  const before = await writes();
  const one = life("other");
  expect(await bucketsOf(one.boot)).toEqual([]);
  one.put([entryOf("t0", "ours", 7)]);
  await eventually("it is told", () => one.boot.state().problem);
  expect(one.boot.state().problem).toContain(name);
  one.boot.stop();
  expect(await writes()).toBe(before);
});

test("with the cluster the Secrets go", async () => {
  await api.delete({ kind: KINDS.ConfigMap, namespace: NAMESPACE, name: "owner" });
  await eventually(
    "none is left",
    async () => {
      const { items } = await api.list<KubeObject>(KINDS.Secret, { namespace: NAMESPACE });
      return items.every((secret) => !secret.metadata.name.startsWith("live-boot-"));
    },
    { timeoutMs: 60_000 },
  );
});
