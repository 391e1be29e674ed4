// Why: how servers reach a managed Redis, and that nobody else does. Pure.

import type { RedisConnection } from "@nexus/protocol/redis-connection.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames, selectorLabels } from "../names.ts";
import { componentPods, networkPolicy } from "../network/policy.ts";
import { REDIS_PORT } from "./settings.ts";

type Context = { readonly operatorId: string };

const PORT = { name: "redis", port: REDIS_PORT, targetPort: "redis", protocol: "TCP" };

const aService = (cluster: NexusCluster, context: Context, { name, ...spec }: { readonly name: string; readonly clusterIP?: "None" }) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: childMetadata(cluster, name, context, { component: "redis" }),
  spec: { ...spec, type: "ClusterIP", selector: selectorLabels(cluster.metadata.name, "redis"), ports: [PORT] },
});

/** Its address stays when the pod is another one: servers connect again without asking for a name first. */
export const redisService = (cluster: NexusCluster, context: Context) =>
  aService(cluster, context, { name: childNames(cluster.metadata.name).redis });

/** What a StatefulSet names its pods by. */
export const redisHeadlessService = (cluster: NexusCluster, context: Context) =>
  aService(cluster, context, { name: childNames(cluster.metadata.name).redisHeadless, clusterIP: "None" });

/** Servers of this cluster, and nobody else. */
export const redisPolicy = (cluster: NexusCluster, context: Context) =>
  networkPolicy(cluster, context, {
    name: childNames(cluster.metadata.name).redis,
    component: "redis",
    rules: [{ ports: [REDIS_PORT], from: [componentPods(cluster, "server")] }],
  });

/** How servers reach it. */
export const managedConnection = (cluster: NexusCluster, password: string): RedisConnection => ({
  topology: "standalone",
  addresses: [`${childNames(cluster.metadata.name).redis}.${cluster.metadata.namespace ?? "default"}.svc:${REDIS_PORT}`],
  database: 0,
  password,
});
