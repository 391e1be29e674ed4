// Why: the broker the operator runs for one cluster: its objects, its password and its place. A restart of it restarts no
// server, and an upgrade of the operator restarts no broker without being asked. It must never delete what it keeps.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames, INPUTS_ANNOTATION, MANAGER } from "../../desired/names.ts";
import { podTemplate } from "../../desired/pod-template.ts";
import { connectionSecret } from "../../desired/redis/connection.ts";
import { managedConnection, redisHeadlessService, redisPolicy, redisService } from "../../desired/redis/network.ts";
import { redisConfigMap } from "../../desired/redis/settings.ts";
import { madeClaim, redisStatefulSet } from "../../desired/redis/stateful-set.ts";
import { isUsablePassword, planUsers, usersOf, usersSecret } from "../../desired/redis/users.ts";
import { compare } from "../../plan/compare.ts";
import type { KubeObject } from "../../plan/object.ts";
import { rendered, renderedDigest } from "../../plan/rendered.ts";
import type { RedisSeen } from "../../status/redis.ts";
import { ensureSecret, newToken } from "../generated-secrets.ts";
import { KINDS } from "../kinds.ts";
import type { DeploymentObject } from "../views.ts";
import { liveDeployment, type PendingRollout } from "./deployment.ts";
import { reconcileVolume } from "./redis-volume.ts";
import type { FleetWork } from "./work.ts";

export type RedisFound = { readonly seen: RedisSeen; readonly pendingRollout?: PendingRollout };

const REDIS = { component: "redis" } as const;
/** How often a rollout that still needs the broker is looked at. */
const LEAVING_MS = 15_000;

/** Rejects with `KubeError`. */
export async function reconcileManaged(work: FleetWork): Promise<RedisFound> {
  const { cluster, deps } = work;
  const { context } = deps;
  const served = await passwordOf(work);
  if (typeof served !== "string") return { seen: served };
  await work.child(KINDS.Service, redisHeadlessService(cluster, context), REDIS);
  await work.child(KINDS.Service, redisService(cluster, context), REDIS);
  await work.child(KINDS.NetworkPolicy, redisPolicy(cluster, context), REDIS);
  const pendingRollout = await reconcileSet(work);
  await work.child(KINDS.Secret, connectionSecret(cluster, context, managedConnection(cluster, served)));
  const seen = (await reconcileVolume(work)) ?? readiness(work);
  return { seen, ...(pendingRollout ? { pendingRollout } : {}) };
}

/**
 * What the spec does not ask for any more, once no server needs it. The volume stays, with all that is in it, and so do the
 * Secrets with the password. Rejects with `KubeError`.
 */
export async function removeManaged(work: FleetWork): Promise<void> {
  const { redis, redisHeadless } = childNames(work.cluster.metadata.name);
  if (!work.ours(KINDS.StatefulSet, redis)) return;
  if (!isRolledOut(work)) return work.again(LEAVING_MS);
  for (const [kind, name] of [
    [KINDS.Service, redis],
    [KINDS.Service, redisHeadless],
    [KINDS.NetworkPolicy, redis],
    [KINDS.ConfigMap, redis],
  ] as const)
    await work.remove(kind, name);
  await work.remove(KINDS.StatefulSet, redis); // last: as long as it is there, the rest is looked for
}

/** The password servers are given now, after Redis was told; or why there is none. */
async function passwordOf(work: FleetWork): Promise<string | RedisSeen> {
  const { cluster, deps, notes } = work;
  const { redisAuth, redisUsers } = childNames(cluster.metadata.name);
  const make = () => ({ password: newToken() });
  const ensured = await ensureSecret(work.secretHead(redisAuth, "redis"), make, { ...deps, manager: MANAGER });
  if (!ensured.ok) {
    notes.conflict ??= ensured.message;
    return { kind: "refused", reason: "NameConflict", message: ensured.message };
  }
  const wanted = Buffer.from(ensured.secret.data?.password ?? "", "base64").toString();
  if (!isUsablePassword(wanted)) {
    const message = `Secret ${redisAuth}, key password must be 1 to 512 characters of ASCII without spaces, quotes and backslashes`;
    return { kind: "refused", reason: "InvalidSpec", message };
  }
  const { users, served, againMs } = planUsers(usersOf(work.ours(KINDS.Secret, redisUsers)), wanted, deps.wallMs());
  await work.child(KINDS.Secret, usersSecret(cluster, deps.context, users), REDIS);
  if (againMs !== undefined) work.again(againMs);
  return served;
}

/** Settings and StatefulSet, which belong together; held when only this operator's version renders them differently. */
async function reconcileSet(work: FleetWork): Promise<PendingRollout | undefined> {
  const { cluster, deps } = work;
  const live = work.ours(KINDS.StatefulSet, childNames(cluster.metadata.name).redis);
  const desired = redisStatefulSet(cluster, deps.context, live && madeClaim(live));
  const pending = live && pendingUpgrade(cluster, desired, live);
  if (pending) return pending;
  await work.child(KINDS.ConfigMap, redisConfigMap(cluster, deps.context), REDIS);
  await work.child(KINDS.StatefulSet, desired, REDIS);
  return undefined;
}

function pendingUpgrade(cluster: NexusCluster, desired: KubeObject, live: KubeObject): PendingRollout | undefined {
  const { object, digest } = rendered(desired, "metadata");
  const inputs = (of: KubeObject) => of.metadata.annotations?.[INPUTS_ANNOTATION];
  const { upgrades, approve } = cluster.spec.rollout;
  if (inputs(live) !== inputs(desired) || renderedDigest(live, "metadata") === digest) return undefined;
  if (upgrades === "Automatic" || approve === digest) return undefined;
  const fields = compare(object, live, MANAGER).differences.map(({ path }) => path);
  return { digest, reason: "this operator renders the managed Redis differently from the same spec", fields: fields.slice(0, 16) };
}

type SetStatus = { readonly status?: { readonly readyReplicas?: number } };

function readiness(work: FleetWork): RedisSeen {
  const { redis } = childNames(work.cluster.metadata.name);
  const live: (KubeObject & SetStatus) | undefined = work.ours(KINDS.StatefulSet, redis);
  const isReady = (live?.status?.readyReplicas ?? 0) > 0;
  return isReady ? { kind: "wired" } : { kind: "wired", starting: `StatefulSet ${redis}: 0/1 ready` };
}

/** Every pod is of the template that the spec asks for now: none of them was started to use what goes. */
function isRolledOut(work: FleetWork): boolean {
  const live = liveDeployment(work);
  if (!live) return true;
  const wanted: { readonly annotations?: Readonly<Record<string, string>> } = podTemplate(work.cluster, work.deps.context).metadata;
  if (live.spec.template?.metadata?.annotations?.[INPUTS_ANNOTATION] !== wanted.annotations?.[INPUTS_ANNOTATION]) return false;
  const status: DeploymentObject["status"] & { readonly updatedReplicas?: number } = live.status ?? {};
  const { replicas = 0, updatedReplicas = 0, observedGeneration = 0 } = status;
  return observedGeneration >= (live.metadata.generation ?? 0) && updatedReplicas === replicas;
}
