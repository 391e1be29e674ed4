import { expect, test } from "bun:test";
import { createApplier } from "@nexus/operator/kube/apply.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isNotLeader, KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { ChildRequest } from "@nexus/operator/loop/ports.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { type SeenRequest, startScriptedApi, status } from "../../support/kube/scripted-api.ts";

const identity = { ownerUid: "owner", labels: {} };
const desired: Manifest = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "ns", name: "a", ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid: "owner", controller: true }] },
  data: { key: "1" },
};
/** What the server would hold after our apply, changed by `change`. */
const live = (change: object = {}, metadata: object = {}): Manifest => {
  const { object } = rendered(desired, "metadata");
  return { ...object, ...change, metadata: { ...object.metadata, uid: "u", resourceVersion: "7", ...metadata } };
};
const request = (state: Manifest | undefined): ChildRequest => ({
  kind: KINDS.ConfigMap,
  desired,
  live: state,
  manager: "nexus-operator",
  identity,
});

async function setup(answer: (request: SeenRequest) => Response, fence?: { writeBudgetMs(): number }) {
  const api = await startScriptedApi(answer);
  const clock = new ManualClock();
  const counts = { unchanged: 0, applied: 0, drifted: 0 };
  const transport = createTransport({ access: api.access(), userAgent: "u" });
  const kube = createKubeApi({ transport, ...(fence ? { fence } : {}) });
  const metrics = { unchanged: () => void counts.unchanged++, applied: () => void counts.applied++, drifted: () => void counts.drifted++ };
  const applier = createApplier({ api: kube, contests: new ContestTracker(clock), metrics });
  return { api, kube, clock, counts, applier, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

test("sends nothing for what is in sync, being deleted, or somebody else's", async () => {
  await using it = await setup(() => status(500, "MustNotBeAsked"));
  expect((await it.applier.apply(request(live()))).kind).toBe("inSync");
  expect((await it.applier.apply(request(live({ data: {} }, { deletionTimestamp: "2026-01-01T00:00:00Z" })))).kind).toBe("terminating");
  const foreign = live({ data: {} }, { ownerReferences: [{ apiVersion: "v1", kind: "Y", name: "y", uid: "other", controller: true }] });
  expect((await it.applier.apply(request(foreign))).kind).toBe("nameConflict");
  expect(it.api.seen).toEqual([]);
});

test("sends one forced apply with uid and resourceVersion, and calls it drift only when the rendering is the same", async () => {
  await using it = await setup(() => Response.json(live({}, { resourceVersion: "8" })));
  const outcome = await it.applier.apply(request(live({ data: { key: "2" } })));
  expect(outcome).toMatchObject({ kind: "applied", drift: [{ path: "data.key", kind: "value" }] });
  const [sent] = it.api.seen;
  expect([sent?.method, sent?.headers.get("content-type")]).toEqual(["PATCH", "application/apply-patch+yaml"]);
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({ fieldManager: "nexus-operator", force: "true", timeout: "9000ms" });
  expect(JSON.parse(sent?.body ?? "").metadata).toMatchObject({ uid: "u", resourceVersion: "7", name: "a" });
  const older = live({ data: { key: "0" } }, { uid: "v", annotations: { "nexus.dev/rendered": "of an older rendering" } });
  expect(await it.applier.apply(request(older))).toMatchObject({ kind: "applied", drift: [] });
  expect(it.counts).toEqual({ unchanged: 0, applied: 2, drifted: 1 });
});

test("an apply that changes nothing is told with its paths and counted", async () => {
  const odd = live({ data: { key: "2" } });
  await using it = await setup(() => Response.json(odd));
  expect(await it.applier.apply(request(odd))).toMatchObject({ kind: "unchanged", paths: ["data.key"] });
  expect(it.counts).toEqual({ unchanged: 1, applied: 0, drifted: 0 });
});

test("an object that changes under every try is stale after four", async () => {
  let version = 7;
  await using it = await setup((sent) =>
    sent.method === "GET" ? Response.json(live({ data: {} }, { resourceVersion: String(++version) })) : status(409, "Conflict"),
  );
  expect((await it.applier.apply(request(live({ data: {} })))).kind).toBe("stale");
  expect(it.api.seen.filter((sent) => sent.method === "PATCH")).toHaveLength(4);
});

test("a refusal that nobody can wait out reaches the caller", async () => {
  await using it = await setup(() => status(422, "Invalid"));
  await expect(it.applier.apply(request(live({ data: {} })))).rejects.toMatchObject({ status: 422 });
});

test("behind a closed fence no write is sent and every read is; a nearly closed one bounds the write", async () => {
  let budgetMs = 0;
  await using it = await setup(() => Response.json(live({}, { resourceVersion: "8" })), { writeBudgetMs: () => budgetMs });
  const ref = { kind: KINDS.ConfigMap, namespace: "ns", name: "a" };
  const writes = [
    () => it.kube.create(KINDS.ConfigMap, desired),
    () => it.kube.update(KINDS.ConfigMap, desired),
    () => it.kube.delete(ref),
    () => it.kube.apply(KINDS.ConfigMap, desired, { manager: "m" }),
    () => it.kube.mergePatch(ref, {}, { manager: "m" }),
    () => it.kube.setScale(ref, { replicas: 1 }, { manager: "m" }),
  ];
  for (const write of writes) {
    const error: unknown = await write().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubeError);
    expect(isNotLeader(error)).toBe(true);
  }
  expect(it.api.seen).toEqual([]);
  expect(await it.kube.get(ref)).toBeDefined();
  budgetMs = 1234.9;
  for (const write of writes) await write();
  const told = it.api.seen.filter((sent) => sent.method !== "GET").map((sent) => sent.query.get("timeout"));
  expect(told).toEqual(writes.map(() => "1234ms"));
});
