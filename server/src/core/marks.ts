// Why: inbox marks move with every written entry but are stored in batches: a crash repeats entries, it never loses them.
// It must never move a mark for an entry that was not written to a socket.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Defer } from "./defer.ts";
import type { Fan } from "./fan.ts";
import type { Log, StreamStore } from "./ports.ts";

/** How long a mark may wait, in milliseconds. */
const BATCH_MS = 250;

export class Marks {
  readonly #store: Pick<StreamStore, "setMark">;
  readonly #log: Log;
  readonly #defer: Defer;
  #pending = new Map<Fan, Position>();
  #scheduled = false;

  constructor(store: Pick<StreamStore, "setMark">, log: Log, defer: Defer) {
    this.#store = store;
    this.#log = log;
    this.#defer = defer;
  }

  note(inbox: Fan, position: Position): void {
    this.#pending.set(inbox, position);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(() => {
      this.#scheduled = false;
      void this.flush();
    }, BATCH_MS);
  }

  /** Stores one user's mark now: before their unread entries are read. */
  async settle(inbox: Fan): Promise<void> {
    const position = this.#pending.get(inbox);
    if (!position) return;
    this.#pending.delete(inbox);
    await this.#store.setMark(inbox.stream, position);
  }

  /** Stores all marks. Never rejects: marks that could not be stored are logged, their entries will be sent again. */
  async flush(): Promise<void> {
    const batch = this.#pending;
    this.#pending = new Map();
    const results = await Promise.allSettled([...batch].map(([inbox, position]) => this.#store.setMark(inbox.stream, position)));
    const failed = results.filter((result) => result.status === "rejected");
    if (failed.length > 0) this.#log.warn("marks.lost", { count: failed.length, reason: String(failed[0]?.reason) });
  }
}
