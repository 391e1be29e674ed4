// Why: everything the operator would make of a set of files: fleets, API keys, boot copies, in one order, without a byte of any
// secret in it. Same files, same bytes.
import { keyOfObject, namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { apiKeySecretName, childLabels, childNames, ownedBy, tenantLabels } from "@nexus/operator/desired/names.ts";
import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { type Accepted, acceptAll } from "@nexus/operator/desired/world.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";
import { BOOT_SECRET_KEY, bucketOf, CLUSTER_ENTRY_ID, templateEntryId } from "@nexus/protocol/bundle.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Resource, ResourceOf } from "@nexus/protocol/resources/schema.ts";
import { renderFleet } from "./fleet.ts";

/** What stands where a Secret's content would be. */
export const NOT_SHOWN = "<made by the operator>";

export type Rendered = {
  readonly objects: readonly Manifest[];
  /** What is missing from the objects and why; sentences. */
  readonly notes: readonly string[];
};

/** The namespace of every resource is set. */
export async function renderObjects(resources: readonly Resource[], context: RenderContext): Promise<Rendered> {
  const kind = <K extends Resource["kind"]>(name: K) => resources.filter((one): one is ResourceOf<K> => one.kind === name);
  const clusters = kind("NexusCluster");
  const accepted = acceptAll({ clusters, tenants: kind("Tenant"), templates: kind("Template") });
  const notes = accepted.refused.map(({ kind: kindName, key, message }) => `${kindName} ${key}: ${message}`);
  const objects: Manifest[] = [];
  for (const cluster of clusters) {
    const fleet = await renderFleet(cluster, context);
    notes.push(...fleet.waitsFor.map((why) => `NexusCluster ${keyOfObject(cluster)}: ${why}`));
    objects.push(...fleet.objects.map(({ object }) => withoutSecrets(object)), ...bootSecrets(cluster, accepted, context));
  }
  objects.push(...keySecrets(kind("Tenant"), context));
  return { objects: objects.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)), notes };
}

const sortKey = ({ kind, metadata }: Manifest): string => `${metadata.namespace ?? ""}\n${kind}\n${metadata.name}`;

/** The object with placeholders where a Secret has content. */
function withoutSecrets(object: Manifest): Manifest {
  if (object.kind !== "Secret") return object;
  const { data, stringData, ...rest } = object;
  const keys = [data, stringData].flatMap((map) => (typeof map === "object" && map !== null ? Object.keys(map) : []));
  return { ...rest, stringData: Object.fromEntries(keys.sort().map((key) => [key, NOT_SHOWN])) };
}

function keySecrets(tenants: readonly ResourceOf<"Tenant">[], { operatorId }: RenderContext): Manifest[] {
  return tenants.flatMap((tenant) =>
    (tenant.spec.auth.apiKeys ?? [])
      .filter(({ secretRef }) => secretRef === undefined)
      .map((key) =>
        secret(apiKeySecretName(tenant.metadata.name, key.name), namespaceOf(tenant), {
          labels: tenantLabels(tenant.metadata.name, operatorId),
          ownerReferences: ownedBy(tenant),
          content: "key",
        }),
      ),
  );
}

/** The Secrets that would hold something: an entry's bucket follows from its id alone. */
function bootSecrets(cluster: NexusCluster, accepted: Accepted, { operatorId }: RenderContext): Manifest[] {
  const tenants = accepted.tenants.filter((one) => keyOfObject(one.cluster) === keyOfObject(cluster));
  const templates = accepted.templates.filter((one) => keyOfObject(one.owner.cluster) === keyOfObject(cluster));
  const ids = [
    CLUSTER_ENTRY_ID,
    ...tenants.map(({ tenantId }) => tenantId),
    ...templates.map(({ owner, templateId }) => templateEntryId(owner.tenantId, templateId)),
  ];
  const buckets = [...new Set(ids.map(bucketOf))].sort((a, b) => a - b);
  return buckets.map((index) =>
    secret(childNames(cluster.metadata.name).boot(index), namespaceOf(cluster), {
      labels: childLabels(cluster.metadata.name, "server", operatorId),
      ownerReferences: ownedBy(cluster),
      content: BOOT_SECRET_KEY,
    }),
  );
}

type SecretParts = {
  readonly labels: Record<string, string>;
  readonly ownerReferences: ReturnType<typeof ownedBy>;
  readonly content: string;
};

const secret = (name: string, namespace: string, { labels, ownerReferences, content }: SecretParts): Manifest => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace, labels, ownerReferences },
  type: "Opaque",
  stringData: { [content]: NOT_SHOWN },
});
