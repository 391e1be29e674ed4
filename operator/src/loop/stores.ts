// Why: everything the loop knows of the API server without asking: one store per kind, and what is kept of each object.
// It must never be read before every store has synced: absence means nothing until then.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { clusterKeyOf, namespaceOf, tenantKeyOf, type World } from "../desired/acceptance.ts";
import { templateIdKey, tenantIdKey } from "../desired/world.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";
import type { Store } from "./ports.ts";

/** A server pod, as much of it as the loop uses. `cluster` is `namespace/name`, empty without our label. */
export type ServerPod = {
  readonly uid: string;
  readonly name: string;
  readonly cluster: string;
  readonly address: string;
  readonly ready: boolean;
  readonly restarts: number;
};

/** A Secret without its content: that is read with a GET when it is needed. */
export type SecretMeta = KubeObject;

export const CHILD_KINDS = ["Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"] as const;
export type ChildKind = (typeof CHILD_KINDS)[number];

export type Stores = {
  readonly NexusCluster: Store<NexusCluster>;
  readonly Tenant: Store<Tenant>;
  readonly Template: Store<Template>;
  readonly Namespace: Store<KubeObject>;
  readonly Pod: Store<ServerPod>;
  /** Those labelled `nexus.dev/watch: "true"`. */
  readonly Secret: Store<SecretMeta>;
} & { readonly [kind in ChildKind]: Store<Manifest> };

type Indexers<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

/** Indexes the loop asks for, per kind. */
export const INDEXERS = {
  Tenant: {
    cluster: (tenant) => [clusterKeyOf(tenant)],
    id: (tenant) => [tenantIdKey(tenant)],
    namespace: (tenant) => [namespaceOf(tenant)],
  } satisfies Indexers<Tenant>,
  Template: {
    tenant: (template) => [tenantKeyOf(template)],
    id: (template) => [templateIdKey(template)],
    namespace: (template) => [namespaceOf(template)],
  } satisfies Indexers<Template>,
  Pod: { cluster: (pod) => [pod.cluster] } satisfies Indexers<ServerPod>,
  Secret: { owner: (secret) => (secret.metadata.ownerReferences ?? []).map(({ uid }) => uid) } satisfies Indexers<SecretMeta>,
} as const;

/** The lookups of acceptance, over the stores as they are now. */
export const worldOfStores = (stores: Stores): World => ({
  cluster: (key) => stores.NexusCluster.get(key),
  tenant: (key) => stores.Tenant.get(key),
  tenantsWithId: (cluster, id) => stores.Tenant.byIndex("id", `${cluster}\n${id}`),
  templatesWithId: (tenant, id) => stores.Template.byIndex("id", `${tenant}\n${id}`),
  namespaceLabels: (namespace) => {
    const found = stores.Namespace.get(namespace);
    return found && (found.metadata.labels ?? {});
  },
});

type PodObject = KubeObject & {
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
};

/** What is kept of a pod; one that is being deleted counts as not ready. */
export function serverPod(object: KubeObject): ServerPod {
  const { metadata, status } = object as PodObject; // every field below is optional in its type
  const instance = metadata.labels?.["app.kubernetes.io/instance"];
  const isReady = status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
  return {
    uid: metadata.uid ?? "",
    name: metadata.name,
    cluster: instance === undefined ? "" : `${metadata.namespace ?? "default"}/${instance}`,
    address: status?.podIP ?? "",
    ready: isReady && metadata.deletionTimestamp === undefined,
    restarts: (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0),
  };
}

/** A Secret's metadata alone. */
export function secretMeta({ apiVersion = "v1", kind = "Secret", metadata }: KubeObject): SecretMeta {
  const { managedFields: _, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept };
}
