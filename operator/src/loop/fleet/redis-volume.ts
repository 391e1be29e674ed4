// Why: a volume grows where it is: the claim of a StatefulSet cannot be edited, the claim it made can. It must never ask for
// less than there is, and never hide that a wish cannot be met.
import { MANAGER, selectorLabels } from "../../desired/names.ts";
import { bytesOf, managedOf } from "../../desired/redis/settings.ts";
import { claimName } from "../../desired/redis/stateful-set.ts";
import type { KubeObject } from "../../plan/object.ts";
import type { RedisSeen } from "../../status/redis.ts";
import { KINDS } from "../kinds.ts";
import { KubeError } from "../kube-error.ts";
import type { FleetWork } from "./work.ts";

type Claim = KubeObject & {
  readonly spec?: { readonly storageClassName?: string; readonly resources?: { readonly requests?: { readonly storage?: string } } };
  readonly status?: { readonly phase?: string };
};

const SIZE = "spec.redis.managed.storage.size";

/** What stands against the volume that the spec asks for; undefined: nothing. Rejects with `KubeError`. */
export async function reconcileVolume(work: FleetWork): Promise<RedisSeen | undefined> {
  const claim = claimOf(work);
  if (!claim) return undefined; // not made yet
  const { name } = claim.metadata;
  const { size, storageClassName } = managedOf(work.cluster).storage;
  if (claim.status?.phase === "Pending") return { kind: "wired", starting: `PersistentVolumeClaim ${name} is Pending` };
  const has = claim.spec?.resources?.requests?.storage ?? "0";
  const className = claim.spec?.storageClassName;
  if (storageClassName !== undefined && storageClassName !== className) {
    const message = `spec.redis.managed.storage.storageClassName: volume ${name} keeps its class ${className ?? "(none)"}`;
    return { kind: "refused", reason: "VolumeNotResized", message };
  }
  if (bytesOf(size) < bytesOf(has))
    return { kind: "refused", reason: "VolumeNotResized", message: `${SIZE}: volume ${name} has ${has}, and volumes do not shrink` };
  return bytesOf(size) > bytesOf(has) ? await grow(work, claim, size) : undefined;
}

async function grow(work: FleetWork, claim: Claim, size: string | number): Promise<RedisSeen | undefined> {
  const { deps, namespace } = work;
  const { name } = claim.metadata;
  const patch = { spec: { resources: { requests: { storage: size } } } };
  try {
    const grown = await deps.api.mergePatch({ kind: KINDS.PersistentVolumeClaim, namespace, name }, patch, { manager: MANAGER });
    deps.newest.put(grown);
    return undefined;
  } catch (error) {
    // What an admission says: the class does not allow it, a quota is reached.
    if (!(error instanceof KubeError) || (error.status !== 403 && error.status !== 422)) throw error;
    const message = `${SIZE}: volume ${name} cannot grow: ${error.message}`;
    work.warn("VolumeNotResized", message);
    return { kind: "refused", reason: "VolumeNotResized", message };
  }
}

/** Made by the controller of StatefulSets, with labels of ours and no owner: it is found by both names and labels. */
function claimOf({ cluster, namespace, deps }: FleetWork): Claim | undefined {
  const { name } = cluster.metadata;
  const ref: KubeObject = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { namespace, name: claimName(name) } };
  const live = deps.newest.get(deps.views.children(KINDS.PersistentVolumeClaim), ref);
  const isOurs = Object.entries(selectorLabels(name, "redis")).every(([label, value]) => live?.metadata.labels?.[label] === value);
  return isOurs ? live : undefined;
}
