// Why: what a changed NexusCluster means for its objects: which are made, changed and deleted, and whether pods are replaced. The
// rendering of the spec as it is tells apart what the files change and what differs already. Secrets are left out: their content
// is made once and never rendered again.
import { namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { INPUTS_ANNOTATION, MANAGED_BY, MANAGER, PODS_MANAGER } from "@nexus/operator/desired/names.ts";
import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { discover } from "@nexus/operator/kube/discovery.ts";
import { CHILD_KINDS, type Kind, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden, isNotFound } from "@nexus/operator/loop/kube-error.ts";
import { compare } from "@nexus/operator/plan/compare.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Connection } from "../kube/connect.ts";
import { renderFleet } from "../render/fleet.ts";
import { type Change, changesBetween, valueAt } from "./changes.ts";

export type ObjectPlan = {
  /** `Deployment shop/live-server`. */
  readonly object: string;
  readonly action: "create" | "change" | "delete";
  readonly changes: readonly Change[];
};
export type FleetPlan = {
  readonly objects: readonly ObjectPlan[];
  /** The files change what pods are made of: they are replaced, one after another. */
  readonly rollsPods: boolean;
  /** Sentences: what differs already, what could not be seen. */
  readonly notes: readonly string[];
};

const textOf = (kind: string, namespace: string, name: string): string => `${kind} ${namespace}/${name}`;

/** `before`: as the API server has it; undefined when it would be new. Rejects with `KubeError`. */
export async function planFleet(
  connection: Connection,
  clusters: { readonly before: NexusCluster | undefined; readonly after: NexusCluster },
  context: RenderContext,
): Promise<FleetPlan> {
  const { before, after } = clusters;
  const namespace = namespaceOf(after);
  const isServed = await served(connection);
  const wanted = await rendered(after, context, isServed);
  const usual = before ? await rendered(before, context, isServed) : new Map<string, Item>();
  const objects: ObjectPlan[] = [];
  const notes = [...wanted.waitsFor];
  let differsAlready = 0;
  for (const [object, { kind, manifest }] of wanted) {
    const live = await readChild(connection, kind, namespace, manifest.metadata.name);
    if (!live) {
      objects.push({ object, action: "create", changes: [] });
      continue;
    }
    const old = usual.get(object)?.manifest;
    const byFiles = old ? changesBetween(old, manifest) : differing(manifest, live);
    if (old) differsAlready += differing(old, live).length;
    // What is so in the cluster already is no change, whoever made it so.
    const changes = byFiles.filter(({ path, after: value }) => JSON.stringify(valueAt(live, path)) !== JSON.stringify(value));
    if (changes.length > 0) objects.push({ object, action: "change", changes: changes.map((change) => withLive(change, live)) });
  }
  for (const object of await gone(connection, after, wanted)) objects.push({ object, action: "delete", changes: [] });
  if (differsAlready > 0)
    notes.push(
      `${differsAlready} fields of objects in the cluster differ already from what this version renders of the spec as it is: an older or newer operator, or a drift it is about to put back`,
    );
  notes.push(...brokerNotes(objects));
  return { objects, rollsPods: before !== undefined && inputsOf(usual) !== inputsOf(wanted), notes };
}

/** A changed pod template of the broker's is a restart of the broker. Pure. */
export const brokerNotes = (objects: readonly ObjectPlan[]): readonly string[] =>
  objects
    .filter(({ object, changes }) => object.startsWith("StatefulSet ") && changes.some(({ path }) => path.startsWith("spec.template.")))
    .map(({ object }) => `${object}: the broker's pod is replaced; publishes fail for the seconds it takes, sessions stay`);

type Item = { readonly kind: Kind; readonly manifest: Manifest };
type Items = Map<string, Item>;

/** The operator's own look: what Auto makes depends on it, and what a spec names is planned all the same. */
async function served({ transport }: Connection): Promise<(kind: Kind) => boolean> {
  const { kinds } = await discover(transport);
  const { PodMonitor, PrometheusRule } = OPTIONAL_KINDS;
  const isThere = (kind: Kind) => kinds.some((one) => one.group === kind.group && one.version === kind.version && one.kind === kind.kind);
  return (kind) => (kind !== PodMonitor && kind !== PrometheusRule) || isThere(kind);
}

async function rendered(
  cluster: NexusCluster,
  context: RenderContext,
  isServed: (kind: Kind) => boolean,
): Promise<Items & { readonly waitsFor: readonly string[] }> {
  const fleet = await renderFleet(cluster, context, isServed);
  const items = fleet.objects
    .filter(({ kind }) => kind.kind !== "Secret")
    .map(({ kind, object }) => [textOf(kind.kind, namespaceOf(cluster), object.metadata.name), { kind, manifest: object }] as const);
  return Object.assign(new Map(items), { waitsFor: fleet.waitsFor });
}

function inputsOf(items: Items): unknown {
  const deployment = [...items.values()].find(({ kind }) => kind.kind === "Deployment")?.manifest;
  return valueAt(deployment, `spec.template.metadata.annotations["${INPUTS_ANNOTATION}"]`);
}

/** Rendered leaves that the live object does not have. */
function differing(manifest: Manifest, live: KubeObject): readonly Change[] {
  const { managedFields: _, ...metadata } = live.metadata;
  const { replicas, ...spec } = isRecord(manifest.spec) ? manifest.spec : {};
  const comparable = { ...manifest, ...(manifest.kind === "Deployment" && replicas !== undefined ? { spec } : {}) };
  const manager = manifest.kind === "Deployment" ? PODS_MANAGER : MANAGER;
  return compare(comparable, { ...live, metadata }, manager)
    .differences.filter(({ path }) => !path.startsWith("metadata.ownerReferences"))
    .map(({ path }) => ({ path, after: valueAt(manifest, path) }));
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function withLive({ path, after }: Change, live: KubeObject): Change {
  const before = valueAt(live, path);
  return { path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

async function readChild({ api }: Connection, kind: Kind, namespace: string, name: string): Promise<KubeObject | undefined> {
  return await api.get({ kind, namespace, name });
}

/** Children in the cluster that would not be rendered any more. */
async function gone({ api }: Connection, cluster: NexusCluster, wanted: Items): Promise<readonly string[]> {
  const namespace = namespaceOf(cluster);
  const labels = { ...MANAGED_BY, "app.kubernetes.io/instance": cluster.metadata.name };
  const labelSelector = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const found: string[] = [];
  for (const kind of [...CHILD_KINDS, ...Object.values(OPTIONAL_KINDS)]) {
    try {
      const { items } = await api.list(kind, { namespace, labelSelector });
      // Volumes outlive the broker: the operator never deletes what holds data.
      const ours = items.filter(
        ({ metadata }) =>
          kind.kind !== "PersistentVolumeClaim" &&
          metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === cluster.metadata.uid),
      );
      found.push(...ours.map(({ metadata }) => textOf(kind.kind, namespace, metadata.name)).filter((object) => !wanted.has(object)));
    } catch (error) {
      if (!isNotFound(error) && !isForbidden(error)) throw error; // a kind that is not served has no children; one we may not see is not ours to name
    }
  }
  return found;
}
