// Why: the streams this process keeps. A stream that was forgotten must not come back with old offsets under an old
// epoch, so the epoch of new streams changes whenever one was forgotten.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { StreamId } from "../../core/ports.ts";
import type { ByteBudget, Item } from "./byte-budget.ts";
import { StreamLog } from "./stream-log.ts";

/** What a stream costs that keeps no entry: names, mark, top. It is let go like an entry, when it is the oldest thing kept. */
const LOG_BYTES = 400;
/** How many streams are looked at for expired entries with each publish. */
const TIDY_STEP = 2;

class Place implements Item {
  readonly bytes = LOG_BYTES;
  readonly key: string;
  readonly log: StreamLog;
  older: Item | undefined;
  newer: Item | undefined;
  counted = false;
  readonly #forget: (place: Place) => void;

  constructor(key: string, log: StreamLog, forget: (place: Place) => void) {
    this.key = key;
    this.log = log;
    this.#forget = forget;
  }

  evict(): void {
    this.#forget(this);
  }
}

export class Logs {
  readonly #budget: ByteBudget;
  readonly #epoch: string;
  readonly #places = new Map<string, Place>();
  #generation = 0;
  #walk: Iterator<Place> | undefined;

  constructor({ epoch, budget }: { readonly epoch: string; readonly budget: ByteBudget }) {
    this.#epoch = epoch.slice(0, 10); // room for the generation within the 16 characters of an epoch
    this.#budget = budget;
  }

  find(key: string): StreamLog | undefined {
    return this.#places.get(key)?.log;
  }

  /** Where a stream stands that has no entry yet. */
  emptyTop(): Position {
    return { epoch: this.#currentEpoch(), offset: 0 };
  }

  open(stream: StreamId, key: string): StreamLog {
    const known = this.#places.get(key);
    if (known) {
      this.#budget.remove(known); // used again: it is the newest now
      this.#budget.add(known);
      return known.log;
    }
    const place = new Place(key, new StreamLog(stream, this.#currentEpoch(), this.#budget), (gone) => this.#forget(gone));
    this.#places.set(key, place);
    this.#budget.add(place);
    return place.log;
  }

  /** What inboxes hold for users who have not had it. Walks all streams. */
  waiting(): { readonly messages: number; readonly users: number } {
    let messages = 0;
    let users = 0;
    for (const { log } of this.#places.values()) {
      if (log.stream.kind !== "inbox" || log.waiting === 0) continue;
      messages += log.waiting;
      users++;
    }
    return { messages, users };
  }

  /** Gives back expired entries, a few streams at a time, so that silent streams do not keep theirs for ever. */
  tidy(now: number): void {
    for (let i = 0; i < TIDY_STEP; i++) {
      const next = this.#walk?.next();
      if (!next || next.done) this.#walk = this.#places.values();
      else next.value.log.expire(now);
    }
  }

  /** Lets go of streams whose key `isTheirs`. Yields after each that was looked at. */
  *purge(isTheirs: (key: string) => boolean): Generator<void> {
    for (const [key, place] of this.#places) {
      if (isTheirs(key)) {
        this.#budget.remove(place);
        this.#forget(place);
      }
      yield;
    }
  }

  #forget(place: Place): void {
    place.log.dropThrough(place.log.top.offset);
    this.#places.delete(place.key);
    this.#generation++;
  }

  #currentEpoch(): string {
    return this.#generation === 0 ? this.#epoch : `${this.#epoch}${this.#generation.toString(36)}`;
  }
}
