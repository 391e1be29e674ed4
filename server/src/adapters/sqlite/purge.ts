// Why: what the file keeps of a deleted tenant goes in steps small enough that nobody waits. It needs no memory of its own:
// after a restart the next run finds what is left. It must never let a stream come back under an epoch it had.
import type { Database } from "bun:sqlite";
import { isStreamOf } from "../../core/streams.ts";
import type { Meta } from "./meta.ts";

/** Rows per step. */
const STEP = 256;
/** Records of publishes looked at per step: their names do not begin with the tenant. */
const LOOK = 1_000;

export class Purge {
  readonly #meta: Meta;
  readonly #tenant: string;
  readonly #isTheirs: (key: string) => boolean;
  readonly #sql: ReturnType<typeof statements>;
  #publishesTo = 0;

  constructor(db: Database, meta: Meta, tenant: string) {
    this.#meta = meta;
    this.#tenant = tenant;
    this.#isTheirs = isStreamOf(tenant);
    this.#sql = statements(db);
  }

  /** Removes up to about 256 rows. True when there may be more. Only inside a transaction. */
  step(): boolean {
    return this.#streams() || this.#publishes() || this.#named();
  }

  #streams(): boolean {
    const tenant = this.#tenant;
    for (let left = STEP; left > 0; ) {
      const stream = this.#sql.stream.get(...range(`u/${tenant}/`), ...range(`c/${tenant}/`), `b/${tenant}`);
      if (!stream) return false;
      const { changes } = this.#sql.entries.run(stream.id, left);
      if (changes >= left) return true;
      left -= changes + 1;
      if (stream.epoch === this.#meta.emptyTop().epoch) this.#meta.turnEpoch();
      this.#sql.forget.run(stream.id);
    }
    return true;
  }

  #publishes(): boolean {
    const rows = this.#sql.publishes.all(this.#publishesTo, LOOK);
    for (const { id, name } of rows) if (this.#isTheirs(name.slice(name.indexOf("\n") + 1))) this.#sql.unpublish.run(id);
    this.#publishesTo = rows.at(-1)?.id ?? this.#publishesTo;
    return rows.length >= LOOK;
  }

  #named(): boolean {
    const writes = this.#sql.writes.run(...range(`${this.#tenant}/`), STEP).changes;
    const templates = this.#sql.templates.run(this.#tenant, STEP).changes;
    return Math.max(writes, templates) >= STEP;
  }
}

/** From the first text with this beginning to the first one behind; the beginning ends in a slash. */
const range = (beginning: `${string}/`): readonly [string, string] => [beginning, `${beginning.slice(0, -1)}0`];

function statements(db: Database) {
  type Stream = { readonly id: number; readonly epoch: string };
  const between = (from: number) => `(key >= ?${from} AND key < ?${from + 1})`;
  return {
    stream: db.query<Stream, [string, string, string, string, string]>(
      `SELECT id, epoch FROM streams WHERE ${between(1)} OR ${between(3)} OR key = ?5 LIMIT 1`,
    ),
    entries: db.query<unknown, [number, number]>("DELETE FROM entries WHERE seq IN (SELECT seq FROM entries WHERE stream = ?1 LIMIT ?2)"),
    forget: db.query<unknown, [number]>("DELETE FROM streams WHERE id = ?1"),
    publishes: db.query<{ readonly id: number; readonly name: string }, [number, number]>(
      "SELECT id, name FROM publishes WHERE id > ?1 ORDER BY id LIMIT ?2",
    ),
    unpublish: db.query<unknown, [number]>("DELETE FROM publishes WHERE id = ?1"),
    writes: db.query<unknown, [string, string, number]>(
      "DELETE FROM writes WHERE name IN (SELECT name FROM writes WHERE name >= ?1 AND name < ?2 LIMIT ?3)",
    ),
    templates: db.query<unknown, [string, number]>(
      "DELETE FROM templates WHERE tenant = ?1 AND id IN (SELECT id FROM templates WHERE tenant = ?1 LIMIT ?2)",
    ),
  };
}
