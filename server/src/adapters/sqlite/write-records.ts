// Why: a write that is asked twice with one Idempotency-Key is done once and answered twice, for a day, also after a
// restart. It must never answer another scope's record.
import type { Database } from "bun:sqlite";
import type { Clock, IdempotencyClaim } from "../../core/ports.ts";
import type { WriteClaim, WriteRecords } from "../../core/record-ports.ts";
import type { GroupCommit } from "./group-commit.ts";

const DAY_MS = 86_400_000;
/** After this a write that never finished does not hold its key any longer. */
const STUCK_MS = 60_000;

type Row = { readonly fingerprint: string; readonly begun_at: number; readonly status: number | null; readonly body: string | null };

export class SqliteWriteRecords implements WriteRecords {
  readonly #clock: Pick<Clock, "now">;
  readonly #commit: GroupCommit;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: Database, commit: GroupCommit, clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.#commit = commit;
    this.#sql = statements(db);
    this.#sql.free.run(); // nobody finishes what another process began
  }

  begin: WriteRecords["begin"] = (scope, claim) => this.#commit.write(() => this.#begin(nameOf(scope, claim.key), claim));

  finish: WriteRecords["finish"] = (scope, key, { status, body }) =>
    this.#commit.write(() => void this.#sql.finish.run(status, body, nameOf(scope, key)));

  abandon: WriteRecords["abandon"] = (scope, key) => this.#commit.write(() => void this.#sql.abandon.run(nameOf(scope, key)));

  #begin(name: string, { fingerprint }: IdempotencyClaim): WriteClaim {
    const now = this.#clock.now();
    const known = this.#sql.find.get(name, now - DAY_MS);
    if (known && (known.status !== null || known.begun_at + STUCK_MS > now)) {
      if (known.fingerprint !== fingerprint) return { kind: "conflict" };
      const { status, body } = known;
      return status === null ? { kind: "in_flight" } : { kind: "done", answer: { status, body: body ?? "" } };
    }
    this.#sql.begin.run(name, fingerprint, now);
    return { kind: "begun" };
  }
}

function statements(db: Database) {
  return {
    find: db.query<Row, [string, number]>("SELECT fingerprint, begun_at, status, body FROM writes WHERE name = ?1 AND begun_at > ?2"),
    begin: db.query<unknown, [string, string, number]>("INSERT OR REPLACE INTO writes (name, fingerprint, begun_at) VALUES (?1, ?2, ?3)"),
    finish: db.query<unknown, [number, string, string]>("UPDATE writes SET status = ?1, body = ?2 WHERE name = ?3 AND status IS NULL"),
    abandon: db.query<unknown, [string]>("DELETE FROM writes WHERE name = ?1 AND status IS NULL"),
    free: db.query<unknown, []>("DELETE FROM writes WHERE status IS NULL"),
  };
}

/** Neither a tenant, an operation nor a key holds a line break. */
const nameOf = (scope: string, key: string): string => `${scope}\n${key}`;
