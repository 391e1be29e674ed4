// Why: several engines on one Redis, in one process: what nodes of a fleet are to each other without their sockets.
// It must never let two fleets share a key.
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createRedisEngine } from "@nexus/server/adapters/redis/engine.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import type { FleetNode, FleetSubject } from "../contract/directory-fleet.ts";
import type { RedisServer } from "../support/redis/server.ts";

export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type RedisNode = FleetNode & { readonly link: RedisLink };
export type RedisFleetSubject = FleetSubject & { readonly nodes: readonly RedisNode[]; readonly prefix: string };

/** `wrap`: what a node gets instead of its link. */
export type GroundOptions = { readonly leaseMs?: number; readonly wrap?: (link: RedisLink, at: number) => RedisLink };

let fleets = 0;

export async function redisFleet(
  redis: RedisServer,
  count: number,
  { leaseMs = 2_500, wrap }: GroundOptions = {},
): Promise<RedisFleetSubject> {
  const prefix = `fleet-${process.pid}-${++fleets}`;
  const nodes = await Promise.all(
    Array.from({ length: count }, async (_, at): Promise<RedisNode> => {
      const opened = await openLink({ addresses: [redis.address], commandTimeoutMs: 2_000, log: silent });
      const link = wrap?.(opened, at) ?? opened;
      const name = `node-${at}`;
      const engine = await createRedisEngine({
        link,
        clock: systemClock,
        ids: systemIds,
        log: silent,
        node: name,
        prefix,
        probeMs: 1_000,
        leaseMs,
      });
      let isGone = false;
      return {
        ...{ name, engine, link },
        async crash() {
          isGone = true;
          await link.close();
        },
        async close() {
          if (!isGone) await engine.close();
          isGone = true;
        },
      };
    }),
  );
  return {
    ...{ nodes, leaseMs, prefix },
    async loseData() {
      await nodes[0]?.link.call("FLUSHALL");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}
