// Why: what is in the file, and how an older file becomes a newer one. A migration that was released is never edited:
// whoever upgrades runs exactly what the tests ran. There is no way back: a newer file is refused.
import type { Database } from "bun:sqlite";

/** "NXSQ": tells our files from anybody else's (`PRAGMA application_id`). */
export const APPLICATION_ID = 0x4e585351;

/**
 * Index + 1 is the version in `PRAGMA user_version`. Times are milliseconds since 1970; `own_expires_at` is what the
 * notification's ttl says, `expires_at` the earlier of that and the stream's retention.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    top INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    mark INTEGER NOT NULL DEFAULT 0,
    used_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL,
    own_expires_at INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    metadata TEXT NOT NULL,
    payload TEXT NOT NULL
  ) STRICT;
  CREATE INDEX entries_place ON entries (stream, offset, id);
  CREATE INDEX entries_expiry ON entries (expires_at);
  CREATE TABLE publishes (
    id INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    record TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX publishes_name ON publishes (hash);
  CREATE TABLE writes (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    status INTEGER,
    body TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX writes_age ON writes (begun_at);
  CREATE TABLE templates (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  `,
];

/**
 * Whether there is nothing in the file yet. Changes nothing.
 * @throws Error when the file is no Nexus database, or a newer Nexus wrote it
 */
export function isEmpty(db: Database, file: string, migrations: readonly string[] = MIGRATIONS): boolean {
  const application = pragma(db, "application_id");
  const version = pragma(db, "user_version");
  if (application === 0 && version === 0 && !db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get()) return true;
  if (application !== APPLICATION_ID) throw new Error(`${file} is a database, but not one of Nexus; name another file`);
  if (version > migrations.length) {
    throw new Error(
      `${file} was written by a newer Nexus (schema ${version}, this one knows ${migrations.length}); start that one, or name another file`,
    );
  }
  return false;
}

/** Brings a file that `isEmpty` has not refused to the newest version, one migration per transaction. */
export function migrate(db: Database, migrations: readonly string[] = MIGRATIONS): void {
  const version = pragma(db, "user_version");
  for (const [at, sql] of migrations.entries()) {
    if (at < version) continue;
    db.transaction(() => {
      db.run(sql);
      db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.run(`PRAGMA user_version = ${at + 1}`);
    }).immediate();
  }
}

/** The value of a pragma that is one number. */
export function pragma(db: Database, name: "application_id" | "user_version" | "page_size"): number {
  return db.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name] ?? 0;
}
