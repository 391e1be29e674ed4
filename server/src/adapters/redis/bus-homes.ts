// Why: which connection hears the announcements of which partition. Primaries come and go, and slots move between them.
// It must never leave a partition with a connection that does not serve it any more without saying which have moved.
import type { Log } from "../../core/ports.ts";
import { PARTITIONS } from "./keys.ts";
import type { Primary, RedisLink } from "./link.ts";
import type { Subscriber } from "./subscriber.ts";
import { fullJitter, pause } from "./waits.ts";

export type HomesOptions = {
  readonly link: Pick<RedisLink, "primaries">;
  readonly log: Log;
  readonly connect: (primary: Primary) => Subscriber;
  /** These partitions have another home now, or none. `from` tells the one each had. */
  readonly moved: (partitions: ReadonlySet<number>, from: readonly (Subscriber | undefined)[]) => void;
};

export class Homes {
  readonly #options: HomesOptions;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #closing = new AbortController();
  #homes: (Subscriber | undefined)[] = new Array<undefined>(PARTITIONS).fill(undefined);
  #learning: Promise<void> | undefined;
  #seeking = false;

  constructor(options: HomesOptions) {
    this.#options = options;
    void this.#seek();
  }

  of(partition: number): Subscriber | undefined {
    return this.#homes[partition];
  }

  all(): Iterable<Subscriber> {
    return this.#subscribers.values();
  }

  /** Asks who serves what; several at once ask once. Resolves also when nobody could be asked. */
  refresh(): Promise<void> {
    this.#learning ??= this.#learn().finally(() => {
      this.#learning = undefined;
    });
    return this.#learning;
  }

  close(): void {
    this.#closing.abort();
    for (const subscriber of this.#subscribers.values()) subscriber.close();
    this.#subscribers.clear();
  }

  /** Until every partition has a home. */
  async #seek(): Promise<void> {
    if (this.#seeking) return;
    this.#seeking = true;
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      await this.refresh();
      if (!this.#homes.includes(undefined)) break;
      await pause(fullJitter(failures), this.#closing.signal);
    }
    this.#seeking = false;
  }

  async #learn(): Promise<void> {
    const { link, log, connect, moved } = this.#options;
    let primaries: readonly Primary[];
    try {
      primaries = await link.primaries();
    } catch (error) {
      log.debug("redis.primaries_unknown", { error: String(error) });
      return; // what was known is the best there is
    }
    if (this.#closing.signal.aborted || primaries.length === 0) return;
    const before = this.#homes;
    const gone = new Map(this.#subscribers);
    const now = new Array<Subscriber | undefined>(PARTITIONS).fill(undefined);
    for (const primary of primaries) {
      if (primary.partitions.length === 0) continue;
      gone.delete(primary.id);
      const known = this.#subscribers.get(primary.id);
      const subscriber = known ?? connect(primary);
      this.#subscribers.set(primary.id, subscriber);
      known?.assign(primary);
      for (const partition of primary.partitions) now[partition] = subscriber;
    }
    const changed = new Set<number>();
    for (let partition = 0; partition < PARTITIONS; partition++) if (now[partition] !== before[partition]) changed.add(partition);
    this.#homes = now;
    if (changed.size > 0) moved(changed, before);
    for (const [id, subscriber] of gone) {
      this.#subscribers.delete(id);
      subscriber.close();
    }
    if (now.includes(undefined)) void this.#seek();
  }
}
