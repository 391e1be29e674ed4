// Why: the engine of every fleet: any number of nodes act as one over Redis.
// It must never answer 200 for what Redis did not take.
import type { Engine } from "../../core/engine.ts";
import { RedisBus } from "./bus.ts";
import type { BusCounts } from "./bus-counts.ts";
import { RedisDirectory } from "./directory.ts";
import { createRedisFleet } from "./fleet.ts";
import { Keys } from "./keys.ts";
import type { RedisEngineOptions, RedisParts } from "./parts.ts";
import { createRedisPurge, type PurgeBeside } from "./purge.ts";
import { createRedisRecords, type RedisRecords } from "./records.ts";
import { Replication } from "./replication.ts";
import { createRedisStore } from "./store.ts";

export type RedisEngine = Engine & {
  /** Commands do not come through, or announcements do not arrive. */
  degraded(): boolean;
  /** Inboxes are too many to be counted: always 0. */
  waiting(): { readonly messages: number; readonly users: number };
  announcements(): BusCounts;
  /** What could not be kept or told since the start, and primaries with fewer replicas than asked for, now. */
  losses(): ReturnType<RedisRecords["losses"]> & { readonly replicasMissing: number };
  /** Another store beside this one is purged too, before a purge is called done. */
  purgeBeside(beside: PurgeBeside): void;
  /** Told of every probe that came back; one at a time, and not before it is known. */
  onLag(observe: (milliseconds: number) => void): void;
};

export async function createRedisEngine({ prefix, replication: wanted, ...options }: RedisEngineOptions): Promise<RedisEngine> {
  const { link, ids, node } = options;
  const parts: RedisParts = { ...options, keys: new Keys(prefix), self: `${node}/${ids.epoch()}` };
  const directory = new RedisDirectory(parts);
  const records = createRedisRecords(parts);
  const { templates, tickets, receipts, stats, writes, rates } = records;
  const replication = wanted && wanted.replicas > 0 ? new Replication({ ...parts, ...wanted }) : undefined;
  // One server alone has nobody that could take its place.
  const confirm = (partition: number) => (link.topology() === "standalone" ? undefined : replication?.confirm(partition));
  const store = createRedisStore(parts, { directory, ...(replication ? { confirm } : {}) });
  const bus = new RedisBus({ ...parts, store });
  const fleet = createRedisFleet({ parts, directory, lagMs: () => bus.lagMs() });
  const purging = createRedisPurge({ parts, records });
  return {
    purge: (tombstone, signal) => purging.purge(tombstone, signal),
    purgeBeside(beside) {
      purging.beside = beside;
    },
    ...{ templates, tickets, receipts, stats, writes, rates },
    directory,
    fleet,
    store,
    bus,
    degraded: () => link.health().status !== "healthy" || bus.isDeaf(),
    announcements: () => bus.counts(),
    losses: () => ({ ...records.losses(), replicasMissing: replication?.missing() ?? 0 }),
    onLag(observe) {
      bus.onLag = observe;
    },
    waiting: () => ({ messages: 0, users: 0 }),
    async close() {
      bus.close();
      replication?.close();
      await Promise.all([directory.close(), fleet.close()]);
      await records.close();
      await link.close();
    },
  };
}
