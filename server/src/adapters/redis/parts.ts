// Why: what every part of the Redis engine is made from, in one place that imports none of them.
// It must never hold state.
import type { Clock, Ids, Log, StreamId } from "../../core/ports.ts";
import type { Keys } from "./keys.ts";
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
  /** After which a node that renews nothing is forgotten, in milliseconds. */
  readonly leaseMs?: number;
  /** How many replicas must have a publish before it is answered, and how long they may take; absent: none is asked. */
  readonly replication?: { readonly replicas: number; readonly timeoutMs: number };
  /** How long `listen` waits for Redis before it is refused, in milliseconds. */
  readonly listenTimeoutMs?: number;
  /** Whether offsets of this stream are announced in rising order; default: of all. Another store may announce as it can. */
  readonly ordered?: (stream: StreamId) => boolean;
};

/** `self` names this process in leases: never the same twice. */
export type RedisParts = Omit<RedisEngineOptions, "prefix" | "replication"> & { readonly keys: Keys; readonly self: string };
