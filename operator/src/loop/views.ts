// Why: everything the loop knows of the cluster, as stores that watches keep current, and the look-ups over them. They lag:
// every pass must be right with any older state. It must never be asked before every store has its first list.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { World } from "../desired/acceptance.ts";
import type { KubeObject } from "../plan/object.ts";
import type { Kind } from "./kinds.ts";
import type { Store } from "./ports.ts";
import type { SecretObject } from "./secret-source.ts";
import type { TemplateIndex } from "./template-index.ts";

export type DeploymentObject = KubeObject & {
  readonly spec: {
    readonly replicas?: number;
    readonly paused?: boolean;
    readonly template?: {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec?: { readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName?: string } }[] };
    };
  };
  readonly status?: {
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly observedGeneration?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
};

export type PodObject = KubeObject & {
  readonly status?: {
    readonly podIP?: string;
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount?: number }[];
  };
};

export type Views = {
  readonly clusters: Store<NexusCluster>;
  /** Indexes: `cluster` (clusterRef), `id` (see `tenantIdKey`), `secret` (`namespace/name` of each Secret it names). */
  readonly tenants: Store<Tenant>;
  /** Without their content. Indexes: `tenant` (tenantRef), `id` (see `templateIdKey`). */
  readonly templates: Store<TemplateIndex>;
  readonly namespaces: Store<KubeObject>;
  readonly deployments: Store<DeploymentObject>;
  /** What we made of any of `CHILD_KINDS` or `OPTIONAL_KINDS`; empty for an optional kind that is not served. */
  readonly children: (kind: Kind) => Store<KubeObject>;
  /** Index: `cluster` (namespace and instance label). */
  readonly pods: Store<PodObject>;
  /** Secrets we made; those of the boot copy without data. Indexes: `tenant` (namespace and name of the Tenant), `cluster`. */
  readonly ownSecrets: Store<SecretObject>;
  /** Secrets that users labelled for us. */
  readonly watchedSecrets: Store<SecretObject>;
};

export const worldOf = (views: Views): World => ({
  cluster: (key) => views.clusters.get(key),
  tenant: (key) => views.tenants.get(key),
  tenantsWithId: (cluster, id) => views.tenants.byIndex("id", `${cluster}\n${id}`),
  templatesWithId: (tenant, id) => views.templates.byIndex("id", `${tenant}\n${id}`),
  namespaceLabels: (namespace) => views.namespaces.get(namespace)?.metadata.labels,
});

export const isPodReady = (pod: PodObject): boolean =>
  pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
/** Of a fleet's pods, those that serve; its broker's have the same instance. */
export const isServerPod = (pod: PodObject): boolean => pod.metadata.labels?.["app.kubernetes.io/component"] === "server";
export const isPodEnded = (status: PodObject["status"]): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";
/** Pods that are there to stay: they have an address, and are neither ending nor ended. */
export const isPodLive = (pod: PodObject): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status?.podIP !== undefined &&
  pod.status.phase !== "Succeeded" &&
  pod.status.phase !== "Failed";
