// Why: the same idempotent publish twice answers the first record, for a day, also after a restart: the record is stored
// with the entry or not at all. It must never answer another stream's record: names are scoped to the stream.
import type { Database } from "bun:sqlite";
import type { IdempotencyClaim, PublishOutcome, PublishRecord } from "../../core/ports.ts";

const DAY_MS = 86_400_000;

export class PublishRecords {
  readonly #find;
  readonly #keep;

  constructor(db: Database) {
    this.#find = db.query<{ fingerprint: string; record: string }, [string, number]>(
      "SELECT fingerprint, record FROM publishes WHERE name = ?1 AND expires_at > ?2",
    );
    this.#keep = db.query<unknown, [string, string, string, number]>("INSERT OR REPLACE INTO publishes VALUES (?1, ?2, ?3, ?4)");
  }

  /** `now` in milliseconds since 1970. */
  find(stream: string, { key, fingerprint }: IdempotencyClaim, now: number): PublishOutcome | undefined {
    const found = this.#find.get(nameOf(stream, key), now);
    if (!found) return undefined;
    if (found.fingerprint !== fingerprint) return { kind: "conflict" };
    return { kind: "replayed", record: JSON.parse(found.record) as PublishRecord }; // what `keep` wrote
  }

  /** Only inside a transaction. */
  keep(stream: string, { key, fingerprint }: IdempotencyClaim, { record, now }: { readonly record: PublishRecord; readonly now: number }) {
    this.#keep.run(nameOf(stream, key), fingerprint, JSON.stringify(record), now + DAY_MS);
  }
}

/** A key holds no line break. */
const nameOf = (stream: string, key: string): string => `${key}\n${stream}`;
