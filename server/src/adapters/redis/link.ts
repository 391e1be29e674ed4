// Why: all that the parts of this engine know of Redis: run a script, send a command, listen on a connection of one's own.
// It must never retry a write by itself: whether one was done is known to nobody but Redis.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Redis } from "ioredis";
import type { BrokerHealth } from "../../core/fleet-ports.ts";

/** Lua that runs as one atomic step. `name` is unique in the engine. Every key it touches is in KEYS and shares one tag. */
export type Script = { readonly name: string; readonly lua: string };

/** A primary: `partitions` it serves now. Standalone and Sentinel have one with all of them. `id` tells it apart from others. */
export type Primary = { readonly id: string; readonly host: string; readonly port: number; readonly partitions: readonly number[] };

/** What comes back: a string, a number, null, or a list of these. */
export type Reply = string | number | null | readonly Reply[];

/**
 * Calls since the start, by how they ended. `ok`: answered. `refused`: Redis takes no such command now. `failed`: the
 * connection broke or there was none. `timeout`: no answer in time. `rejected`: not sent, the circuit is open. `bug`: Redis
 * says the command or script is wrong.
 */
export type LinkCalls = Readonly<Record<"ok" | "refused" | "failed" | "timeout" | "rejected" | "bug", number>>;

/**
 * Commands share connections and leave together. Every call rejects with `Failure` `broker_unavailable` when Redis is away,
 * too slow (`commandTimeout`), read-only, out of memory or loading, and at once while the circuit is open; with a plain
 * `Error` when the command or script itself is wrong. After a rejection of the first kind nobody knows whether it was done.
 * Commands of one caller to one key take effect in the order they were made; while a slot of a Cluster moves, only those
 * that waited for the one before.
 */
export type RedisLink = {
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply>;
  /** One command; its first key decides the node of a Cluster. */
  call(command: string, ...args: readonly (string | number)[]): Promise<Reply>;
  /** Who serves what now. */
  primaries(): Promise<readonly Primary[]>;
  /**
   * A connection of its own, ready, for subscriptions and blocking reads: no command timeout, and it never reconnects by
   * itself: `close` is emitted once, then dial again. Whoever dialled calls `disconnect`.
   */
  dial(primary: Primary): Promise<Redis>;
  /** How Redis is run, as this link is connected now. */
  topology(): ServerConfig["redis"]["topology"];
  health(): Omit<BrokerHealth, "lagMs">;
  /** Commands handed to the connection since the start, a script counting as one. */
  commands(): number;
  calls(): LinkCalls;
  close(): Promise<void>;
};
