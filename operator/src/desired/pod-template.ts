// Why: what a server pod looks like. Only image, pods.*, tls on or off, redis.mode, storage.inbox and delivery.drainSeconds may reach it,
// because everything else must take effect without a restart. Pure and deterministic: same input, same bytes.
import { BOOT_SECRET_KEY, BUCKET_COUNT, bucketName } from "@nexus/protocol/bundle.ts";
import { digestOf } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childLabels, childNames, clusterKey, INPUTS_ANNOTATION, selectorLabels } from "./names.ts";
import { listenerTlsParts, listenerTlsSecret } from "./pods/listener-tls.ts";
import { type PodParts, readOnlyMount } from "./pods/parts.ts";
import { redisParts } from "./pods/redis.ts";
import { storageParts } from "./pods/storage.ts";

export const PORTS = { http: 8081, ops: 9090, admin: 9091 } as const;
/** How long endpoints may take to propagate before a draining pod refuses upgrades, in seconds. */
export const PROPAGATION_SECONDS = 5;
const SPARE_SECONDS = 15;

export type RenderContext = {
  readonly operatorId: string;
  /** `repository:tag` of the servers released with this operator. */
  readonly defaultImage: string;
  /** Image of a managed Redis for clusters that name none; default: the one released with this operator. */
  readonly redisImage?: string;
  /** Where the runbooks are published; default: `RUNBOOK_BASE_URL`. */
  readonly runbookBaseURL?: string;
  /** Where the operator's own pods are, for NetworkPolicies; absent: it does not run in a pod. */
  readonly operatorPods?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
};

/** The image a cluster runs: the spec's parts over the released one. */
export function imageOf(cluster: NexusCluster, defaultImage: string): string {
  const { repository, tag, digest } = cluster.spec.image;
  const at = defaultImage.indexOf("@");
  const plain = at < 0 ? defaultImage : defaultImage.slice(0, at);
  const colon = plain.lastIndexOf(":");
  const hasTag = colon > plain.lastIndexOf("/");
  const name = repository ?? (hasTag ? plain.slice(0, colon) : plain);
  if (digest !== undefined) return `${name}@${digest}`;
  if (tag !== undefined) return `${name}:${tag}`;
  return repository === undefined ? defaultImage : `${name}${hasTag ? plain.slice(colon) : ":latest"}`;
}

/** Everything of the user's that reaches the pod template: a change of it is a change the user asked for. */
const inputsOf = ({ metadata, spec }: NexusCluster) => ({
  image: spec.image,
  pods: spec.pods,
  tls: listenerTlsSecret({ metadata, spec }) ?? false,
  redis: spec.redis.mode,
  ...(spec.storage.inbox === "Postgres" ? { inbox: spec.storage.inbox } : {}), // where inboxes are is chosen at the start
  drainSeconds: spec.delivery.drainSeconds,
});

const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
  httpGet: { path, port: "ops" },
  periodSeconds,
  failureThreshold,
  timeoutSeconds: 3,
});

function bootVolume(cluster: string) {
  const sources = Array.from({ length: BUCKET_COUNT }, (_, index) => ({
    secret: { name: childNames(cluster).boot(index), optional: true, items: [{ key: BOOT_SECRET_KEY, path: bucketName(index) }] },
  }));
  return { name: "boot", projected: { sources } };
}

function adminVolume(cluster: string) {
  const { adminTls, adminToken } = childNames(cluster);
  return {
    name: "admin",
    projected: {
      sources: [
        { secret: { name: adminTls, items: ["tls.crt", "tls.key"].map((key) => ({ key, path: key })) } },
        { secret: { name: adminToken, items: [{ key: "token", path: "token" }] } },
      ],
    },
  };
}

const spread = (cluster: string) =>
  ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: selectorLabels(cluster, "server") },
  }));

function container(cluster: NexusCluster, context: RenderContext, parts: readonly PodParts[]) {
  const { spec } = cluster;
  return {
    name: "server",
    image: imageOf(cluster, context.defaultImage),
    imagePullPolicy: spec.image.pullPolicy,
    args: ["server"],
    env: [
      { name: "NEXUS_CLUSTER", value: clusterKey(cluster) },
      { name: "NEXUS_NODE", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "NEXUS_BOOT_DIRECTORY", value: "/var/run/nexus/boot" },
      { name: "NEXUS_ADMIN_CERT_FILE", value: "/var/run/nexus/admin/tls.crt" },
      { name: "NEXUS_ADMIN_KEY_FILE", value: "/var/run/nexus/admin/tls.key" },
      { name: "NEXUS_ADMIN_TOKEN_FILE", value: "/var/run/nexus/admin/token" },
      ...parts.flatMap(({ env = [] }) => env),
      ...(spec.pods.env ?? []),
    ],
    ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: "TCP" })),
    startupProbe: probe("/live", 1, 60),
    livenessProbe: probe("/live", 10, 3),
    readinessProbe: probe("/ready", 2, 2),
    ...(spec.pods.resources ? { resources: spec.pods.resources } : {}),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      readOnlyMount("boot", "/var/run/nexus/boot"),
      readOnlyMount("admin", "/var/run/nexus/admin"),
      ...parts.flatMap(({ mounts = [] }) => mounts),
    ],
  };
}

/** Seconds Kubernetes waits for a pod that stops: endpoints propagate, sessions drain, and a reserve. */
export const graceSeconds = (cluster: NexusCluster): number => PROPAGATION_SECONDS + cluster.spec.delivery.drainSeconds + SPARE_SECONDS;

/** The pod template of a cluster's Deployment, with the digest of the user's inputs as an annotation. */
export function podTemplate(cluster: NexusCluster, context: RenderContext): { readonly metadata: object; readonly spec: object } {
  const { pods, image } = cluster.spec;
  const { name } = cluster.metadata;
  const parts = [redisParts(cluster), storageParts(cluster), listenerTlsParts(cluster)];
  return {
    metadata: {
      labels: { ...pods.labels, ...childLabels(name, "server", context.operatorId) },
      annotations: { ...pods.annotations, [INPUTS_ANNOTATION]: digestOf(inputsOf(cluster)) },
    },
    spec: {
      serviceAccountName: pods.serviceAccountName ?? childNames(name).server,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: graceSeconds(cluster),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        fsGroup: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      },
      ...(image.pullSecrets?.length ? { imagePullSecrets: image.pullSecrets } : {}),
      ...(pods.nodeSelector ? { nodeSelector: pods.nodeSelector } : {}),
      ...(pods.tolerations ? { tolerations: pods.tolerations } : {}),
      ...(pods.affinity ? { affinity: pods.affinity } : {}),
      ...(pods.priorityClassName ? { priorityClassName: pods.priorityClassName } : {}),
      topologySpreadConstraints: pods.topologySpreadConstraints ?? spread(name),
      containers: [container(cluster, context, parts)],
      volumes: [bootVolume(name), adminVolume(name), ...parts.flatMap(({ volumes = [] }) => volumes)],
    },
  };
}
