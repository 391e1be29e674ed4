// Why: inbox marks move with every written entry but are stored in batches: a crash repeats entries, it never loses them.
// It must never move a mark for an entry that was not written to a socket.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Defer } from "./defer.ts";
import type { Fan } from "./fan.ts";
import type { Log, Metrics, StreamStore } from "./ports.ts";

/** How long a mark may wait, in milliseconds. */
const BATCH_MS = 250;

export type MarksDeps = {
  readonly store: Pick<StreamStore, "setMark">;
  readonly log: Log;
  readonly defer: Defer;
  readonly metrics: Pick<Metrics, "marksLost">;
};

export class Marks {
  readonly #deps: MarksDeps;
  #pending = new Map<Fan, Position>();
  #scheduled = false;

  constructor(deps: MarksDeps) {
    this.#deps = deps;
  }

  note(inbox: Fan, position: Position): void {
    this.#pending.set(inbox, position);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#deps.defer(() => {
      this.#scheduled = false;
      void this.flush();
    }, BATCH_MS);
  }

  /** Stores one user's mark now: before their unread entries are read. */
  async settle(inbox: Fan): Promise<void> {
    const position = this.#pending.get(inbox);
    if (!position) return;
    this.#pending.delete(inbox);
    await this.#deps.store.setMark(inbox.stream, position);
  }

  /** Stores all marks. Never rejects: marks that could not be stored are logged, their entries will be sent again. */
  async flush(): Promise<void> {
    const batch = this.#pending;
    this.#pending = new Map();
    const { store, log, metrics } = this.#deps;
    const results = await Promise.allSettled([...batch].map(([inbox, position]) => store.setMark(inbox.stream, position)));
    const failed = results.filter((result) => result.status === "rejected");
    if (failed.length === 0) return;
    metrics.marksLost(failed.length);
    log.warn("marks.lost", { count: failed.length, reason: String(failed[0]?.reason) });
  }
}
