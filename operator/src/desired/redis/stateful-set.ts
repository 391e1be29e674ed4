// Why: the one pod of a managed Redis with its volume, fit for the Restricted profile. What cannot be changed in a StatefulSet
// (its volume's claim) is rendered as it was made: a volume grows by its own claim. Pure.
import { digestOf } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childLabels, childNames, INPUTS_ANNOTATION, selectorLabels } from "../names.ts";
import { readOnlyMount } from "../pods/parts.ts";
import { PATHS } from "./scripts.ts";
import { managedOf, REDIS_PORT, redisConfigMap } from "./settings.ts";

/** Released with the operator, for clusters that name none. */
export const REDIS_IMAGE = "docker.io/valkey/valkey:8.1.4";
const CONFIG_ANNOTATION = "nexus.dev/config";
const VOLUME = "data";
/** To write what is in memory and to say good-bye. */
const GRACE_SECONDS = 60;
const USER = 65532;

export type RedisContext = {
  readonly operatorId: string;
  /** Image of Redis or Valkey for clusters that name none; default {@link REDIS_IMAGE}. */
  readonly redisImage?: string;
};

/** What the volume was made with; it stays so for as long as the StatefulSet lives. */
export type Claim = { readonly size: string | number; readonly storageClassName?: string };

/** The claim that the controller of StatefulSets makes. */
export const claimName = (cluster: string): string => `${VOLUME}-${childNames(cluster).redis}-0`;

/** What of the user's reaches the pod: a change of it is a change the user asked for. */
const inputsOf = (cluster: NexusCluster) => {
  const { image, memory } = managedOf(cluster);
  return { image, memory, pullSecrets: cluster.spec.image.pullSecrets };
};

const script = (name: string) => ({ exec: { command: ["sh", `${PATHS.config}/${name}.sh`] }, timeoutSeconds: 5 });

const container = (cluster: NexusCluster, { redisImage = REDIS_IMAGE }: RedisContext) => {
  const { image = redisImage, memory } = managedOf(cluster);
  return {
    name: "redis",
    image,
    command: ["sh", `${PATHS.config}/start.sh`],
    ports: [{ name: "redis", containerPort: REDIS_PORT, protocol: "TCP" }],
    startupProbe: { ...script("live"), periodSeconds: 2, failureThreshold: 60 },
    livenessProbe: { ...script("live"), periodSeconds: 10, failureThreshold: 6 },
    readinessProbe: { ...script("ready"), periodSeconds: 5, failureThreshold: 2 },
    resources: { requests: { cpu: "100m", memory }, limits: { memory } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: VOLUME, mountPath: PATHS.data },
      { name: "run", mountPath: PATHS.run },
      readOnlyMount("config", PATHS.config),
      readOnlyMount("users", PATHS.users),
    ],
  };
};

const podSpec = (cluster: NexusCluster, context: RedisContext) => {
  const { redis, redisUsers } = childNames(cluster.metadata.name);
  const { pullSecrets } = cluster.spec.image;
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    ...(pullSecrets?.length ? { imagePullSecrets: pullSecrets } : {}),
    containers: [container(cluster, context)],
    volumes: [
      { name: "run", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      { name: "config", configMap: { name: redis } },
      { name: "users", secret: { secretName: redisUsers } },
    ],
  };
};

const claimTemplate = (cluster: NexusCluster, { operatorId }: RedisContext, { size, storageClassName }: Claim) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: VOLUME, labels: childLabels(cluster.metadata.name, "redis", operatorId) },
  spec: {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: size } },
    ...(storageClassName === undefined ? {} : { storageClassName }),
  },
});

/** `made`: the claim of the live StatefulSet; undefined: there is none yet, and the spec decides. */
export function redisStatefulSet(cluster: NexusCluster, context: RedisContext, made?: Claim) {
  const { redis, redisHeadless } = childNames(cluster.metadata.name);
  const { size, storageClassName } = managedOf(cluster).storage;
  const claim = made ?? { size, ...(storageClassName === undefined ? {} : { storageClassName }) };
  // Without the label our watch of pods goes by: it is about servers.
  const labels = { ...selectorLabels(cluster.metadata.name, "redis"), "app.kubernetes.io/part-of": "nexus" };
  const annotations = { [INPUTS_ANNOTATION]: digestOf(inputsOf(cluster)) };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: childMetadata(cluster, redis, context, { component: "redis", annotations }),
    spec: {
      replicas: 1,
      serviceName: redisHeadless,
      selector: { matchLabels: selectorLabels(cluster.metadata.name, "redis") },
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate" },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      revisionHistoryLimit: 5,
      template: {
        metadata: { labels, annotations: { [CONFIG_ANNOTATION]: digestOf(redisConfigMap(cluster, context).data) } },
        spec: podSpec(cluster, context),
      },
      volumeClaimTemplates: [claimTemplate(cluster, context, claim)],
    },
  };
}

type LiveSet = object & {
  readonly spec?: {
    readonly volumeClaimTemplates?: readonly {
      readonly spec?: {
        readonly storageClassName?: string;
        readonly resources?: { readonly requests?: { readonly storage?: string } };
      };
    }[];
  };
};

/** What a live StatefulSet's volume was made with. */
export function madeClaim(object: object): Claim | undefined {
  const live: LiveSet = object;
  const spec = live.spec?.volumeClaimTemplates?.[0]?.spec;
  const size = spec?.resources?.requests?.storage;
  if (size === undefined) return undefined;
  return { size, ...(spec?.storageClassName === undefined ? {} : { storageClassName: spec.storageClassName }) };
}
