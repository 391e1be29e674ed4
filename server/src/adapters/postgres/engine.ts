// Why: a fleet whose inboxes outlive Redis: inboxes in PostgreSQL, everything else on the engine beside it.
// It must never let a trouble of one be a trouble of the other: channels go on while PostgreSQL is away.
import type { StreamId, StreamStore } from "../../core/ports.ts";
import type { RedisEngine } from "../redis/engine.ts";
import { Keys } from "../redis/keys.ts";
import type { RedisEngineOptions } from "../redis/parts.ts";
import { openPostgresInbox, type PostgresInbox } from "./inbox.ts";
import type { PoolCalls, PoolTiming } from "./pool.ts";
import type { Inbox } from "./rows.ts";

/** Two nodes may commit in one order and announce in the other: inboxes are not announced in the order of offsets. */
export const announcesInOrder = (stream: StreamId): boolean => stream.kind !== "inbox";

/** As `/health` has it. */
export type PostgresHealth = { readonly connected: boolean; readonly size: number; readonly idle: number };

export type PostgresEngine = RedisEngine & {
  postgres(): PostgresHealth;
  /** Statements since the start, by how they ended. */
  statements(): PoolCalls;
  /** Inboxes whose newest announcement Redis has not taken yet. */
  unannounced(): number;
  /** Lets go of what has expired; runs by itself every second. Never rejects. */
  sweep(): Promise<void>;
};

export type PostgresEngineOptions = Pick<RedisEngineOptions, "link" | "clock" | "ids" | "log" | "prefix"> & {
  readonly redis: RedisEngine;
  /** Asked for again when connections are made anew: passwords are rotated. */
  readonly url: () => string;
  readonly poolSize: number;
  readonly timeoutMs?: number;
} & PoolTiming;

/**
 * `redis` is made with `ordered: announcesInOrder`. It is owned from now on: closing the one closes the other, also when this fails.
 * @throws Error, fit to be shown, when the database cannot be reached or is too new
 */
export async function createPostgresEngine({ redis, prefix, ...options }: PostgresEngineOptions): Promise<PostgresEngine> {
  let inbox: PostgresInbox;
  try {
    inbox = await openPostgresInbox({ ...options, keys: new Keys(prefix), directory: redis.directory });
  } catch (error) {
    await redis.close();
    throw error;
  }
  redis.purgeBeside(({ tenant }, signal) => inbox.purge(tenant, signal));
  return {
    ...redis,
    store: storeOf(redis.store, inbox),
    degraded: () => redis.degraded() || !inbox.health().connected,
    postgres: inbox.health,
    statements: inbox.calls,
    unannounced: inbox.unannounced,
    sweep: inbox.sweep,
    async close() {
      await inbox.close();
      await redis.close();
    },
  };
}

function storeOf(other: StreamStore, inbox: PostgresInbox): StreamStore {
  const isInbox = (stream: StreamId): stream is Inbox => stream.kind === "inbox";
  return {
    publish: (request) => (isInbox(request.stream) ? inbox.publish(request.stream, request) : other.publish(request)),
    read: (stream, since) => (isInbox(stream) ? inbox.read(stream, since) : other.read(stream, since)),
    top: (stream) => (isInbox(stream) ? inbox.top(stream) : other.top(stream)),
    seen: (stream, position) => (isInbox(stream) ? inbox.seen(stream, position) : other.seen(stream, position)),
    unread: (stream) => (isInbox(stream) ? inbox.unread(stream) : other.unread(stream)),
    setMark: (stream, position) => (isInbox(stream) ? inbox.setMark(stream, position) : other.setMark(stream, position)),
    has: (stream, id) => (isInbox(stream) ? inbox.has(stream, id) : other.has(stream, id)),
    acknowledge: (stream, id) => (isInbox(stream) ? inbox.acknowledge(stream, id) : other.acknowledge(stream, id)),
    page: (stream, request) => (isInbox(stream) ? inbox.page(stream, request) : other.page(stream, request)),
    unreadCount: (stream) => (isInbox(stream) ? inbox.unreadCount(stream) : other.unreadCount(stream)),
    remove: (stream, id) => (isInbox(stream) ? inbox.remove(stream, id) : other.remove(stream, id)),
  };
}
