// Why: the broker of a fleet: servers are told where it is, and what the spec names must be there. It must never take a
// connection away that servers use: what cannot be read now stays as it was, and the status says so.

import { childNames } from "../../desired/names.ts";
import { connectionSecret, type External, externalConnection, secretsOf } from "../../desired/redis/connection.ts";
import type { RedisSeen } from "../../status/redis.ts";
import { KINDS } from "../kinds.ts";
import { type RedisFound, reconcileManaged, removeManaged } from "./redis-managed.ts";
import type { FleetWork } from "./work.ts";

/** A Secret that nobody watches is looked for again after so long. */
const MISSING_MS = 10_000;

/** Brings the broker's objects about and says what is known of it. Rejects with `KubeError`. */
export async function reconcileRedis(work: FleetWork): Promise<RedisFound> {
  const { mode, external } = work.cluster.spec.redis;
  if (mode === "Managed") return await reconcileManaged(work);
  const seen = mode === "External" && external ? await connectExternal(work, external) : await disconnect(work);
  await removeManaged(work);
  return { seen };
}

async function connectExternal(work: FleetWork, external: External): Promise<RedisSeen> {
  const { cluster, namespace, deps } = work;
  const names = secretsOf(external);
  const doubt = () => {
    for (const name of names) deps.secrets.doubt(`${namespace}/${name}`);
  };
  if (isRefusing(cluster)) doubt();
  await deps.secrets.load(names.map((name) => [namespace, name] as const));
  const found = externalConnection(external, namespace, deps.secrets.read);
  if (found.kind === "wrong") return { kind: "refused", reason: "InvalidSpec", message: found.why };
  if (found.kind === "missing") {
    doubt();
    work.again(MISSING_MS);
    return { kind: "refused", reason: "SecretNotFound", message: `missing: ${found.missing.join("; ")}` };
  }
  await work.child(KINDS.Secret, connectionSecret(cluster, deps.context, found.connection));
  return { kind: "wired" };
}

/** Servers do not reach it: the password may be what is wrong, and what somebody is mending. */
const isRefusing = ({ status }: FleetWork["cluster"]): boolean =>
  status?.conditions?.some(({ type, reason }) => type === "RedisReady" && reason === "RedisUnavailable") ?? false;

/** Credentials of a broker that is not used any more are not kept. */
async function disconnect(work: FleetWork): Promise<RedisSeen> {
  const { cluster, deps } = work;
  if (work.ours(KINDS.Secret, childNames(cluster.metadata.name).redisConnection))
    await work.child(KINDS.Secret, connectionSecret(cluster, deps.context, undefined));
  return { kind: "notRequested" };
}
