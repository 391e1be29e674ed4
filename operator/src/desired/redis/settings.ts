// Why: how a managed Redis is set up: everything it acknowledged survives its process, nothing is evicted, and memory is
// refused before the kernel takes it away. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { parseQuantity } from "@nexus/protocol/resources/quantity.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import { LIVE_SCRIPT, PATHS, READY_SCRIPT, START_SCRIPT, USERS_KEYS } from "./scripts.ts";

export const REDIS_PORT = 6379;
const BILLION = 1_000_000_000n;

export type Managed = NonNullable<NexusCluster["spec"]["redis"]["managed"]>;

/** The defaults of the schema, for `mode: Managed` without `managed`. */
const DEFAULTS: Managed = { memory: "256Mi", storage: { size: "1Gi" } };
export const managedOf = ({ spec }: NexusCluster): Managed => spec.redis.managed ?? DEFAULTS;

/** Whole bytes of a quantity, rounded down; 0 when it is none. */
export const bytesOf = (quantity: string | number): bigint => (parseQuantity(quantity) ?? 0n) / BILLION;

/** The rest is for buffers, and for pages that change while the file is rewritten. */
const maxMemoryBytes = (memory: string | number): bigint => (bytesOf(memory) * 3n) / 4n;

const redisConf = ({ memory }: Managed): string =>
  [
    `port ${REDIS_PORT}`,
    "bind * -::*",
    "protected-mode no", // every user has a password, see the file below
    `aclfile ${PATHS.users}/${USERS_KEYS.acl}`,
    `dir ${PATHS.data}`,
    "appendonly yes",
    "appendfsync always", // everysec holds a write back for up to 2 s while the disk is busy: a kill then takes what was acknowledged
    'save ""',
    `maxmemory ${maxMemoryBytes(memory)}`,
    "maxmemory-policy noeviction",
    "tcp-keepalive 60",
    "client-output-buffer-limit pubsub 64mb 16mb 60",
    "",
  ].join("\n");

/** Settings and scripts; nothing secret. */
export const redisConfigMap = (cluster: NexusCluster, context: { readonly operatorId: string }) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).redis, context, { component: "redis" }),
  data: {
    "redis.conf": redisConf(managedOf(cluster)),
    "start.sh": START_SCRIPT,
    "ready.sh": READY_SCRIPT,
    "live.sh": LIVE_SCRIPT,
  },
});
