// Why: a fault is a Redis of some topology and what is done to it, or to the nodes, while people listen and backends publish.
// It must never leave the fault in place: when `strike` resolves, the outside is well again, and the fleet is to find out.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Fleet, FleetOptions } from "../../support/fleet/fleet.ts";
import { type ClusterRedis, startClusterRedis } from "../../support/redis/cluster.ts";
import { type SentinelRedis, startSentinelRedis } from "../../support/redis/sentinel.ts";
import { type RedisServer, startRedis } from "../../support/redis/server.ts";

export type Scene = AsyncDisposable & { readonly redis: FleetOptions["redis"]; strike(fleet: Fleet): Promise<void> };

/** `mayLose`: Redis itself may forget what it took (asynchronous replication): streams with history may say so. */
export type Fault = { readonly name: string; readonly mayLose: boolean; open(): Promise<Scene> };

type Strike<R> = (world: { readonly redis: R; readonly fleet: Fleet }) => Promise<void>;

/** One server, behind a proxy for each node. */
export const standalone = (name: string, strike: Strike<RedisServer>, settings: readonly string[] = []): Fault => ({
  ...{ name, mayLose: false },
  async open() {
    const redis = await startRedis({ settings });
    return {
      redis: { address: redis.address },
      strike: (fleet) => strike({ redis, fleet }),
      [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
    };
  },
});

/** A primary, two replicas and three Sentinels, which nodes ask for the primary. */
export const sentinel = (name: string, strike: Strike<SentinelRedis>): Fault => ({
  ...{ name, mayLose: true },
  async open() {
    const redis = await startSentinelRedis();
    return {
      redis: { env: { ...topology("sentinel", redis.addresses), NEXUS_REDIS_MASTER_NAME: redis.masterName } },
      strike: (fleet) => strike({ redis, fleet }),
      [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
    };
  },
});

/** Three primaries with a replica each. */
export const cluster = (name: string, mayLose: boolean, strike: Strike<ClusterRedis>): Fault => ({
  ...{ name, mayLose },
  async open() {
    const redis = await startClusterRedis();
    return {
      redis: { env: topology("cluster", redis.addresses) },
      strike: (fleet) => strike({ redis, fleet }),
      [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
    };
  },
});

const topology = (kind: ServerConfig["redis"]["topology"], addresses: readonly string[]) => ({
  NEXUS_REDIS_TOPOLOGY: kind,
  NEXUS_REDIS_ADDRESSES: addresses.join(","),
});
