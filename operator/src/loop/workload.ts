// Why: the fleet itself: the Deployment's pods, strategy and size. The pod template has a manager of its own, so that a new
// operator does not roll every fleet by rendering something else. It must never put `replicas` into an apply.
import type { NexusCluster, NexusClusterStatus } from "@nexus/protocol/resources/nexus-cluster.ts";
import { deployment, deploymentPods } from "../desired/children.ts";
import { childNames, INPUTS_ANNOTATION, MANAGER, PODS_MANAGER } from "../desired/names.ts";
import { compare } from "../plan/compare.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";
import { rendered, renderedDigest } from "../plan/rendered.ts";
import { type ChildReport, identityOf } from "./children.ts";
import type { Context } from "./context.ts";
import { KINDS } from "./kinds.ts";

type DeploymentObject = KubeObject & {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
  };
};

/** What is known of a Deployment; zeros while there is none. */
export type Fleet = {
  readonly isObserved: boolean;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly updatedReplicas: number;
  readonly isStuck: boolean;
};

const fleetKey = ({ metadata }: NexusCluster): string => `${metadata.namespace ?? "default"}/${childNames(metadata.name).server}`;

/** A fleet that was seen before counts until its controller has looked at the newest change, but not for a new generation. */
export function fleetOf(context: Context, cluster: NexusCluster): Fleet {
  const live = context.children.live("Deployment", fleetKey(cluster)) as DeploymentObject | undefined; // apps/v1, by its store
  const { status } = live ?? {};
  const isCurrent = (status?.observedGeneration ?? 0) >= (live?.metadata.generation ?? 1);
  const wasSeen =
    status?.observedGeneration !== undefined && context.statuses.current(cluster)?.observedGeneration === cluster.metadata.generation;
  return {
    isObserved: live !== undefined && (isCurrent || wasSeen),
    replicas: status?.replicas ?? 0,
    readyReplicas: status?.readyReplicas ?? 0,
    updatedReplicas: status?.updatedReplicas ?? 0,
    isStuck: status?.conditions?.some(({ type, reason }) => type === "Progressing" && reason === "ProgressDeadlineExceeded") ?? false,
  };
}

/** Brings the Deployment and its size up to date. Answers an upgrade that waits for approval. Rejects with `KubeError`. */
export async function applyFleet(
  context: Context,
  cluster: NexusCluster,
  report: ChildReport,
): Promise<NexusClusterStatus["pendingRollout"]> {
  const { children, render } = context;
  const identity = identityOf(cluster, render.operatorId);
  const pods = deploymentPods(cluster, render);
  const pending = heldUpgrade(cluster, pods, children.live("Deployment", fleetKey(cluster)));
  // The pods first: they create the Deployment.
  if (!pending) {
    await children.apply(cluster, identity, { kind: "Deployment", desired: pods, manager: PODS_MANAGER, digestAt: "podTemplate", report });
  }
  if (report.conflict === undefined && children.live("Deployment", fleetKey(cluster)))
    await children.apply(cluster, identity, { kind: "Deployment", desired: deployment(cluster, render), manager: MANAGER, report });
  if (report.conflict === undefined) await applySize(context, cluster);
  return pending;
}

async function applySize({ children, api }: Context, cluster: NexusCluster): Promise<void> {
  const live = children.live("Deployment", fleetKey(cluster)) as DeploymentObject | undefined; // apps/v1, by its store
  const { replicas } = cluster.spec;
  if (!live || live.metadata.deletionTimestamp !== undefined || (live.spec?.replicas ?? 1) === replicas) return;
  const { name, namespace } = live.metadata;
  const ref = { kind: KINDS.Deployment, name, ...(namespace === undefined ? {} : { namespace }) };
  const { resourceVersion } = await api.setScale(ref, { replicas }, { manager: MANAGER });
  children.remember("Deployment", {
    ...live,
    metadata: { ...live.metadata, resourceVersion },
    spec: { ...live.spec, replicas },
  } as KubeObject);
}

/** The user's inputs are the same and the rendering is not: a new operator would exchange the pods. */
function heldUpgrade(cluster: NexusCluster, desired: KubeObject, live: Manifest | undefined): NexusClusterStatus["pendingRollout"] {
  const { upgrades, approve } = cluster.spec.rollout;
  if (!live || upgrades === "Automatic") return undefined;
  const { object, digest } = rendered(desired, "podTemplate");
  const applied = renderedDigest(live, "podTemplate");
  if (applied === undefined || applied === digest || approve === digest || inputsOf(live) !== inputsOf(object)) return undefined;
  const fields = compare(object, live, PODS_MANAGER).differences.map(({ path }) => path.slice(0, 256));
  return { digest, reason: "this operator renders other pods from the same spec", fields: fields.slice(0, 16) };
}

const inputsOf = (object: KubeObject): string | undefined =>
  (object as DeploymentObject).spec?.template?.metadata?.annotations?.[INPUTS_ANNOTATION]; // a Deployment: it was rendered or stored as one
