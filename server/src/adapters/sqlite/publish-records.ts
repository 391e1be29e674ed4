// Why: the same idempotent publish twice answers the first record, for a day, also after a restart: the record is stored
// with the entry or not at all. It must never answer another stream's record: names are scoped to the stream.
import type { Database } from "bun:sqlite";
import type { IdempotencyClaim, PublishOutcome, PublishRecord } from "../../core/ports.ts";

const DAY_MS = 86_400_000;

/** Rows are in the order of their end: every record lives equally long. */
export class PublishRecords {
  readonly #find;
  readonly #keep;

  constructor(db: Database) {
    this.#find = db.query<{ fingerprint: string; record: string }, [number, string, number]>(
      "SELECT fingerprint, record FROM publishes WHERE hash = ?1 AND name = ?2 AND expires_at > ?3",
    );
    this.#keep = db.query<unknown, [number, string, string, string, number]>(
      "INSERT INTO publishes (hash, name, fingerprint, record, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    );
  }

  /** `now` in milliseconds since 1970. */
  find(stream: string, { key, fingerprint }: IdempotencyClaim, now: number): PublishOutcome | undefined {
    const name = nameOf(stream, key);
    const found = this.#find.get(hashOf(name), name, now);
    if (!found) return undefined;
    if (found.fingerprint !== fingerprint) return { kind: "conflict" };
    return { kind: "replayed", record: JSON.parse(found.record) as PublishRecord }; // what `keep` wrote
  }

  /** Only inside a transaction, and only what `find` has not found. */
  keep(stream: string, { key, fingerprint }: IdempotencyClaim, { record, now }: { readonly record: PublishRecord; readonly now: number }) {
    const name = nameOf(stream, key);
    this.#keep.run(hashOf(name), name, fingerprint, JSON.stringify(record), now + DAY_MS);
  }
}

/** Keys are random and would touch a page each; their hashes are many to a page. It is in the file: xxHash32, seed 0, for ever. */
const hashOf = (name: string): number => Bun.hash.xxHash32(name, 0);

/** A key holds no line break. */
const nameOf = (stream: string, key: string): string => `${key}\n${stream}`;
