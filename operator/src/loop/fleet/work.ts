// Why: what every step of a fleet's pass is given: the cluster, the ports, and two verbs, "bring this child about" and "this
// child is not wanted". Steps report what they found; they never write a status and never throw for what a user did.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../../desired/acceptance.ts";
import { type Component, childLabels, MANAGER, ownedBy } from "../../desired/names.ts";
import type { RenderContext } from "../../desired/pod-template.ts";
import type { KubeObject } from "../../plan/object.ts";
import { foreignReason, type Identity } from "../../plan/ownership.ts";
import type { CertificateMaker } from "../admin-authority.ts";
import type { SecretHead } from "../generated-secrets.ts";
import { KINDS, type Kind } from "../kinds.ts";
import { isConflict } from "../kube-error.ts";
import { isAsRendered, isLean, lean } from "../lean.ts";
import type { NewestObjects } from "../newest.ts";
import type { Capabilities, ChildApplier, ChildOutcome, Contests, Drift, EventRecorder, KubeApi, Store } from "../ports.ts";
import type { Scaling } from "../scaling/memory.ts";
import type { Schemas } from "../scaling/ports.ts";
import type { SecretSource } from "../secret-source.ts";
import type { Views } from "../views.ts";
import type { LeanDesired, Renderings } from "./renderings.ts";

export type FleetDeps = {
  readonly api: KubeApi;
  readonly applier: ChildApplier;
  readonly contests: Contests;
  readonly secrets: SecretSource;
  readonly views: Views;
  readonly capabilities: Capabilities;
  readonly schemas: Schemas;
  readonly scaling: Scaling;
  readonly newest: NewestObjects;
  readonly renderings: Renderings;
  readonly events: EventRecorder;
  readonly certificates: CertificateMaker;
  readonly context: RenderContext;
  readonly wallMs: () => number;
};

/** What steps note for the status and the next look. */
export type Notes = {
  /** A child that belongs to somebody else, a sentence. */
  conflict: string | undefined;
  readonly contested: string[];
  readonly foreign: string[];
  /** What others had changed, and was put back: child, path, managers. */
  readonly repaired: string[];
  /** Look again after so long; undefined: events will tell. */
  againMs: number | undefined;
};

type ChildOptions = {
  /** Field manager; default {@link MANAGER}. */
  readonly manager?: string;
  readonly digestAt?: "podTemplate";
  /** Which labels tell that it is ours; default `server`. */
  readonly component?: Component;
  /** The fleet can do without it: a conflict or a contest is the step's to tell, and no reason not to be Ready. */
  readonly isSpare?: boolean;
};

export type FleetWork = {
  readonly cluster: NexusCluster;
  readonly namespace: string;
  readonly deps: FleetDeps;
  readonly notes: Notes;
  /** Brings one child to its rendering with at most one write; notes conflicts, drift and contests. Rejects with `KubeError`. */
  child(kind: Kind, desired: KubeObject, options?: ChildOptions): Promise<ChildOutcome>;
  /** As `child`, for an object of which a watch keeps no content: it is rendered whole only when it is not as it should be. */
  leanChild(kind: Kind, desired: LeanDesired, options?: ChildOptions): Promise<ChildOutcome>;
  /** Our child of this kind and name, as young as we know it; undefined when there is none (or it is somebody else's). */
  ours(kind: Kind, name: string): KubeObject | undefined;
  /** Deletes our child of this kind and name. True once it is gone (somebody else's object of that name counts as gone). Rejects with `KubeError`. */
  remove(kind: Kind, name: string): Promise<boolean>;
  /** Look again after at most so long. */
  again(ms: number): void;
  warn(reason: string, note: string): void;
  /** Head of a Secret that this cluster owns. */
  secretHead(name: string, component?: Component): SecretHead;
};

const AGAIN_MS = 2_000;

export function fleetWork(cluster: NexusCluster, deps: FleetDeps): FleetWork {
  const notes: Notes = { conflict: undefined, contested: [], foreign: [], repaired: [], againMs: undefined };
  const namespace = namespaceOf(cluster);
  const { name: clusterName, uid } = cluster.metadata;
  const again = (ms: number) => {
    notes.againMs = Math.min(notes.againMs ?? Number.POSITIVE_INFINITY, ms);
  };
  const warn = (reason: string, note: string) =>
    deps.events.record({ regarding: cluster, type: "Warning", reason, action: "Applying", note });
  const identity = (component: Component): Identity => ({
    labels: childLabels(clusterName, component, deps.context.operatorId),
    ...(uid === undefined ? {} : { ownerUid: uid }),
  });
  const storeOf = (kind: Kind): Store<KubeObject> => (kind === KINDS.Secret ? deps.views.ownSecrets : deps.views.children(kind));
  const find = (kind: Kind, name: string) =>
    deps.newest.get(storeOf(kind), { apiVersion: "", kind: kind.kind, metadata: { namespace, name } });
  const isOurs = (live: KubeObject) =>
    (["server", "redis"] as const).some((component) => foreignReason(live, identity(component)) === undefined);

  const child: FleetWork["child"] = async (kind, desired, { manager = MANAGER, digestAt, component = "server", isSpare = false } = {}) => {
    const live = isLean(desired) ? undefined : deps.newest.get(storeOf(kind), desired);
    const request = { kind, desired, live, manager, identity: identity(component), ...(digestAt ? { digestAt } : {}) };
    const outcome = await deps.applier.apply(request);
    if (outcome.kind === "created" || outcome.kind === "applied") deps.newest.put(isLean(outcome.live) ? lean(outcome.live) : outcome.live);
    if (outcome.kind === "stale" || outcome.kind === "terminating") deps.newest.forget(desired);
    note(outcome, { what: `${kind.kind} ${desired.metadata.name}`, notes, again, warn, isSpare });
    return outcome;
  };

  return {
    cluster,
    namespace,
    deps,
    notes,
    again,
    warn,
    child,
    async leanChild(kind, { head, whole }, options) {
      const stored = deps.newest.get(storeOf(kind), head);
      if (stored && isOurs(stored) && isAsRendered(head, stored)) return { kind: "inSync", live: stored, foreign: [] };
      return await child(kind, whole(), options);
    },
    ours(kind, name) {
      const live = find(kind, name);
      return live && isOurs(live) ? live : undefined;
    },
    async remove(kind, name) {
      // Before the first list, absence means nothing.
      const live = find(kind, name) ?? (deps.views.children(kind).hasSynced() ? undefined : await deps.api.get({ kind, namespace, name }));
      if (!live || !isOurs(live)) return true;
      if (live.metadata.deletionTimestamp === undefined) {
        const { uid: liveUid } = live.metadata;
        try {
          const wasThere = await deps.api.delete({ kind, namespace, name }, liveUid === undefined ? {} : { uid: liveUid });
          if (!wasThere) return true; // the store lags, or its kind is gone
        } catch (error) {
          if (!isConflict(error)) throw error; // another object has the name by now: ours is gone
        }
        deps.newest.forget(live);
      }
      again(AGAIN_MS);
      return false;
    },
    secretHead: (name, component = "server") => ({
      namespace,
      name,
      labels: childLabels(clusterName, component, deps.context.operatorId),
      ownerReferences: ownedBy(cluster),
    }),
  };
}

type Where = {
  readonly what: string;
  readonly notes: Notes;
  readonly again: (ms: number) => void;
  readonly warn: (reason: string, note: string) => void;
  readonly isSpare: boolean;
};

function note(outcome: ChildOutcome, { what, notes, again, warn, isSpare }: Where): void {
  const list = (items: readonly { readonly path: string; readonly managers: readonly string[] }[]) =>
    items.map(({ path, managers }) => (managers.length > 0 ? `${path} (${managers.join(", ")})` : path));
  if ("foreign" in outcome) notes.foreign.push(...list(outcome.foreign));
  switch (outcome.kind) {
    case "inSync":
    case "created":
      return;
    case "applied":
      putBack(list(outcome.drift.filter(isForeign)), { what, notes, warn });
      return;
    case "unchanged":
      warn("ApiError", `${what}: an apply changed nothing although ${outcome.paths.join(", ")} looked different`);
      return;
    case "nameConflict":
      if (!isSpare) notes.conflict ??= outcome.message;
      return;
    case "contested":
      if (!isSpare) notes.contested.push(...list(outcome.drift).map((path) => `${what} ${path}`));
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

/** `paths`: `path (managers)` of what others had changed. */
export function putBack(paths: readonly string[], { what, notes, warn }: Pick<Where, "what" | "notes" | "warn">): void {
  if (paths.length === 0) return;
  notes.repaired.push(...paths.map((path) => `${what} ${path}`));
  warn("Drift", `${what}: put back ${paths.join(", ")}`);
}
