// Why: brings the objects of one NexusCluster to what it asks for, step by step: credentials, broker, children, size. It
// reports what it found and judges nothing; statuses are written elsewhere. None of its steps writes when all is as rendered.
import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject } from "../desired/acceptance.ts";
import { disruptionBudget, serviceAccount } from "../desired/children.ts";
import { childNames, MANAGER } from "../desired/names.ts";
import type { ExposureSeen } from "../status/exposure.ts";
import type { MonitoringSeen } from "../status/monitoring.ts";
import type { RedisSeen } from "../status/redis.ts";
import type { ScalingSeen } from "../status/scaling.ts";
import { type AdminCredentials, ensureAdminCredentials } from "./admin-credentials.ts";
import { liveDeployment, type PendingRollout, reconcileDeployment, setSize } from "./fleet/deployment.ts";
import { reconcileExposure } from "./fleet/exposure.ts";
import { holdsPods, type ListenerTlsFound, reconcileListenerTls } from "./fleet/listener-tls.ts";
import { reconcileMonitoring } from "./fleet/monitoring.ts";
import { reconcileRedis } from "./fleet/redis.ts";
import { pausesRollout } from "./fleet/rollout-errors.ts";
import { reconcileScaling } from "./fleet/scaling.ts";
import { reconcileStorage } from "./fleet/storage.ts";
import { type FleetDeps, type FleetWork, fleetWork } from "./fleet/work.ts";
import { ensureKey } from "./generated-secrets.ts";
import { KINDS } from "./kinds.ts";
import { removeOrphanKeys } from "./orphan-keys.ts";

/** What a pass found besides what it wrote. */
export type FleetFound = {
  readonly credentials: AdminCredentials | undefined;
  readonly conflict: string | undefined;
  readonly contested: readonly string[];
  readonly foreign: readonly string[];
  readonly repaired: readonly string[];
  readonly pendingRollout: PendingRollout | undefined;
  readonly redis: RedisSeen;
  /** What keeps inboxes from where the spec wants them. */
  readonly storage: Refused | undefined;
  readonly scaling: ScalingSeen;
  /** Clients cannot open sessions: the rollout waits. */
  readonly isRolloutPaused: boolean;
  readonly exposure: ExposureSeen;
  readonly listenerTls: ListenerTlsFound;
  readonly monitoring: MonitoringSeen;
  /** Look again after so long; undefined: events will tell. */
  readonly againMs: number | undefined;
};

/** A foreign object that has our name is none that we watch. */
const CONFLICT_MS = 10_000;

/** Rejects with `KubeError`. */
export async function reconcileFleet(cluster: NexusCluster, deps: FleetDeps): Promise<FleetFound> {
  const work = fleetWork(cluster, deps);
  const { notes } = work;
  const { context } = deps;
  const credentials = await ensureAdminCredentials(cluster, {
    ...deps,
    manager: MANAGER,
    operatorId: context.operatorId,
    wallMs: deps.wallMs(),
  });
  if (typeof credentials === "string") notes.conflict = credentials;
  await ensurePlatformKeys(work);
  const redis = await reconcileRedis(work);
  const storage = await reconcileStorage(work);
  const listenerTls = await reconcileListenerTls(work);
  if (cluster.spec.pods.serviceAccountName === undefined) await work.child(KINDS.ServiceAccount, serviceAccount(cluster, context));
  const exposure = await reconcileExposure(work);
  await work.child(KINDS.PodDisruptionBudget, disruptionBudget(cluster, context));
  const { replicas, seen: scaling } = await reconcileScaling(work);
  const isPaused = pausesRollout(work);
  const pendingRollout = await reconcilePods(work, { replicas, isPaused, listenerTls });
  const monitoring = await reconcileMonitoring(work);
  if (notes.conflict !== undefined) work.again(CONFLICT_MS);
  return {
    credentials: typeof credentials === "string" ? undefined : credentials,
    conflict: notes.conflict,
    contested: notes.contested,
    foreign: notes.foreign,
    repaired: notes.repaired,
    ...{
      pendingRollout: pendingRollout ?? redis.pendingRollout,
      redis: redis.seen,
      storage,
      scaling,
      isRolloutPaused: isPaused,
      exposure,
      listenerTls,
      monitoring,
    },
    againMs: notes.againMs,
  };
}

/** Pods whose certificate is not there are not rolled: those that serve stay as they are, in the size that is asked for. */
async function reconcilePods(
  work: FleetWork,
  { listenerTls, ...size }: { readonly replicas: number | undefined; readonly isPaused: boolean; readonly listenerTls: ListenerTlsFound },
): Promise<PendingRollout | undefined> {
  const live = liveDeployment(work);
  if (!holdsPods(work.cluster, listenerTls, live)) return await reconcileDeployment(work, size);
  if (live && size.replicas !== undefined) await setSize(work, live, size.replicas);
  return undefined;
}

async function ensurePlatformKeys({ cluster, deps, notes, secretHead }: FleetWork): Promise<void> {
  for (const key of cluster.spec.platformKeys ?? []) {
    if (key.secretRef) continue;
    const head = secretHead(childNames(cluster.metadata.name).platformKey(key.name));
    const ensured = await ensureKey(head, key.rotation, { ...deps, manager: MANAGER, wallMs: deps.wallMs() });
    if (!ensured.ok) notes.conflict ??= ensured.message;
  }
  const generated = (cluster.spec.platformKeys ?? []).filter((key) => !key.secretRef);
  const names = childNames(cluster.metadata.name);
  const { namespace, labels, ownerReferences } = secretHead(names.platformKey(""));
  const orphans = {
    ...{ namespace, prefix: names.platformKey(""), stored: deps.views.ownSecrets.byIndex("cluster", keyOfObject(cluster)) },
    wanted: new Set(generated.map((key) => names.platformKey(key.name))),
    identity: { labels, ownerUid: ownerReferences[0]?.uid ?? "" },
  };
  await removeOrphanKeys(orphans, deps);
}
