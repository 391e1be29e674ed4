// Why: which Secrets an object reads, and the generated keys of Tenants and clusters: made, rotated, and deleted when the spec
// names them no more. It must never delete a Secret that is not ours.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { namespaceOf } from "../desired/acceptance.ts";
import { apiKeySecretName, childLabels, childNames, ownedBy, tenantLabels } from "../desired/names.ts";
import type { Context } from "./context.ts";
import type { SecretPlace } from "./generated.ts";
import { KINDS } from "./kinds.ts";

/** Names of the Secrets an object's entry is made of, in its own namespace. */
export function secretsOf(object: NexusCluster | Tenant): ReadonlySet<string> {
  if (object.kind === "NexusCluster") {
    const { platformKey } = childNames(object.metadata.name);
    return new Set((object.spec.platformKeys ?? []).map((key) => key.secretRef?.name ?? platformKey(key.name)));
  }
  const { issuers = [], apiKeys = [] } = object.spec.auth;
  const named = issuers.flatMap((issuer) => issuer.secretRef?.name ?? issuer.publicKeySecretRef?.name ?? []);
  return new Set([...named, ...apiKeys.map((key) => key.secretRef?.name ?? apiKeySecretName(object.metadata.name, key.name))]);
}

/** The generated keys of a Tenant. Answers the words of a conflict with a foreign Secret. Rejects with `KubeError`. */
export async function apiKeySecrets(context: Context, tenant: Tenant): Promise<string | undefined> {
  const labels = tenantLabels(tenant.metadata.name, context.render.operatorId);
  const keys = (tenant.spec.auth.apiKeys ?? [])
    .filter((key) => key.secretRef === undefined)
    .map((key) => ({ name: apiKeySecretName(tenant.metadata.name, key.name), rotation: key.rotation }));
  return await ensureKeys(context, tenant, { labels, keys });
}

/** The generated platform keys of a cluster. Answers the words of a conflict. Rejects with `KubeError`. */
export async function platformKeySecrets(context: Context, cluster: NexusCluster): Promise<string | undefined> {
  const { platformKey } = childNames(cluster.metadata.name);
  const labels = childLabels(cluster.metadata.name, "server", context.render.operatorId);
  const keys = (cluster.spec.platformKeys ?? [])
    .filter((key) => key.secretRef === undefined)
    .map((key) => ({ name: platformKey(key.name), rotation: key.rotation }));
  return await ensureKeys(context, cluster, { labels, keys });
}

type Wanted = {
  readonly labels: Readonly<Record<string, string>>;
  readonly keys: readonly { readonly name: string; readonly rotation: number }[];
};

async function ensureKeys(context: Context, owner: NexusCluster | Tenant, { labels, keys }: Wanted): Promise<string | undefined> {
  const namespace = namespaceOf(owner);
  const identity = { ...(owner.metadata.uid ? { ownerUid: owner.metadata.uid } : {}), labels };
  let conflict: string | undefined;
  for (const { name, rotation } of keys) {
    const place: SecretPlace = { namespace, name, labels, owner: ownedBy(owner), identity };
    const ensured = await context.generated.apiKey(place, rotation);
    if (ensured.kind === "conflict") conflict ??= ensured.message;
  }
  await deleteUnnamed(context, owner, new Set(keys.map((key) => key.name)));
  return conflict;
}

/** Keys we made for this object that its spec does not name any more. */
async function deleteUnnamed({ stores, api, events }: Context, owner: NexusCluster | Tenant, wanted: ReadonlySet<string>): Promise<void> {
  const prefix = owner.kind === "Tenant" ? apiKeySecretName(owner.metadata.name, "") : childNames(owner.metadata.name).platformKey("");
  for (const { metadata } of stores.Secret.byIndex("owner", owner.metadata.uid ?? "")) {
    const { name, namespace = "default", uid, deletionTimestamp } = metadata;
    const isOurs = metadata.labels?.["app.kubernetes.io/managed-by"] === "nexus-operator";
    if (!isOurs || !name.startsWith(prefix) || wanted.has(name) || deletionTimestamp !== undefined) continue;
    const isGone = await api.delete({ kind: KINDS.Secret, namespace, name }, uid ? { uid } : {});
    if (isGone)
      events.record({ regarding: owner, type: "Normal", reason: "KeyRemoved", action: "Deleting", note: `deleted Secret ${name}` });
  }
}
