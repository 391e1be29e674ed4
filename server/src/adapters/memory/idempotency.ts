// Why: the same idempotent publish twice answers the first record, for a day, as long as memory lasts.
// It must never answer another stream's record: keys are scoped to the stream.
import { AgingMap } from "../../core/aging-map.ts";
import type { IdempotencyClaim, PublishOutcome, PublishRecord } from "../../core/ports.ts";
import type { ByteBudget, Item } from "./byte-budget.ts";

const DAY_MS = 86_400_000;
const RECORD_BYTES = 600;

class Remembered implements Item {
  readonly bytes = RECORD_BYTES;
  readonly key: string;
  readonly fingerprint: string;
  readonly record: PublishRecord;
  readonly expiresAt: number;
  older: Item | undefined;
  newer: Item | undefined;
  counted = false;
  readonly #home: AgingMap<string, Remembered>;

  constructor(home: AgingMap<string, Remembered>, key: string, what: { fingerprint: string; record: PublishRecord; expiresAt: number }) {
    this.#home = home;
    this.key = key;
    this.fingerprint = what.fingerprint;
    this.record = what.record;
    this.expiresAt = what.expiresAt;
  }

  evict(): void {
    this.#home.delete(this.key);
  }
}

export class IdempotencyRecords {
  readonly #budget: ByteBudget;
  /** In order of expiry: every record lives equally long. */
  readonly #records = new AgingMap<string, Remembered>();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** `now` in milliseconds since 1970. */
  find(stream: string, claim: IdempotencyClaim, now: number): PublishOutcome | undefined {
    this.#expire(now);
    const found = this.#records.get(`${claim.key}\n${stream}`);
    if (!found) return undefined;
    return found.fingerprint === claim.fingerprint ? { kind: "replayed", record: found.record } : { kind: "conflict" };
  }

  keep(stream: string, claim: IdempotencyClaim, { record, now }: { readonly record: PublishRecord; readonly now: number }): void {
    const key = `${claim.key}\n${stream}`;
    const remembered = new Remembered(this.#records, key, { fingerprint: claim.fingerprint, record, expiresAt: now + DAY_MS });
    this.#records.set(key, remembered);
    this.#budget.add(remembered);
  }

  /** Lets go of records of streams whose key `isTheirs`. Yields after each that was looked at. */
  *purge(isTheirs: (key: string) => boolean): Generator<void> {
    for (const [name, record] of this.#records.entries()) {
      if (isTheirs(name.slice(name.indexOf("\n") + 1))) {
        this.#budget.remove(record);
        record.evict();
      }
      yield;
    }
  }

  #expire(now: number): void {
    for (let next = this.#records.oldest(); next && next[1].expiresAt <= now; next = this.#records.oldest()) {
      this.#budget.remove(next[1]);
      next[1].evict();
    }
  }
}
