// Why: what we render is judged by those who will run it: the API server's validation (strict: no unknown field), its Restricted
// profile, its own idea of what an unchanged apply is, and for the kinds of others the definitions they released. Walks the table
// that the golden files walk.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { scaledObject } from "@nexus/operator/desired/scaling/keda.ts";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createApplier } from "@nexus/operator/kube/apply.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { CLUSTERS, CONTEXT, renderAll } from "../../operator/desired/fixtures.ts";
import { unavailableBinaries } from "../../support/cluster/binaries.ts";
import { eventually } from "../../support/eventually.ts";
import { openHelm, WITH_PROMETHEUS } from "../../support/helm.ts";
import { installPublished, PUBLISHED } from "../../support/kube/published-crds.ts";
import { isOptional, kindOf, strictApply } from "../../support/kube/strict-apply.ts";
import { type Stage, startStage } from "../../support/operator.ts";

setDefaultTimeout(60_000);

const noHelm = unavailableBinaries(["helm"]);
if (noHelm) process.stderr.write(`some are skipped: ${noHelm}\n`);

let stage: Stage;
let api: KubeApi;

beforeAll(async () => {
  stage = await startStage();
  await installPublished(stage.plane, "newest", PUBLISHED);
  const transport = createTransport({ access: await kubeconfigAccess(stage.plane.adminKubeconfig), userAgent: "test" });
  api = createKubeApi({ transport, fence: { writeBudgetMs: () => 10_000 } });
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
});

/** The two halves of a Deployment as one, as it is made; everything else as it is rendered. */
function objectsOf(cluster: NexusCluster): readonly KubeObject[] {
  const { deployment, deploymentPods, ...rest } = renderAll(cluster);
  const whole = { ...deployment, spec: { ...Object(deploymentPods).spec, ...Object(deployment).spec } };
  return [...Object.values(rest), whole as KubeObject]; // a Deployment with more in its spec
}

/** The fixture as an object of this cluster, in a namespace where pods must be Restricted. */
async function place(name: string): Promise<NexusCluster> {
  const make = CLUSTERS[name];
  if (!make) throw new Error(name);
  const namespace = `render-${name.toLowerCase()}`;
  const profile = Object.fromEntries(["enforce", "warn", "audit"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]));
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: profile } });
  const cluster = make();
  const { name: own } = cluster.metadata;
  await stage.plane.apply({ ...cluster, metadata: { name: own, namespace } });
  const live = await stage.get(`nexuscluster/${own}`, namespace);
  return { ...cluster, metadata: { ...cluster.metadata, namespace, uid: live?.metadata.uid ?? "" } };
}

/** Every fixture in one namespace, each under its own name. */
async function placeAll(namespace: string): Promise<readonly NexusCluster[]> {
  const made = Object.entries(CLUSTERS).map(([variant, make]): NexusCluster => {
    const cluster = make();
    return { ...cluster, metadata: { ...cluster.metadata, name: variant.toLowerCase(), namespace } };
  });
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await stage.plane.apply(made.map((cluster) => ({ ...cluster, metadata: { name: cluster.metadata.name, namespace } })));
  const { items } = await api.list<NexusCluster>(KINDS.NexusCluster, { namespace });
  const uids = new Map(items.map(({ metadata }) => [metadata.name, metadata.uid ?? ""]));
  return made.map((cluster) => ({ ...cluster, metadata: { ...cluster.metadata, uid: uids.get(cluster.metadata.name) ?? "" } }));
}

describe.each(Object.keys(CLUSTERS))("what is rendered for %s", (name) => {
  test("is valid, Restricted, and the same when it is applied again", async () => {
    const cluster = await place(name);
    const objects = objectsOf(cluster);
    for (const desired of objects) await isTaken(desired, cluster.metadata.uid);
    if (cluster.metadata.namespace) await podsAreAdmitted(cluster.metadata.namespace, objects);
  });
});

describe.each(["newest", "oldest"] as const)("the kinds of others, by their %s definitions", (release) => {
  beforeAll(async () => {
    if (release === "newest") return; // they are there
    await stage.kubectl("delete", "crd", ...PUBLISHED);
    await installPublished(stage.plane, release, PUBLISHED);
  });

  test.skipIf(noHelm !== undefined)("take what the chart makes for itself", async () => {
    using helm = await openHelm();
    const monitoring = { labels: { release: "prometheus" }, intervalSeconds: 15, runbookBaseURL: "https://runbooks.example/nexus/" };
    const objects = (await helm.render({ monitoring }, ...WITH_PROMETHEUS)).filter(({ apiVersion }) =>
      apiVersion.startsWith("monitoring."),
    );
    expect(objects.map(({ kind }) => kind).sort()).toEqual(["PodMonitor", "PrometheusRule"]);
    for (const object of objects) await isKept({ ...object, metadata: { ...object.metadata, namespace: "nexus-system" } });
  });

  if (release === "newest") return; // the clusters were judged by these above

  test("take everything that is rendered for them", async () => {
    const kinds = new Set<string>();
    for (const cluster of await placeAll(release)) {
      const objects = objectsOf(cluster).filter((object) => isOptional(object) && object.kind !== "ScaledObject");
      for (const desired of [...objects, ...oldScaledObject(cluster)]) {
        await isTaken(desired, cluster.metadata.uid);
        kinds.add(desired.kind);
      }
    }
    expect([...kinds].sort()).toEqual(Object.keys(OPTIONAL_KINDS).sort());
  });

  test("refuse a fallback that keeps the size, which is why it is rendered only where the schema has it", async () => {
    const cluster = CLUSTERS.scaledKEDA?.();
    const modern = cluster && renderAll(cluster).scaledObject;
    if (!modern) throw new Error("nothing was rendered");
    const { body } = await strictApply(stage.plane, rendered(modern, "metadata").object, "dryRun=All");
    expect(body.message).toContain(".spec.fallback.behavior: field not declared in schema");
  });
});

/** As it is rendered for a KEDA that cannot keep the size. */
function oldScaledObject(cluster: NexusCluster): readonly KubeObject[] {
  const { autoscaling } = cluster.spec;
  return autoscaling?.provider === "KEDA" ? [scaledObject(cluster, autoscaling, { ...CONTEXT, canKeepSize: false })] : [];
}

/** Applied without a word against it, kept as it was sent, and nothing to write when a pass looks at it. `uid`: of the owner. */
async function isTaken(desired: KubeObject, uid = ""): Promise<void> {
  const { object } = rendered(desired, "metadata");
  const live = await isKept(object);
  // Our own comparison agrees: a pass would send nothing.
  const applier = createApplier({ api, contests: new ContestTracker(systemClock) });
  const identity = { labels: object.metadata.labels ?? {}, ownerUid: uid };
  const judged = await applier.apply({ kind: kindOf(object), desired, live, manager: "nexus-operator", identity });
  expect([object.kind, judged.kind]).toEqual([object.kind, "inSync"]);
}

/** Applies an object; answers it as it is read back: nothing was warned of, nothing is missing, and a second apply changes nothing. */
async function isKept(object: Manifest): Promise<KubeObject> {
  const { name, namespace = "" } = object.metadata;
  const what = `${object.kind} ${namespace}/${name}`;
  const dry = await strictApply(stage.plane, object, "dryRun=All");
  expect([what, dry.status, dry.body.message, dry.warnings]).toEqual([what, 201, undefined, null]);
  const made = await strictApply(stage.plane, object);
  expect([what, made.status, made.warnings]).toEqual([what, 201, null]);
  const live = await api.get<KubeObject>({ kind: kindOf(object), namespace, name });
  if (!live) throw new Error(`${what} is not there`);
  if (isOptional(object)) expect({ what, ...live }).toMatchObject({ what, ...object }); // built-in kinds have an order of their own
  const again = await strictApply(stage.plane, object, "dryRun=All");
  // Controllers write statuses meanwhile, so the version may move; the generation and all the rest may not.
  expect([what, again.status, again.warnings]).toEqual([what, 200, null]);
  expect({ what, ...content(again.body) }).toEqual({ what, ...content(live) });
  return live;
}

/** Without what a controller moves at any time: its status, and who wrote when. */
function content(object: KubeObject | undefined) {
  const { status: _status, metadata, ...rest } = (object ?? {}) as Manifest; // undefined fails the comparison
  const { managedFields: _managed, resourceVersion: _version, annotations = {}, ...head } = metadata ?? {};
  const { "deployment.kubernetes.io/revision": _revision, ...own } = annotations as Record<string, string>;
  return { ...rest, metadata: { ...head, annotations: own } };
}

/** Pods are what Restricted is about: the controllers' attempts to make them go through. */
async function podsAreAdmitted(namespace: string, objects: readonly KubeObject[]): Promise<void> {
  const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
  await eventually(`pods in ${namespace}`, async () => {
    const { items } = await api.list<KubeObject>(KINDS.Pod, { namespace });
    const owners = new Set(items.map(({ metadata }) => metadata.labels?.["app.kubernetes.io/component"]));
    const wanted = workloads.map(({ metadata }) => metadata.labels?.["app.kubernetes.io/component"]);
    if (wanted.every((component) => owners.has(component))) return true;
    throw new Error(await stage.kubectl("get", "events", "-n", namespace, "-o", "custom-columns=M:.message"));
  });
}
