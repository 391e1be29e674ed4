// Why: Redis answers before its replicas have anything, so that a failover can take back what was acknowledged. Where there
// are replicas, a publish is answered once enough of them have it. It must never make other commands wait: `WAIT` blocks the
// connection it is sent on, so each primary gets one of its own.
import { Failure } from "@nexus/protocol/failures.ts";
import type { Redis } from "ioredis";
import type { Log } from "../../core/ports.ts";
import type { Keys } from "./keys.ts";
import type { Primary, RedisLink } from "./link.ts";

/** `replicas`: that must have a write; fewer when fewer are connected. `timeoutMs`: how long they may take. */
export type ReplicationOptions = {
  readonly link: Pick<RedisLink, "primaries" | "dial">;
  readonly keys: Keys;
  readonly log: Log;
  readonly replicas: number;
  readonly timeoutMs: number;
};

export class Replication {
  readonly #options: ReplicationOptions;
  /** By partition, as far as it was asked. */
  readonly #homes = new Map<number, Confirmer>();
  readonly #confirmers = new Map<string, Confirmer>();
  #closed = false;

  constructor(options: ReplicationOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the replicas have everything that the partition's primary answered before this call. Rejects with
   * `Failure` `broker_unavailable` when they did not say so in time: what was written may be lost by a failover.
   */
  async confirm(partition: number): Promise<void> {
    if (this.#closed) throw away();
    const known = this.#homes.get(partition);
    if (known?.isOpen) {
      await known.confirm();
      return;
    }
    await (await this.#find(partition)).confirm();
  }

  /** Primaries whose writes fewer replicas confirm than are wanted, because fewer are connected. */
  missing(): number {
    let missing = 0;
    for (const { isOpen, isShort } of this.#confirmers.values()) if (isOpen && isShort) missing++;
    return missing;
  }

  close(): void {
    this.#closed = true;
    for (const confirmer of this.#confirmers.values()) confirmer.close();
    this.#forget();
  }

  async #find(partition: number): Promise<Confirmer> {
    const primaries = await this.#options.link.primaries();
    if (this.#closed) throw away();
    for (const primary of primaries) {
      const known = this.#confirmers.get(primary.id);
      const confirmer = known?.isOpen ? known : new Confirmer(primary, this.#options, () => this.#forget());
      this.#confirmers.set(primary.id, confirmer);
      for (const served of primary.partitions) this.#homes.set(served, confirmer);
    }
    const home = this.#homes.get(partition);
    if (!home?.isOpen) throw away();
    return home;
  }

  /** Somebody is not where it was: everybody is looked for again. */
  #forget(): void {
    this.#homes.clear();
    for (const [id, { isOpen }] of this.#confirmers) if (!isOpen) this.#confirmers.delete(id);
  }
}

type Waiter = { readonly resolve: () => void; readonly reject: (error: unknown) => void };

/** One primary. While one batch is being confirmed, the next one gathers. */
class Confirmer {
  readonly #options: ReplicationOptions;
  readonly #key: string;
  readonly #connection: Promise<Redis>;
  readonly #ended: () => void;
  #waiting: Waiter[] = [];
  #busy = false;
  isShort = false;
  isOpen = true;

  constructor(primary: Primary, options: ReplicationOptions, ended: () => void) {
    this.#options = options;
    this.#ended = ended;
    this.#key = options.keys.at(primary.partitions[0] ?? 0, "f", "replicated");
    this.#connection = options.link.dial(primary);
    this.#connection.then(
      (connection) => {
        if (!this.isOpen) connection.disconnect();
        connection.once("close", () => this.close());
      },
      () => this.close(), // whoever waits is told by its own batch
    );
  }

  confirm(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ resolve, reject });
    if (!this.#busy) void this.#run();
    return promise;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#ended();
    this.#connection.then(
      (connection) => connection.disconnect(),
      () => undefined, // there is nothing to close
    );
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#ask();
        for (const { resolve } of batch) resolve();
      } catch (error) {
        const failure = error instanceof Failure ? error : away(error);
        for (const { reject } of batch) reject(failure);
      }
    }
    this.#busy = false;
  }

  /** A write of this connection comes after all that was answered before; who has it has them too. */
  async #ask(): Promise<void> {
    const { replicas, timeoutMs } = this.#options;
    const connection = await this.#connection;
    const late = setTimeout(() => this.close(), timeoutMs * 2); // the connection is silent: its close ends what waits
    late.unref();
    try {
      const [written, had] = (await connection.pipeline().set(this.#key, 1, "PX", 60_000).wait(replicas, timeoutMs).exec()) ?? [];
      const error = written?.[0] ?? had?.[0];
      if (error) throw error;
      if (Number(had?.[1]) >= replicas) this.#note(false);
      else await this.#settleForFewer(connection, Number(had?.[1]));
    } catch (error) {
      this.close(); // a replica now, or gone: who serves the partition is asked again
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /** A primary without enough replicas cannot wait for them: all there are is the most there can be. */
  async #settleForFewer(connection: Redis, had: number): Promise<void> {
    const info = await connection.info("replication");
    const online = info.split("\n").filter((line) => /^slave\d+:/.test(line) && line.includes("state=online")).length;
    if (online > had) throw away();
    this.#note(true);
  }

  #note(isShort: boolean): void {
    const { log, replicas: wanted } = this.#options;
    if (isShort && !this.isShort) log.warn("redis.replicas_missing", { wanted });
    if (!isShort && this.isShort) log.info("redis.replicas_back", { wanted });
    this.isShort = isShort;
  }
}

const away = (cause?: unknown): Failure =>
  new Failure({ code: "broker_unavailable", detail: "The replicas of Redis did not confirm the write in time" }, cause);
