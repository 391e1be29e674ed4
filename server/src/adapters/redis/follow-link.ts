// Why: where Redis is, and with which password, changes while people are connected. This link follows the file that says so:
// new credentials are for connections made from now on, and another place is connected to before the one of now is left.
// It must never leave a Redis that answers for one that does not, and never end a server for what the file says.
import { Failure } from "@nexus/protocol/failures.ts";
import type { RedisConnection } from "@nexus/protocol/redis-connection.ts";
import type { Redis } from "ioredis";
import { credentialsOf, placeOf, readConnection } from "./connection-file.ts";
import type { LinkCalls, RedisLink } from "./link.ts";
import { type LinkOptions, openLink } from "./open-link.ts";
import { fullJitter, pause } from "./waits.ts";

export type FollowOptions = Pick<LinkOptions, "commandTimeoutMs" | "log" | "clock" | "random" | "signal" | "onWaiting" | "timed"> & {
  readonly connectionFile: string;
  readonly rereadSeconds: number;
};

/** A link with what it was opened for. `said` changes with its credentials, its place never. */
type Followed = { readonly link: RedisLink; said: RedisConnection; readonly dialled: Set<Redis> };

/**
 * Resolves once the Redis that the file names answers. Waits, saying so in the log, for whatever keeps it from answering, also
 * for what only another file can mend. @throws Error, fit to be shown, when the file cannot be used at the start
 */
export async function followLink(options: FollowOptions): Promise<RedisLink> {
  const link = new FollowedLink(options);
  await link.open();
  return link;
}

class FollowedLink implements RedisLink {
  readonly #options: FollowOptions;
  readonly #closing = new AbortController();
  #wanted: RedisConnection;
  /** What the file could not be used for, told once. */
  #complaint = "";
  #current: Followed | undefined;
  /** The place that is being connected to; aborted when the file names another. */
  #move: { readonly place: string; readonly abort: AbortController } | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Counts of links that were left. */
  #before = { commands: 0, reconnectionAttempts: 0, reconnections: 0, calls: {} as Partial<Record<keyof LinkCalls, number>> };

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#wanted = readConnection(options.connectionFile);
    options.signal?.addEventListener("abort", () => this.#closing.abort(), { once: true });
  }

  async open(): Promise<void> {
    this.#timer = setInterval(() => this.#reread(), this.#options.rereadSeconds * 1000);
    this.#timer.unref();
    try {
      while (!this.#current) {
        await this.#moveTo(this.#wanted);
        if (!this.#current && this.#closing.signal.aborted)
          throw new Failure({ code: "broker_unavailable", detail: "Redis cannot be reached" });
      }
    } catch (error) {
      clearInterval(this.#timer);
      throw error;
    }
  }

  readonly run: RedisLink["run"] = (...call) => this.#now().link.run(...call);
  readonly call: RedisLink["call"] = (...call) => this.#now().link.call(...call);
  readonly primaries: RedisLink["primaries"] = () => this.#now().link.primaries();
  readonly topology: RedisLink["topology"] = () => this.#now().link.topology();

  readonly dial: RedisLink["dial"] = async (primary) => {
    const followed = this.#now();
    const connection = await followed.link.dial(primary);
    if (followed !== this.#current) {
      connection.disconnect(); // whoever dialled sees it end, and asks for the primaries of now
      return connection;
    }
    followed.dialled.add(connection);
    connection.once("close", () => followed.dialled.delete(connection));
    return connection;
  };

  readonly health: RedisLink["health"] = () => {
    const health = this.#now().link.health();
    return {
      ...health,
      reconnectionAttempts: this.#before.reconnectionAttempts + health.reconnectionAttempts,
      reconnections: this.#before.reconnections + health.reconnections,
    };
  };

  readonly commands: RedisLink["commands"] = () => this.#before.commands + this.#now().link.commands();

  readonly calls: RedisLink["calls"] = () => {
    const now = this.#now().link.calls();
    const { calls } = this.#before;
    const sum = (outcome: keyof LinkCalls) => (calls[outcome] ?? 0) + now[outcome];
    return {
      ...{ ok: sum("ok"), refused: sum("refused"), failed: sum("failed") },
      ...{ timeout: sum("timeout"), rejected: sum("rejected"), bug: sum("bug") },
    };
  };

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    this.#move?.abort.abort();
    await this.#current?.link.close();
  }

  #now(): Followed {
    if (!this.#current) throw new Error("the link is used before it is open");
    return this.#current;
  }

  #reread(): void {
    const { log, connectionFile } = this.#options;
    let next: RedisConnection;
    try {
      next = readConnection(connectionFile);
      this.#complaint = "";
    } catch (error) {
      const text = String(error);
      if (text !== this.#complaint) log.warn("redis.connection_file_unusable", { error });
      this.#complaint = text;
      return; // what it said last holds
    }
    if (JSON.stringify(next) === JSON.stringify(this.#wanted)) return;
    this.#wanted = next;
    const place = placeOf(next);
    if (this.#move && this.#move.place !== place) this.#move.abort.abort();
    if (!this.#current) return; // whoever opens it looks at what is wanted
    if (place !== placeOf(this.#current.said)) {
      if (this.#move?.place !== place) void this.#moveTo(next);
      return;
    }
    this.#current.said = next;
    log.info("redis.credentials_changed");
  }

  /** Resolves when the place is connected to and has taken over, or when that is of no use any more. Never rejects. */
  async #moveTo(wanted: RedisConnection): Promise<void> {
    const abort = new AbortController();
    const move = { place: placeOf(wanted), abort };
    this.#move = move;
    const stop = () => abort.abort();
    this.#closing.signal.addEventListener("abort", stop, { once: true });
    try {
      const link = await this.#openAt(wanted, abort.signal);
      if (link) this.#takeOver(link, this.#saidOf(wanted));
      else if (this.#current) this.#options.log.info("redis.move_given_up", { addresses: wanted.addresses });
    } finally {
      this.#closing.signal.removeEventListener("abort", stop);
      if (this.#move === move) this.#move = undefined;
    }
  }

  /** Undefined: given up, because another place is wanted or nobody needs it any more. Never rejects. */
  async #openAt(wanted: RedisConnection, signal: AbortSignal): Promise<RedisLink | undefined> {
    const { log, onWaiting } = this.#options;
    const { connectionFile: _file, rereadSeconds: _often, signal: _signal, ...options } = this.#options;
    const { topology, addresses, database, masterName } = wanted;
    const where = { topology, addresses, database, ...(masterName === undefined ? {} : { masterName }) };
    // Credentials may change while it waits, and afterwards.
    const credentials = credentialsOf(() => this.#saidOf(wanted));
    let told = "";
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const link = await openLink({ ...options, ...where, credentials, signal });
        if (!signal.aborted) return link;
        await link.close();
      } catch (error) {
        if (signal.aborted) break;
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== told) log.warn("redis.waiting", { reason });
        told = reason;
        onWaiting?.(reason);
        await pause(fullJitter(failures), signal);
      }
    }
    return undefined;
  }

  /** The newest that was said of the same place. */
  #saidOf(wanted: RedisConnection): RedisConnection {
    const place = placeOf(wanted);
    if (placeOf(this.#wanted) === place) return this.#wanted;
    return this.#current && placeOf(this.#current.said) === place ? this.#current.said : wanted;
  }

  #takeOver(link: RedisLink, said: RedisConnection): void {
    const old = this.#current;
    this.#current = { link, said, dialled: new Set() };
    if (!old) return;
    const { log, commandTimeoutMs } = this.#options;
    log.info("redis.moved", { addresses: said.addresses, topology: said.topology });
    this.#remember(old.link);
    for (const connection of old.dialled) connection.disconnect();
    // What is on its way gets its time.
    setTimeout(() => void old.link.close(), commandTimeoutMs).unref();
  }

  #remember(left: RedisLink): void {
    const { reconnectionAttempts, reconnections } = left.health();
    this.#before.commands += left.commands();
    this.#before.reconnectionAttempts += reconnectionAttempts;
    this.#before.reconnections += reconnections;
    for (const [outcome, count] of Object.entries(left.calls()) as [keyof LinkCalls, number][]) {
      this.#before.calls[outcome] = (this.#before.calls[outcome] ?? 0) + count;
    }
  }
}
