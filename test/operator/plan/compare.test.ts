import { expect, test } from "bun:test";
import { compare } from "@nexus/operator/plan/compare.ts";
import type { KubeObject, ManagedFieldsEntry, Manifest } from "@nexus/operator/plan/object.ts";
import { foreignReason } from "@nexus/operator/plan/ownership.ts";
import { pathText } from "@nexus/operator/plan/path.ts";
import { RENDERED_ANNOTATION, rendered, renderedDigest } from "@nexus/operator/plan/rendered.ts";
import fc from "fast-check";
import { renderedChildren } from "../../support/kube/rendered-children.ts";

const MANAGER = "nexus-operator";
const object = (spec: unknown, managedFields?: ManagedFieldsEntry[]): Manifest => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "a", namespace: "ns", ...(managedFields ? { managedFields } : {}) },
  spec,
});
const paths = (desired: unknown, live: unknown) =>
  compare(object(desired), object(live), MANAGER).differences.map((difference) => `${difference.kind} ${difference.path}`);
const applied = (fieldsV1: object, manager = MANAGER, operation = "Apply"): ManagedFieldsEntry => ({
  manager,
  operation,
  fieldsType: "FieldsV1",
  fieldsV1,
});

test("a rendering compared with itself differs nowhere, for every kind", () => {
  for (const child of renderedChildren("ns"))
    expect(compare(child.object, child.object, MANAGER)).toEqual({ differences: [], foreign: [] });
});

test("changing, removing or retyping any one leaf of a rendering is seen, at that leaf or above it", () => {
  const deployment = renderedChildren("ns").find((child) => child.kind.kind === "Deployment")!.object;
  const leaves = leafPaths(deployment.spec).filter((path) => !isKeyField(path));
  expect(leaves.length).toBeGreaterThan(60);
  for (const path of leaves) {
    const live = structuredClone(deployment);
    const parent = path
      .slice(0, -1)
      .reduce<Record<string | number, unknown>>((node, step) => node[step] as Record<string | number, unknown>, live.spec as never);
    const name = path.at(-1)!;
    parent[name] =
      typeof parent[name] === "number" ? Number(parent[name]) + 1 : typeof parent[name] === "boolean" ? !parent[name] : "changed";
    const found = compare(deployment, live, MANAGER).differences;
    expect([path.join("."), found.length > 0]).toEqual([path.join("."), true]);
  }
});

type Step = string | number;
function leafPaths(value: unknown, at: Step[] = []): Step[][] {
  if (typeof value !== "object" || value === null) return [at];
  const steps: Step[] = Array.isArray(value) ? value.map((_, index) => index) : Object.keys(value);
  return steps.flatMap((step) => leafPaths(Reflect.get(value, step), [...at, step]));
}
/** Changing a key makes another entry: seen as a missing one, tested below. */
const isKeyField = (path: Step[]) =>
  ["name", "containerPort", "protocol", "mountPath", "topologyKey", "whenUnsatisfiable"].includes(String(path.at(-1)));

test("what the server defaulted and others added is not a difference", () => {
  const live = {
    a: 1,
    added: { deep: true },
    template: { spec: { containers: [{ name: "x", image: "i", imagePullPolicy: "Always" }], dnsPolicy: "ClusterFirst" } },
  };
  expect(paths({ a: 1, template: { spec: { containers: [{ name: "x", image: "i" }] } } }, live)).toEqual([]);
});

test("keyed lists are compared by key whatever their order, atomic ones by position", () => {
  const keyed = {
    containers: [
      { name: "a", image: "1" },
      { name: "b", image: "2" },
    ],
  };
  expect(paths(keyed, { containers: [...keyed.containers].reverse() })).toEqual([]);
  expect(paths({ args: ["1", "2"] }, { args: ["2", "1"] })).toEqual(["value spec.args[0]", "value spec.args[1]"]);
  expect(paths({ args: ["1"] }, { args: ["1", "2"] })).toEqual(["value spec.args"]);
  expect(paths(keyed, { containers: [{ name: "b", image: "2" }] })).toEqual(["missing spec.containers[name=a]"]);
});

test("ports are told apart by number and protocol, TCP when not said", () => {
  const desired = { containers: [{ name: "x", ports: [{ containerPort: 1 }, { containerPort: 1, protocol: "UDP" }] }] };
  const live = (first: object) => ({ containers: [{ name: "x", ports: [{ containerPort: 1, protocol: "UDP" }, first] }] });
  expect(paths(desired, live({ containerPort: 1, protocol: "TCP" }))).toEqual([]);
  expect(paths(desired, live({ containerPort: 2, protocol: "TCP" }))).toEqual([
    "missing spec.containers[name=x].ports[containerPort=1,protocol=TCP]",
  ]);
  expect(paths({ ports: [{ port: 80, targetPort: "8080" }] }, { ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }] })).toEqual([]);
});

test("quantities are equal by value in resources, and texts elsewhere are not quantities", () => {
  const container = (resources: object, value: string) => ({ containers: [{ name: "x", resources, env: [{ name: "E", value }] }] });
  expect(paths(container({ limits: { cpu: "1000m" } }, "1"), container({ limits: { cpu: "1" } }, "1"))).toEqual([]);
  expect(paths(container({ limits: { cpu: "2" } }, "1000m"), container({ limits: { cpu: "1" } }, "1"))).toEqual([
    "value spec.containers[name=x].resources.limits.cpu",
    "value spec.containers[name=x].env[name=E].value",
  ]);
});

test("an empty value the server left out is in sync only while it is ours", () => {
  const desired = object({ paused: false, text: "", list: [], count: 0 });
  const whole = applied({ "f:spec": { "f:paused": {}, "f:text": {}, "f:list": {}, "f:count": {} } });
  expect(compare(desired, object({}, [whole]), MANAGER).differences).toEqual([]);
  const part = applied({ "f:spec": { "f:text": {}, "f:list": {}, "f:count": {} } });
  expect(compare(desired, object({}, [part]), MANAGER).differences.map((found) => found.path)).toEqual(["spec.paused"]);
  expect(compare(object({ paused: true }), object({}, [whole]), MANAGER).differences.map((found) => found.path)).toEqual(["spec.paused"]);
});

test("a value that is right but owned by another manager is a difference with that manager's name", () => {
  const live = object({ image: "1", size: 2 }, [
    applied({ "f:spec": { "f:size": {} } }),
    applied({ "f:spec": { "f:image": {} } }, "thief", "Update"),
  ]);
  expect(compare(object({ image: "1", size: 2 }), live, MANAGER).differences).toEqual([
    { path: "spec.image", kind: "ownership", managers: ["thief"] },
  ]);
});

test("an atomic list changed and taken by others is a difference even where our entries are still right", () => {
  const desired = object({ tolerations: [{ key: "a" }] });
  const live = (owner: string) =>
    object({ tolerations: [{ key: "a", effect: "NoExecute" }] }, [applied({ "f:spec": { "f:tolerations": {} } }, owner)]);
  expect(compare(desired, live(MANAGER), MANAGER).differences).toEqual([]);
  expect(compare(desired, live("thief"), MANAGER).differences).toEqual([
    { path: "spec.tolerations", kind: "ownership", managers: ["thief"] },
  ]);
});

test("foreign containers, volumes and env entries are named with who wrote them; other extras are not told", () => {
  const fields = {
    "f:spec": {
      "f:containers": {
        'k:{"name":"proxy"}': { ".": {} },
        'k:{"name":"x"}': { "f:env": { 'k:{"name":"E"}': { ".": {}, "f:value": {} } } },
      },
    },
  };
  const live = object(
    {
      containers: [{ name: "x", env: [{ name: "E", value: "1" }], volumeMounts: [{ mountPath: "/m" }] }, { name: "proxy" }],
      volumes: [{ name: "v" }],
    },
    [applied(fields, "mesh", "Update")],
  );
  expect(compare(object({ containers: [{ name: "x", env: [], volumeMounts: [] }], volumes: [] }), live, "other").foreign).toEqual([
    { path: "spec.containers[name=x].env[name=E]", managers: ["mesh"] },
    { path: "spec.containers[name=proxy]", managers: ["mesh"] },
    { path: "spec.volumes[name=v]", managers: [] },
  ]);
});

test("a difference never carries a value", () => {
  const secret = (data: string): Manifest => ({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { token: data } });
  expect(JSON.stringify(compare(secret("aGlkZGVu"), secret("b3RoZXI="), MANAGER))).not.toMatch(/aGlkZGVu|b3RoZXI/);
});

/** Objects and atomic lists of scalars under names that mean nothing to the comparer. */
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.string({ minLength: 1 }), fc.integer({ min: 1 }), fc.constant(true)),
    fc.array(fc.integer(), { minLength: 1, maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "d"), tie("tree"), { minKeys: 1 }),
  ),
}));
const withExtras = (value: unknown, extra: unknown): unknown =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? value
    : { ...Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withExtras(member, extra)])), extra };

test("whatever others add beside our fields is no difference, and whatever field of ours goes is one", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("a", "b", "c"), tree, { minKeys: 1 }), tree, fc.nat(), (spec, extra, pick) => {
      const live = withExtras(spec, extra) as Record<string, unknown>;
      expect(paths(spec, live)).toEqual([]);
      const names = Object.keys(spec);
      const gone = names[pick % names.length] ?? "";
      expect(paths(spec, { ...live, [gone]: undefined })).toEqual([`missing spec.${gone}`]);
    }),
  );
});

test("comparing never throws, whatever the live object looks like", () => {
  const deployment = renderedChildren("ns").find((child) => child.kind.kind === "Deployment")!.object;
  fc.assert(
    fc.property(fc.jsonValue(), (spec) => {
      const { differences } = compare(deployment, { ...deployment, spec } as KubeObject, MANAGER);
      expect(differences.length).toBeGreaterThan(0);
    }),
  );
});

test("paths read like jq and like nothing else for odd names", () => {
  expect(pathText(["metadata", "annotations", "a.b/c"])).toBe('metadata.annotations["a.b/c"]');
  expect(pathText(["spec", "ports", { key: { port: 80, protocol: "TCP" } }, 0])).toBe("spec.ports[port=80,protocol=TCP][0]");
});

test("a rendering carries its digest where it is asked to, without empty members and stringData", () => {
  const { object: secret } = rendered(
    { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { a: "é" }, data: { b: "Yg==" }, gone: null } as KubeObject,
    "metadata",
  );
  expect(secret).toMatchObject({ data: { a: "w6k=", b: "Yg==" } });
  expect("stringData" in secret || "gone" in secret).toBe(false);
  const spec = { template: { metadata: { labels: { a: "b" } }, spec: {} } };
  const first = rendered(object(spec), "podTemplate");
  expect(first.object.metadata.annotations).toBeUndefined();
  expect(renderedDigest(first.object, "podTemplate")).toBe(first.digest);
  expect(renderedDigest(first.object, "metadata")).toBeUndefined();
  const reordered = rendered({ ...object({ template: { spec: {}, metadata: { labels: { a: "b" } } } }) }, "podTemplate");
  expect(reordered.digest).toBe(first.digest);
  expect(rendered(object({ template: { metadata: { labels: { a: "c" } }, spec: {} } }), "podTemplate").digest).not.toBe(first.digest);
  expect(RENDERED_ANNOTATION).toBe("nexus.dev/rendered");
  expect(() => rendered(object({}), "podTemplate")).toThrow(TypeError);
});

test("an object is ours by its controller's uid, or without a controller by labels and manager together", () => {
  const identity = { ownerUid: "u1", labels: { "managed-by": "us", "nexus.dev/operator-id": "one" } };
  const live = (metadata: object): KubeObject => ({ apiVersion: "v1", kind: "Secret", metadata: { name: "s", ...metadata } });
  const owner = (uid: string) => ({ ownerReferences: [{ apiVersion: "v1", kind: "NexusCluster", name: "live", uid, controller: true }] });
  const ours = { labels: identity.labels, managedFields: [applied({})] };
  const reason = (metadata: object) => foreignReason(live(metadata), identity);
  expect(reason({ ...owner("u1"), ...ours })).toBeUndefined();
  expect(reason({ ...owner("u2"), ...ours })).toContain("another NexusCluster");
  expect(reason({ ...owner("u1"), labels: { ...identity.labels, "nexus.dev/operator-id": "two" } })).toContain("another operator");
  expect(reason(ours)).toBeUndefined();
  expect(reason({ ...ours, managedFields: [applied({}, "helm")] })).toContain("not made by");
  expect(reason({ ...ours, labels: { "managed-by": "us" } })).toContain("not made by");
  expect(foreignReason(live({ ...owner("u9"), ...ours }), { labels: identity.labels })).toContain("controlled by");
});
