// Why: the Secret of a key that was taken out of a spec must not lie about for somebody to find. It must never delete what
// somebody else made under such a name, nor anything but generated keys.
import type { KubeObject } from "../plan/object.ts";
import { foreignReason, type Identity } from "../plan/ownership.ts";
import { KINDS } from "./kinds.ts";
import { isConflict } from "./kube-error.ts";
import type { KubeApi } from "./ports.ts";
import type { SecretSource } from "./secret-source.ts";

export type OrphanKeys = {
  /** Secrets of ours, from a store; only those in question are touched. */
  readonly stored: readonly KubeObject[];
  readonly namespace: string;
  /** What names of generated keys begin with. */
  readonly prefix: string;
  readonly wanted: ReadonlySet<string>;
  /** With the owner's uid: a Secret without this very owner stays. */
  readonly identity: Identity & { readonly ownerUid: string };
};

/** Names of Secrets that are ours, hold a generated key, and stand for none that is asked for. Pure. */
export const orphanKeys = ({ stored, namespace, prefix, wanted, identity }: OrphanKeys): readonly KubeObject[] =>
  stored.filter(({ metadata }) => {
    if (metadata.namespace !== namespace || !metadata.name.startsWith(prefix) || wanted.has(metadata.name)) return false;
    const isOwned = metadata.ownerReferences?.some((owner) => owner.controller && owner.uid === identity.ownerUid) ?? false;
    return isOwned && metadata.deletionTimestamp === undefined && foreignReason({ ...NOTHING, metadata }, identity) === undefined;
  });

const NOTHING = { apiVersion: "v1", kind: "Secret" } as const;

/** Deletes them; answers their names. One that was made anew meanwhile stays. Rejects with `KubeError`. */
export async function removeOrphanKeys(
  orphans: OrphanKeys,
  { api, secrets }: { readonly api: Pick<KubeApi, "delete">; readonly secrets: Pick<SecretSource, "invalidate"> },
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const { metadata } of orphanKeys(orphans)) {
    const { namespace = "", name, uid } = metadata;
    try {
      await api.delete({ kind: KINDS.Secret, namespace, name }, uid === undefined ? {} : { uid });
    } catch (error) {
      if (!isConflict(error)) throw error;
      continue;
    }
    secrets.invalidate(`${namespace}/${name}`);
    removed.push(name);
  }
  return removed;
}
