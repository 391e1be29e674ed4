// Why: the address of the database that keeps inboxes, copied from the user's Secret into the one that pods mount. It must
// never take an address away that servers use.
import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import { childNames } from "../../desired/names.ts";
import { postgresSecret } from "../../desired/pods/storage.ts";
import { KINDS } from "../kinds.ts";
import type { FleetWork } from "./work.ts";

const MISSING_MS = 10_000;

/** Why inboxes cannot be kept where the spec says; undefined: nothing stands against it. Rejects with `KubeError`. */
export async function reconcileStorage(work: FleetWork): Promise<Refused | undefined> {
  const { cluster, namespace, deps } = work;
  const { inbox, postgres } = cluster.spec.storage;
  if (inbox !== "Postgres" || !postgres) {
    if (work.ours(KINDS.Secret, childNames(cluster.metadata.name).postgresConnection))
      await work.child(KINDS.Secret, postgresSecret(cluster, deps.context, undefined));
    return undefined;
  }
  if (cluster.spec.redis.mode === "None")
    return { reason: "InvalidSpec", message: 'spec.storage.inbox: Postgres needs a redis.mode other than "None" for everything else' };
  const { name, key } = postgres.urlSecretRef;
  const url = (await deps.secrets.get(namespace, name))?.data?.[key];
  if (!url) {
    deps.secrets.doubt(`${namespace}/${name}`);
    work.again(MISSING_MS);
    return { reason: "SecretNotFound", message: `missing: Secret ${name}, key ${key}` };
  }
  await work.child(KINDS.Secret, postgresSecret(cluster, deps.context, url));
  return undefined;
}
