// Why: the file must not grow for ever: what expired, records of a day ago, streams nobody used for a month, and, above
// the byte limit, the oldest entries. In steps small enough that nobody waits. It must never hide a loss: readers of what
// left while it could still have been read are told.
import type { Database } from "bun:sqlite";
import type { Meta } from "./meta.ts";
import type { GoneRow } from "./rows.ts";
import { pragma } from "./schema.ts";

/** Rows per statement and table. */
const STEP = 256;
/** How long an empty stream can still prove what was lost. */
const STREAM_LIFE_MS = 30 * 86_400_000;
const WRITE_LIFE_MS = 86_400_000;

export class Sweep {
  readonly #meta: Meta;
  readonly #pageBytes: number;
  readonly #maxPages: number;
  readonly #sql: ReturnType<typeof statements>;
  #walkedTo = 0;
  #evicted = 0;

  constructor(db: Database, meta: Meta, maxBytes: number) {
    this.#meta = meta;
    this.#pageBytes = pragma(db, "page_size");
    this.#maxPages = Math.floor(maxBytes / this.#pageBytes);
    this.#sql = statements(db);
  }

  /** Entries that left because of the byte limit, since the start. */
  get evicted(): number {
    return this.#evicted;
  }

  /** What the rows take, in bytes; pages the file holds for later are not counted. */
  bytes(): number {
    return this.#pages() * this.#pageBytes;
  }

  /** Lets go of what time has ended. True when there may be more. Only inside a transaction. */
  step(now: number): boolean {
    const expired = this.#sql.expired.all(now, STEP);
    this.#account(expired, now);
    const publishes = this.#sql.publishes.run(now, STEP).changes;
    const writes = this.#sql.writes.run(now - WRITE_LIFE_MS, STEP).changes;
    this.#forgetStreams(now);
    return Math.max(expired.length, publishes, writes) >= STEP;
  }

  /** Lets go of the oldest entries while the rows take more than the limit. Only inside a transaction. */
  makeRoom(now: number): void {
    while (this.#pages() > this.#maxPages) {
      const oldest = this.#sql.oldest.all(STEP);
      this.#account(oldest, now);
      this.#evicted += oldest.length;
      if (oldest.length > 0) continue;
      if (this.#sql.oldestPublishes.run(STEP).changes === 0) return; // what is left is small and has its own end
    }
  }

  #pages(): number {
    return this.#sql.pages.get()?.used ?? 0;
  }

  /** Remembers per stream how far entries left while they could still have been read, and where the oldest one is now. */
  #account(left: readonly GoneRow[], now: number): void {
    const streams = new Map<number, number>();
    for (const { stream, offset, own_expires_at } of left) {
      const lost = own_expires_at > now ? offset : 0;
      streams.set(stream, Math.max(streams.get(stream) ?? 0, lost));
    }
    for (const [stream, lost] of streams) this.#sql.left.run(lost, stream);
  }

  /**
   * Looks at a few streams each time. One that is forgotten may come back and count from 1 again: only streams of an
   * earlier epoch are, so that their old places are never taken for new ones.
   */
  #forgetStreams(now: number): void {
    const before = now - STREAM_LIFE_MS;
    const walked = this.#sql.walk.all(this.#walkedTo, STEP);
    this.#walkedTo = walked.length < STEP ? 0 : (walked.at(-1)?.id ?? 0);
    const idle = walked.filter(({ used_at, entries }) => used_at < before && entries === 0);
    if (idle.length === 0) return;
    const { epoch } = this.#meta.emptyTop();
    if (idle.some((one) => one.epoch === epoch)) this.#meta.turnEpoch();
    for (const { id } of idle) this.#sql.forget.run(id);
  }
}

type Walked = { readonly id: number; readonly epoch: string; readonly used_at: number; readonly entries: number };

function statements(db: Database) {
  const some = (table: string, key: string, where: string) =>
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${where} LIMIT ?2)`;
  const gone = "RETURNING stream, offset, own_expires_at";
  return {
    pages: db.query<{ used: number }, []>("SELECT page_count - freelist_count AS used FROM pragma_page_count, pragma_freelist_count"),
    expired: db.query<GoneRow, [number, number]>(`${some("entries", "seq", "expires_at <= ?1 ORDER BY expires_at")} ${gone}`),
    oldest: db.query<GoneRow, [number]>(`DELETE FROM entries WHERE seq IN (SELECT seq FROM entries ORDER BY seq LIMIT ?1) ${gone}`),
    // In the order of their end, so the first ones are all there is to look at.
    publishes: db.query<unknown, [number, number]>(
      `DELETE FROM publishes WHERE id IN
         (SELECT id FROM (SELECT id, expires_at FROM publishes ORDER BY id LIMIT ?2) WHERE expires_at <= ?1)`,
    ),
    oldestPublishes: db.query<unknown, [number]>("DELETE FROM publishes WHERE id IN (SELECT id FROM publishes ORDER BY id LIMIT ?1)"),
    writes: db.query<unknown, [number, number]>(some("writes", "name", "begun_at <= ?1 ORDER BY begun_at")),
    left: db.query<unknown, [number, number]>(
      `UPDATE streams SET lost = max(lost, ?1),
         gone = max(gone, coalesce((SELECT min(offset) FROM entries WHERE stream = streams.id) - 1, top)) WHERE id = ?2`,
    ),
    walk: db.query<Walked, [number, number]>(
      `SELECT id, epoch, used_at, EXISTS (SELECT 1 FROM entries WHERE stream = streams.id) AS entries
       FROM streams WHERE id > ?1 ORDER BY id LIMIT ?2`,
    ),
    forget: db.query<unknown, [number]>("DELETE FROM streams WHERE id = ?1"),
  };
}
