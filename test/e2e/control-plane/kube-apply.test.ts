import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createApplier } from "@nexus/operator/kube/apply.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { ChildRequest, KubeApi } from "@nexus/operator/loop/ports.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import { type AuditEvent, isWrite } from "../../support/cluster/audit.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { renderedChildren } from "../../support/kube/rendered-children.ts";

setDefaultTimeout(120_000);

const MANAGER = "nexus-operator";
let plane: ControlPlane;
let api: KubeApi;

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: true });
  const access = await kubeconfigAccess(plane.adminKubeconfig);
  api = createKubeApi({ transport: createTransport({ access, userAgent: "nexus-test" }) });
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

const isOurWrite = (event: AuditEvent) => isWrite(event) && event.userAgent === "nexus-test";

/** A fresh namespace with an owner, and an applier that counts applies that changed nothing. */
async function scene(name: string) {
  await plane.kubectl(["create", "namespace", name]);
  const owner = await api.create<KubeObject>(KINDS.ConfigMap, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: name, name: "owner" },
  });
  const ownerUid = owner.metadata.uid ?? "";
  const counts = { unchanged: [] as string[], applied: 0 };
  const applier = createApplier({
    api,
    contests: new ContestTracker(systemClock),
    metrics: { unchanged: (kind) => void counts.unchanged.push(kind), applied: () => void counts.applied++, drifted: () => undefined },
  });
  const owned = (object: Manifest): Manifest => ({
    ...object,
    metadata: {
      ...object.metadata,
      ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: ownerUid, controller: true, blockOwnerDeletion: true }],
    },
  });
  const children = renderedChildren(name).map(({ kind, object }) => ({ kind, object: owned(object) }));
  const request = (child: { kind: ChildRequest["kind"]; object: KubeObject }, live?: KubeObject): ChildRequest => ({
    kind: child.kind,
    desired: child.object,
    live,
    manager: MANAGER,
    identity: { ownerUid, labels: { "app.kubernetes.io/managed-by": "nexus-operator" } },
  });
  const read = async (child: { kind: ChildRequest["kind"]; object: KubeObject }) =>
    await api.get<Manifest>({ kind: child.kind, namespace: name, name: child.object.metadata.name });
  const child = (kind: string) => children.find((candidate) => candidate.kind.kind === kind)!;
  return { name, applier, children, request, read, child, counts };
}

test("what was applied is in sync when read back, for every kind, and nothing is written again", async () => {
  const { applier, children, request, read, counts } = await scene("round-trip");
  for (const child of children) expect([child.kind.kind, (await applier.apply(request(child))).kind]).toEqual([child.kind.kind, "created"]);
  const before = (await plane.auditEvents()).filter(isOurWrite).length;
  for (const child of children) {
    const live = await read(child);
    const outcome = await applier.apply(request(child, live));
    expect([child.kind.kind, outcome]).toEqual([child.kind.kind, { kind: "inSync", live: live!, foreign: [] }]);
  }
  expect(counts.unchanged).toEqual([]);
  expect((await plane.auditEvents()).filter(isOurWrite).length).toBe(before);
});

test("edits by others are put back with path and manager; what they added is reported and left", async () => {
  const { name, applier, request, read, child } = await scene("drift");
  const deployment = child("Deployment");
  await applier.apply(request(deployment));
  const kubectl = async (...args: string[]) => expect([args, (await plane.kubectl(["-n", name, ...args])).code]).toEqual([args, 0]);
  await kubectl("set", "image", "deployment/live-server", "server=evil:1");
  await kubectl("set", "env", "deployment/live-server", "-c", "server", "INJECTED=1");
  const sidecar = {
    spec: { template: { spec: { containers: [{ name: "proxy", image: "proxy:1" }], volumes: [{ name: "extra", emptyDir: {} }] } } },
  };
  await kubectl("patch", "deployment/live-server", "--field-manager=mesh", "-p", JSON.stringify(sidecar));

  const outcome = await applier.apply(request(deployment, await read(deployment)));
  expect(outcome.kind).toBe("applied");
  if (outcome.kind !== "applied") return;
  expect(outcome.drift).toEqual([{ path: "spec.template.spec.containers[name=server].image", kind: "value", managers: ["kubectl-set"] }]);
  const foreign = [
    { path: "spec.template.spec.containers[name=server].env[name=INJECTED]", managers: ["kubectl-set"] },
    { path: "spec.template.spec.containers[name=proxy]", managers: ["mesh"] },
    { path: "spec.template.spec.volumes[name=extra]", managers: ["mesh"] },
  ];
  expect([...outcome.foreign].sort((a, b) => a.path.localeCompare(b.path))).toEqual(
    [...foreign].sort((a, b) => a.path.localeCompare(b.path)),
  );
  const again = await applier.apply(request(deployment, await read(deployment)));
  expect(again.kind).toBe("inSync");
  if (again.kind === "inSync") expect(again.foreign).toHaveLength(3);
  const text = JSON.stringify(again);
  expect(text).toContain("nexus:1");
  expect(text).toContain("INJECTED");
});

test("a removed field whose rendered value is false is seen and put back", async () => {
  const { name, applier, request, read, child } = await scene("removed");
  const deployment = child("Deployment");
  await applier.apply(request(deployment));
  const patch = [
    { op: "remove", path: "/spec/template/spec/automountServiceAccountToken" },
    { op: "remove", path: "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation" },
  ];
  await plane.kubectl(["-n", name, "patch", "deployment/live-server", "--type=json", "-p", JSON.stringify(patch)]);
  const outcome = await applier.apply(request(deployment, await read(deployment)));
  expect(outcome.kind === "applied" && outcome.drift.map((drift) => [drift.path, drift.kind])).toEqual([
    ["spec.template.spec.automountServiceAccountToken", "missing"],
    ["spec.template.spec.containers[name=server].securityContext.allowPrivilegeEscalation", "missing"],
  ]);
  const live = await read(deployment);
  expect(JSON.stringify(live?.spec)).toContain('"automountServiceAccountToken":false');
  expect((await applier.apply(request(deployment, live))).kind).toBe("inSync");
});

test("a field no longer rendered is removed from the live object", async () => {
  const { applier, request, read, child } = await scene("pruned");
  const service = child("Service");
  await applier.apply(request(service));
  const spec = structuredClone(service.object.spec) as { ports: unknown[] };
  spec.ports.pop();
  const smaller = { kind: service.kind, object: { ...service.object, spec } };
  const outcome = await applier.apply(request(smaller, await read(service)));
  expect(outcome).toMatchObject({ kind: "applied", drift: [] });
  const live = await read(service);
  expect(live?.spec).toMatchObject({ ports: [{ name: "http" }] });
  expect(JSON.stringify(live?.spec)).not.toContain('"ops"');
  expect((await applier.apply(request(smaller, live))).kind).toBe("inSync");
});

test("a value that is right but taken over by another manager is applied again, once", async () => {
  const { name, applier, request, read, child, counts } = await scene("taken-over");
  const service = child("Service");
  await applier.apply(request(service));
  // Another manager takes the field with another value, then sets ours: the value is right, but no longer ours.
  for (const type of ["NodePort", "ClusterIP"]) {
    const { apiVersion, kind } = service.object;
    await api.apply(KINDS.Service, { apiVersion, kind, metadata: { namespace: name, name: "live-server" }, spec: { type } } as Manifest, {
      manager: "thief",
    });
  }
  expect((await applier.apply(request(service, await read(service)))).kind).toBe("applied");
  expect((await applier.apply(request(service, await read(service)))).kind).toBe("inSync");
  expect(counts.unchanged).toEqual([]);
});

test("an object of somebody else under our name is a conflict and stays as it is, also when it appears while we create", async () => {
  const { name, applier, request, read, child } = await scene("conflict");
  const service = child("Service");
  const foreign = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: name, name: "live-server" },
    spec: { ports: [{ port: 443 }] },
  };
  await api.create<KubeObject>(KINDS.Service, foreign);
  const before = await read(service);
  // As by a store that lags: the applier reads again before it creates.
  expect(await applier.apply(request(service))).toEqual({
    kind: "nameConflict",
    message: "Service live-server exists and was not made by this operator",
  });
  expect(await read(service)).toEqual(before!);

  const config = child("ConfigMap");
  await api.create<KubeObject>(KINDS.ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: config.object.metadata });
  const unlabelled: Manifest = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: name, name: "race" }, data: { theirs: "1" } };
  await api.create<KubeObject>(KINDS.ConfigMap, unlabelled);
  const blind: KubeApi = new Proxy(api, {
    get: (target, verb) => (verb === "get" ? async () => undefined : Reflect.get(target, verb).bind(target)),
  });
  const racing = createApplier({ api: blind, contests: new ContestTracker(systemClock) });
  const race = { kind: KINDS.ConfigMap, object: { ...config.object, metadata: { ...config.object.metadata, name: "race" } } };
  expect((await racing.apply(request(race))).kind).toBe("stale");
  const left = await api.get<Manifest>({ kind: KINDS.ConfigMap, namespace: name, name: "race" });
  expect(left?.data).toEqual({ theirs: "1" });
  expect(left?.metadata.labels ?? {}).toEqual({});
  expect(left?.metadata.ownerReferences ?? []).toEqual([]);
});

test("a field put back by somebody else three times is contested and not fought over", async () => {
  const { name, applier, request, read, child } = await scene("contested");
  const service = child("Service");
  await applier.apply(request(service));
  const kinds: string[] = [];
  for (let round = 0; round < 4; round++) {
    await plane.kubectl(["-n", name, "patch", "service/live-server", "-p", '{"spec":{"publishNotReadyAddresses":true}}']);
    const outcome = await applier.apply(request(service, await read(service)));
    kinds.push(outcome.kind);
    if (outcome.kind === "contested") expect(outcome.drift.map((drift) => drift.path)).toEqual(["spec.publishNotReadyAddresses"]);
  }
  expect(kinds).toEqual(["applied", "applied", "contested", "contested"]);
});

test("an object that changed since it was read is looked at again; one that is gone is stale and not made from old knowledge", async () => {
  const { name, applier, request, read, child } = await scene("stale");
  const service = child("Service");
  await applier.apply(request(service));
  const old = await read(service);
  await plane.kubectl(["-n", name, "label", "service/live-server", "team=a"]);
  const changed = { kind: service.kind, object: { ...service.object, metadata: { ...service.object.metadata, annotations: { a: "b" } } } };
  expect((await applier.apply(request(changed, old))).kind).toBe("applied");
  expect((await read(service))?.metadata.labels?.team).toBe("a");
  await api.delete({ kind: KINDS.Service, namespace: name, name: "live-server" });
  expect((await applier.apply(request(changed, old))).kind).toBe("stale");
  expect(await read(service)).toBeUndefined();
});

test("two managers share a Deployment: the pod template's own one and the rest, both in sync, size untouched", async () => {
  const { applier, request, read, child, name, counts } = await scene("two-managers");
  const { kind, object } = child("Deployment");
  const spec = object.spec as Record<string, unknown>;
  const template: Manifest = { ...object, spec: { selector: spec.selector, template: spec.template } };
  const { template: _, ...rest } = spec;
  const pods = { ...request({ kind, object: template }), manager: "nexus-operator-pods", digestAt: "podTemplate" as const };
  expect((await applier.apply(pods)).kind).toBe("created");
  const whole = request({ kind, object: { ...object, spec: rest } as Manifest }, await read(child("Deployment")));
  expect((await applier.apply(whole)).kind).toBe("applied");
  await api.setScale({ kind, namespace: name, name: "live-server" }, { replicas: 3 }, { manager: "nexus-operator-scale" });
  const live = await read(child("Deployment"));
  expect((await applier.apply({ ...pods, live })).kind).toBe("inSync");
  expect((await applier.apply({ ...whole, live })).kind).toBe("inSync");
  const annotated = { ...object, spec: rest, metadata: { ...object.metadata, annotations: { a: "b" } } };
  expect((await applier.apply({ ...whole, desired: annotated, live })).kind).toBe("applied");
  expect((await api.getScale({ kind, namespace: name, name: "live-server" }))?.specReplicas).toBe(3);
  expect(counts.unchanged).toEqual([]);
});
