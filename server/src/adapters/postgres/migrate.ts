// Why: the database becomes what this version needs, by itself, once, however many servers start at the same time.
// It must never go back, and never run on a database whose meaning it cannot know.
import type { SQL } from "bun";
import type { Log } from "../../core/ports.ts";
import { MIGRATIONS } from "./schema.ts";

/** "NXSN": locks of this program in the database. 1: migrating, 2: tidying up. */
export const LOCK_CLASS = 1315462222;
const MIGRATING = 1;
/** A server may run on a database one version newer than itself: so a fleet is upgraded one by one. */
const AHEAD = 1;

/** `migrations`: those of a program older or newer than this one, for tests. */
export type MigrateOptions = {
  readonly sql: SQL;
  readonly epoch: string;
  readonly log: Pick<Log, "info" | "warn">;
  readonly migrations?: readonly string[];
};

/**
 * Brings the schema `nexus` to the newest version, in one transaction under a lock; servers that start meanwhile wait.
 * `epoch`: for inboxes of a database that has none yet.
 * @throws Error, fit to be shown, when the database is more than one version ahead
 */
export async function migrate({ sql, epoch, log, migrations = MIGRATIONS }: MigrateOptions): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe("SET LOCAL statement_timeout = 0");
    await tx.unsafe("SELECT pg_advisory_xact_lock($1::int, $2::int)", [LOCK_CLASS, MIGRATING]);
    // Not IF NOT EXISTS: that asks for the right to create schemas also where an administrator has made this one.
    const [schema] = await tx.unsafe("SELECT 1 FROM pg_namespace WHERE nspname = 'nexus'");
    if (!schema) await tx.unsafe("CREATE SCHEMA nexus");
    const [table] = await tx.unsafe("SELECT 1 FROM pg_tables WHERE schemaname = 'nexus' AND tablename = 'schema_version'");
    if (!table)
      await tx.unsafe("CREATE TABLE nexus.schema_version (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())");
    const [found] = await tx.unsafe("SELECT coalesce(max(version), 0)::int AS version FROM nexus.schema_version");
    const version = Number(found.version);
    if (version > migrations.length + AHEAD) throw new Error(tooNew(version, migrations.length));
    for (const [at, text] of migrations.entries()) {
      if (at < version) continue;
      await tx.unsafe(text);
      await tx.unsafe("INSERT INTO nexus.schema_version (version) VALUES ($1::int)", [at + 1]);
    }
    await tx.unsafe("INSERT INTO nexus.meta (name, value) VALUES ('epoch', $1::text) ON CONFLICT DO NOTHING", [epoch]);
    if (version > migrations.length) log.info("postgres.newer_schema", { version, known: migrations.length });
    const [setting] = await tx.unsafe("SELECT current_setting('synchronous_commit') AS value");
    if (setting.value === "off") log.warn("postgres.not_durable", { setting: "synchronous_commit = off" });
  });
}

const tooNew = (version: number, known: number): string =>
  `PostgreSQL was migrated by a newer Nexus (schema ${version}, this one knows ${known} and can share ${known + AHEAD}); start that one, or name another database`;
