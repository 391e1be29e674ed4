// Why: what we render is judged by those who will run it: the API server's validation (strict: no unknown field), its Restricted
// profile, and its own idea of what an unchanged apply is. Walks the table that the golden files walk.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createApplier } from "@nexus/operator/kube/apply.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { collectionPath } from "@nexus/operator/kube/paths.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS, type Kind, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { CLUSTERS, renderAll } from "../../operator/desired/fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { MONITORING_CRDS } from "../../support/kube/monitoring-crds.ts";
import { OPTIONAL_CRDS } from "../../support/kube/optional-crds.ts";
import { type Stage, startStage } from "../../support/operator.ts";

setDefaultTimeout(60_000);

let stage: Stage;
let api: KubeApi;

beforeAll(async () => {
  stage = await startStage();
  await stage.plane.apply([...OPTIONAL_CRDS, ...MONITORING_CRDS]);
  await stage.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
  const transport = createTransport({ access: await kubeconfigAccess(stage.plane.adminKubeconfig), userAgent: "test" });
  api = createKubeApi({ transport, fence: { writeBudgetMs: () => 10_000 } });
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
});

const kindOf = (object: KubeObject): Kind => {
  const known: readonly Kind[] = [...Object.values(KINDS), ...Object.values(OPTIONAL_KINDS)];
  const found = known.find(({ kind, group }) => kind === object.kind && object.apiVersion.startsWith(group));
  if (!found) throw new Error(`${object.apiVersion} ${object.kind} is in no table of kinds`);
  return found;
};

/** A server-side apply as the API server answers it, with every warning it has. */
async function send(object: Manifest, query: string) {
  const { namespace, name } = object.metadata;
  const path = `${collectionPath(kindOf(object), namespace)}/${name}?fieldManager=nexus-operator&force=true&fieldValidation=Strict&${query}`;
  const headers = { "content-type": "application/apply-patch+yaml" };
  const answer = await stage.plane.request(path, { method: "PATCH", headers, body: JSON.stringify(object) });
  const body = (await answer.json()) as Manifest & { readonly message?: string }; // an object, or a Status with a message
  return { status: answer.status, body, warnings: answer.headers.get("warning") };
}

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

describe.each(Object.keys(CLUSTERS))("what is rendered for %s", (name) => {
  test("is valid, Restricted, and the same when it is applied again", async () => {
    const cluster = await place(name);
    const objects = objectsOf(cluster);
    for (const desired of objects) {
      const { object } = rendered(desired, "metadata");
      const what = `${object.kind} of ${name}`;
      const dry = await send(object, "dryRun=All");
      expect([what, dry.status, dry.body.message, dry.warnings]).toEqual([what, 201, undefined, null]);
      const made = await send(object, "");
      expect([what, made.status, made.warnings]).toEqual([what, 201, null]);
      const live = await api.get<KubeObject>({
        kind: kindOf(object),
        namespace: cluster.metadata.namespace ?? "",
        name: object.metadata.name,
      });
      const again = await send(object, "dryRun=All");
      // Controllers write statuses meanwhile, so the version may move; the generation and all the rest may not.
      expect([what, again.status, again.warnings]).toEqual([what, 200, null]);
      expect({ what, ...content(again.body) }).toEqual({ what, ...content(live) });
      // And our own comparison agrees: a pass would send nothing.
      const applier = createApplier({ api, contests: new ContestTracker(systemClock) });
      const identity = { labels: object.metadata.labels ?? {}, ownerUid: cluster.metadata.uid ?? "" };
      const judged = await applier.apply({ kind: kindOf(object), desired, live, manager: "nexus-operator", identity });
      expect([what, judged.kind]).toEqual([what, "inSync"]);
    }
    if (cluster.metadata.namespace) await podsAreAdmitted(cluster.metadata.namespace, objects);
  });
});

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
