// Why: how a server pod finds its broker: one mounted document that is read again when it changes. What it says is no part of
// the pod template, so that nothing but redis.mode rolls pods. Pure.

import { REDIS_CONNECTION_KEY } from "@nexus/protocol/redis-connection.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames } from "../names.ts";
import { keyPrefix } from "../redis/connection.ts";
import { type PodParts, readOnlyMount } from "./parts.ts";

const FOLDER = "/var/run/nexus/redis";
const PREFIX = "NEXUS_REDIS_PREFIX";

/** Whoever brings keys of an installation run by hand says its prefix in `pods.env`. */
const hasOwnPrefix = ({ spec }: NexusCluster): boolean => spec.pods.env?.some(({ name }) => name === PREFIX) ?? false;

export function redisParts(cluster: NexusCluster): PodParts {
  if (cluster.spec.redis.mode === "None") return {};
  const secretName = childNames(cluster.metadata.name).redisConnection;
  return {
    env: [
      { name: "NEXUS_ENGINE", value: "redis" },
      { name: "NEXUS_REDIS_CONNECTION_FILE", value: `${FOLDER}/${REDIS_CONNECTION_KEY}` },
      ...(hasOwnPrefix(cluster) ? [] : [{ name: PREFIX, value: keyPrefix(cluster) }]),
    ],
    mounts: [readOnlyMount("redis", FOLDER)],
    volumes: [{ name: "redis", secret: { secretName, items: [{ key: REDIS_CONNECTION_KEY, path: REDIS_CONNECTION_KEY }] } }],
  };
}
