// Why: brings the objects of one NexusCluster to what it asks for: credentials, children, size. It reports what it found and
// judges nothing; statuses are written elsewhere. One write per child at the most, none when all is as rendered.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../desired/acceptance.ts";
import { deployment, deploymentPods, disruptionBudget, notSupported, service, serviceAccount } from "../desired/children.ts";
import { childLabels, childNames, INPUTS_ANNOTATION, MANAGER, ownedBy, PODS_MANAGER } from "../desired/names.ts";
import type { RenderContext } from "../desired/pod-template.ts";
import { compare } from "../plan/compare.ts";
import type { KubeObject } from "../plan/object.ts";
import { rendered, renderedDigest } from "../plan/rendered.ts";
import { type AdminCredentials, type CertificateMaker, ensureAdminCredentials } from "./admin-credentials.ts";
import { ensureKey } from "./generated-secrets.ts";
import { KINDS, type Kind } from "./kinds.ts";
import type { NewestObjects } from "./newest.ts";
import type { ChildApplier, ChildOutcome, Drift, EventRecorder, KubeApi, Store } from "./ports.ts";
import type { SecretSource } from "./secret-source.ts";
import type { DeploymentObject, Views } from "./views.ts";

export type FleetDeps = {
  readonly api: KubeApi;
  readonly applier: ChildApplier;
  readonly secrets: SecretSource;
  readonly views: Views;
  readonly newest: NewestObjects;
  readonly events: EventRecorder;
  readonly certificates: CertificateMaker;
  readonly context: RenderContext;
  readonly wallMs: () => number;
};

export type PendingRollout = { readonly digest: string; readonly reason: string; readonly fields: string[] };

/** What a pass found besides what it wrote. */
export type FleetFound = {
  readonly credentials: AdminCredentials | undefined;
  readonly conflict: string | undefined;
  readonly contested: readonly string[];
  readonly foreign: readonly string[];
  readonly pendingRollout: PendingRollout | undefined;
  /** Look again after so long; undefined: events will tell. */
  readonly againMs: number | undefined;
};

type Notes = { conflict: string | undefined; readonly contested: string[]; readonly foreign: string[]; againMs: number | undefined };

const AGAIN_MS = 2_000;
/** A foreign object that has our name is none that we watch. */
const CONFLICT_MS = 10_000;

/** Rejects with `KubeError`. */
export async function reconcileFleet(cluster: NexusCluster, deps: FleetDeps): Promise<FleetFound> {
  const notes: Notes = { conflict: undefined, contested: [], foreign: [], againMs: undefined };
  const { context, views } = deps;
  const credentials = await ensureAdminCredentials(cluster, {
    ...deps,
    manager: MANAGER,
    operatorId: context.operatorId,
    wallMs: deps.wallMs(),
  });
  if (typeof credentials === "string") notes.conflict = credentials;
  await ensurePlatformKeys(cluster, deps, notes);
  const child = <T extends KubeObject>(kind: Kind, desired: T, store: Store<KubeObject>) =>
    applyChild({ cluster, kind, desired, store, notes, deps });
  if (cluster.spec.pods.serviceAccountName === undefined)
    await child(KINDS.ServiceAccount, serviceAccount(cluster, context), views.serviceAccounts);
  await child(KINDS.Service, service(cluster, context), views.services);
  await child(KINDS.PodDisruptionBudget, disruptionBudget(cluster, context), views.disruptionBudgets);
  const pendingRollout = await reconcileDeployment(cluster, deps, notes);
  if (notes.conflict !== undefined) notes.againMs = Math.min(notes.againMs ?? CONFLICT_MS, CONFLICT_MS);
  return {
    credentials: typeof credentials === "string" ? undefined : credentials,
    conflict: notes.conflict,
    contested: notes.contested,
    foreign: notes.foreign,
    pendingRollout,
    againMs: notes.againMs,
  };
}

async function ensurePlatformKeys(cluster: NexusCluster, deps: FleetDeps, notes: Notes): Promise<void> {
  const labels = childLabels(cluster.metadata.name, "server", deps.context.operatorId);
  for (const key of cluster.spec.platformKeys ?? []) {
    if (key.secretRef) continue;
    const head = {
      namespace: namespaceOf(cluster),
      name: childNames(cluster.metadata.name).platformKey(key.name),
      labels,
      ownerReferences: ownedBy(cluster),
    };
    const ensured = await ensureKey(head, key.rotation, { ...deps, manager: MANAGER, wallMs: deps.wallMs() });
    if (!ensured.ok) notes.conflict ??= ensured.message;
  }
}

type ChildWork = {
  readonly cluster: NexusCluster;
  readonly kind: Kind;
  readonly desired: KubeObject;
  readonly store: Store<KubeObject>;
  readonly notes: Notes;
  readonly deps: FleetDeps;
  readonly manager?: string;
  readonly digestAt?: "podTemplate";
};

async function applyChild({ cluster, kind, desired, store, notes, deps, manager = MANAGER, digestAt }: ChildWork): Promise<ChildOutcome> {
  const live = deps.newest.get(store, desired);
  const labels = childLabels(cluster.metadata.name, "server", deps.context.operatorId);
  const identity = { labels, ...(cluster.metadata.uid === undefined ? {} : { ownerUid: cluster.metadata.uid }) };
  const outcome = await deps.applier.apply({ kind, desired, live, manager, identity, ...(digestAt ? { digestAt } : {}) });
  if (outcome.kind === "created" || outcome.kind === "applied") deps.newest.put(outcome.live);
  if (outcome.kind === "stale" || outcome.kind === "terminating") deps.newest.forget(desired);
  note(outcome, { cluster, kind, name: desired.metadata.name, notes, events: deps.events });
  return outcome;
}

type Where = {
  readonly cluster: NexusCluster;
  readonly kind: Kind;
  readonly name: string;
  readonly notes: Notes;
  readonly events: EventRecorder;
};

function note(outcome: ChildOutcome, { cluster, kind, name, notes, events }: Where): void {
  const what = `${kind.kind} ${name}`;
  const warn = (reason: string, text: string) =>
    events.record({ regarding: cluster, type: "Warning", reason, action: "Applying", note: text });
  const again = (ms: number) => {
    notes.againMs = Math.min(notes.againMs ?? Number.POSITIVE_INFINITY, ms);
  };
  const list = (items: readonly { readonly path: string; readonly managers: readonly string[] }[]) =>
    items.map(({ path, managers }) => (managers.length > 0 ? `${path} (${managers.join(", ")})` : path));
  if ("foreign" in outcome) notes.foreign.push(...list(outcome.foreign));
  switch (outcome.kind) {
    case "inSync":
    case "created":
      return;
    case "applied":
      reportDrift(outcome.drift.filter(isForeign), `${what}: put back`, warn);
      return;
    case "unchanged":
      warn("ApiError", `${what}: an apply changed nothing although ${outcome.paths.join(", ")} looked different`);
      return;
    case "nameConflict":
      notes.conflict ??= outcome.message;
      return;
    case "contested":
      notes.contested.push(...list(outcome.drift).map((path) => `${what} ${path}`));
      again(outcome.retryAfterMs);
      return;
    case "terminating":
    case "stale":
      again(AGAIN_MS);
      return;
    default:
      outcome satisfies never;
  }
}

/** What one of our own managers wrote, and another takes over, is nobody's drift. */
const isForeign = ({ managers }: Drift): boolean => managers.length === 0 || managers.some((manager) => !manager.startsWith(MANAGER));

function reportDrift(drift: readonly Drift[], what: string, warn: (reason: string, text: string) => void): void {
  if (drift.length === 0) return;
  warn("Drift", `${what} ${drift.map(({ path, managers }) => `${path} (${managers.join(", ")})`).join(", ")}`);
}

/**
 * Template, then the rest, then the size; a template that only this operator's version changed waits for approval. A new
 * Deployment is made whole (a strategy cannot be changed to one that contradicts a default), with the template as the pods'
 * manager will render it, so that taking it over starts no second rollout.
 */
async function reconcileDeployment(cluster: NexusCluster, deps: FleetDeps, notes: Notes): Promise<PendingRollout | undefined> {
  const { views, context } = deps;
  const pods = deploymentPods(cluster, context);
  const live = deps.newest.get(views.deployments, pods);
  const pending = live ? pendingUpgrade(cluster, pods, live) : undefined;
  const store: Store<KubeObject> = views.deployments;
  const work = { cluster, kind: KINDS.Deployment, store, notes, deps };
  if (!live) {
    const rest = deployment(cluster, context);
    const spec: unknown = Reflect.get(rendered(pods, "podTemplate").object, "spec");
    const whole = { ...rest, spec: { ...(spec as object), ...rest.spec } }; // a rendering keeps its spec an object
    await applyChild({ ...work, desired: whole });
  }
  if (!pending) {
    const outcome = await applyChild({ ...work, desired: pods, manager: PODS_MANAGER, digestAt: "podTemplate" });
    if (outcome.kind === "nameConflict" || outcome.kind === "terminating" || outcome.kind === "stale") return undefined;
  }
  const outcome = await applyChild({ ...work, desired: deployment(cluster, context) });
  // The answer of the apply just made is newer than any store.
  const now = "live" in outcome ? outcome.live : undefined;
  if (now) await setSize(cluster, now, deps);
  return pending;
}

async function setSize(cluster: NexusCluster, live: KubeObject, deps: FleetDeps): Promise<void> {
  const wanted = wantedReplicas(cluster);
  const spec: unknown = Reflect.get(live, "spec");
  const present: unknown = typeof spec === "object" && spec !== null ? Reflect.get(spec, "replicas") : undefined;
  if (present === wanted) return;
  const ref = { kind: KINDS.Deployment, namespace: namespaceOf(cluster), name: live.metadata.name };
  const { resourceVersion } = await deps.api.setScale(ref, { replicas: wanted }, { manager: MANAGER });
  const scaled = { ...live, metadata: { ...live.metadata, resourceVersion }, spec: { ...Object(spec), replicas: wanted } };
  deps.newest.put(scaled);
}

/** Without a broker there is one pod at the most, whatever an older CRD let through or a broker we cannot wire yet is asked for. */
export const wantedReplicas = (cluster: NexusCluster): number => {
  const hasBroker = cluster.spec.redis.mode !== "None" && !notSupported(cluster).includes("spec.redis.mode");
  return hasBroker ? cluster.spec.replicas : Math.min(1, cluster.spec.replicas);
};

/** Set when the user's inputs are those of the live template and only our rendering differs, and nobody approved it. */
function pendingUpgrade(
  cluster: NexusCluster,
  desired: KubeObject & { readonly spec: { readonly template: { readonly metadata: object } } },
  live: DeploymentObject,
): PendingRollout | undefined {
  const annotations = live.spec.template?.metadata?.annotations;
  const inputs: unknown = Reflect.get(Reflect.get(desired.spec.template.metadata, "annotations") ?? {}, INPUTS_ANNOTATION);
  const { object, digest } = rendered(desired, "podTemplate");
  if (annotations?.[INPUTS_ANNOTATION] !== inputs || renderedDigest(live, "podTemplate") === digest) return undefined;
  const { upgrades, approve } = cluster.spec.rollout;
  if (upgrades === "Automatic" || approve === digest) return undefined;
  const fields = compare(object, live, PODS_MANAGER).differences.map(({ path }) => path);
  return { digest, reason: "this operator renders the pods differently from the same spec", fields: fields.slice(0, 16) };
}
