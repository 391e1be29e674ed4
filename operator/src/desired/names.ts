// Why: names and labels of children are API: scripts, dashboards and selectors depend on them for ever. Pure.
import { bucketName } from "@nexus/protocol/bundle.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";

/** Field managers: one for objects and one for the pod template, so that an upgrade of the operator can hold the latter. */
export const MANAGER = "nexus-operator";
export const PODS_MANAGER = "nexus-operator-pods";

export const OPERATOR_ID_LABEL = "nexus.dev/operator-id";
export const INPUTS_ANNOTATION = "nexus.dev/inputs";
export const BUCKET_ANNOTATION = "nexus.dev/bucket-digest";
/** On boot Secrets: SHA-256 of their data, for whoever wants to believe them without reading each entry. */
export const CHECKSUM_ANNOTATION = "nexus.dev/data-sha256";
/** On boot Secrets: where their entries were seen; see `loop/watch-scope.ts`. */
export const SCOPE_ANNOTATION = "nexus.dev/watch-scope";
/** On boot Secrets: `COMPILER_REVISION` of the operator that made their entries. */
export const COMPILER_ANNOTATION = "nexus.dev/compiler";
/** On generated keys: the Tenant they belong to. */
export const TENANT_LABEL = "nexus.dev/tenant";
/** On ConfigMaps with dashboards: what Grafana's sidecar looks for. */
export const DASHBOARD_LABEL = "grafana_dashboard";
export const ROTATION_ANNOTATION = "nexus.dev/rotation";

export const childNames = (cluster: string) => ({
  server: `${cluster}-server`,
  adminCa: `${cluster}-admin-ca`,
  adminTls: `${cluster}-admin-tls`,
  adminToken: `${cluster}-admin-token`,
  boot: (index: number) => `${cluster}-boot-${bucketName(index)}`,
  platformKey: (name: string) => `${cluster}-platformkey-${name}`,
  redis: `${cluster}-redis`,
  redisHeadless: `${cluster}-redis-headless`,
  redisAuth: `${cluster}-redis-auth`,
  redisUsers: `${cluster}-redis-users`,
  redisConnection: `${cluster}-redis-connection`,
  postgresConnection: `${cluster}-postgres-connection`,
  listenerTls: `${cluster}-listener-tls`,
  dashboards: `${cluster}-dashboards`,
});

export const apiKeySecretName = (tenant: string, key: string): string => `${tenant}-apikey-${key}`;

export type Component = "server" | "redis";

/** What selectors use, for ever. */
export const selectorLabels = (cluster: string, component: Component) => ({
  "app.kubernetes.io/name": "nexus",
  "app.kubernetes.io/instance": cluster,
  "app.kubernetes.io/component": component,
});

export const MANAGED_BY = { "app.kubernetes.io/managed-by": "nexus-operator" } as const;

/** Labels of every child. */
export const childLabels = (cluster: string, component: Component, operatorId: string): Record<string, string> => ({
  ...selectorLabels(cluster, component),
  "app.kubernetes.io/part-of": "nexus",
  ...MANAGED_BY,
  [OPERATOR_ID_LABEL]: operatorId,
});

/** Labels of a Secret that belongs to a Tenant. */
export const tenantLabels = (tenant: string, operatorId: string): Record<string, string> => ({
  "app.kubernetes.io/name": "nexus",
  "app.kubernetes.io/part-of": "nexus",
  ...MANAGED_BY,
  [OPERATOR_ID_LABEL]: operatorId,
  [TENANT_LABEL]: tenant,
});

/** The controlling owner of a child; garbage collection follows it. */
export const ownedBy = (owner: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid?: string };
}) => [
  {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: false, // needs no right on the owner's finalizers, and we want deletion never to wait
  },
];

/** `namespace/name`, as in `NEXUS_CLUSTER` and in the queue. */
export const clusterKey = (cluster: NexusCluster): string => `${cluster.metadata.namespace ?? "default"}/${cluster.metadata.name}`;
