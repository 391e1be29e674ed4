// Why: a database that lets us in may still be a standby, forget what it confirmed, or lack the right to migrate. It must never
// change anything, and never show the address: it holds the password.
import { MIGRATIONS } from "@nexus/server/adapters/postgres/schema.ts";
import { SQL } from "bun";
import { type Check, clockCheck, fail, ok, warn } from "./check.ts";

export type PostgresTarget = { readonly url: string; readonly poolSize: number };

const TIMEOUT_SECONDS = 5;
/** As docs/postgres.md says: older ones are not tested. */
const OLDEST = 15;

type Row = {
  readonly version: number;
  readonly standby: boolean;
  readonly commit: string;
  readonly encoding: string;
  readonly most: number;
  readonly now_ms: number;
  readonly has_schema: boolean;
  readonly may_create: boolean;
  readonly may_use: boolean;
};

const FACTS = `SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
  current_setting('synchronous_commit') AS commit, current_setting('server_encoding') AS encoding,
  current_setting('max_connections')::int AS most, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms,
  EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'nexus') AS has_schema,
  has_database_privilege(current_database(), 'CREATE') AS may_create,
  coalesce((SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'nexus'), false) AS may_use`;

/** `nowMs`: the wall clock. */
export async function checkPostgres({ url, poolSize }: PostgresTarget, nowMs: () => number): Promise<readonly Check[]> {
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol))
    return [fail("PostgreSQL", "the address cannot be read", "write it as postgres://user:password@host:5432/database")];
  const { hostname, port, pathname } = new URL(url);
  const what = `PostgreSQL ${hostname}:${port || 5432}${pathname}`;
  const sql = new SQL(url, { max: 1, connectionTimeout: TIMEOUT_SECONDS });
  try {
    await sql.unsafe("SELECT 1");
    const before = nowMs();
    const started = performance.now();
    const [row] = (await sql.unsafe(FACTS)) as readonly Row[]; // columns of the text above
    const roundTripMs = performance.now() - started;
    if (!row) throw new Error("answered nothing");
    const clock = clockCheck(`${what} clock`, row.now_ms - (before + roundTripMs / 2), roundTripMs);
    return [...factChecks(what, row, poolSize), clock, rightsOf(what, row), await schemaCheck(sql, what, row)];
  } catch (error) {
    return [fail(what, reasonOf(error), "start it, or correct address, name and password in the file of NEXUS_POSTGRES_URL_FILE")];
  } finally {
    await sql.close({ timeout: 0 });
  }
}

/** What PostgreSQL says never holds the password. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
  return `${error instanceof Error ? error.message : String(error)}${code}`;
}

/** Pure. */
export function factChecks(
  what: string,
  row: Pick<Row, "version" | "standby" | "commit" | "encoding" | "most">,
  poolSize: number,
): readonly Check[] {
  const major = Math.floor(row.version / 10_000);
  const checks: Check[] = [];
  if (major < OLDEST) checks.push(fail(what, `is PostgreSQL ${major}`, `upgrade to PostgreSQL ${OLDEST} or newer`));
  else if (row.standby) checks.push(fail(what, "is a standby: it takes no writes", "name the primary in the address"));
  else checks.push(ok(what, `PostgreSQL ${major}, takes writes`));
  if (row.commit === "off")
    checks.push(
      fail(
        `${what} durability`,
        "synchronous_commit is off: a crash takes back what was confirmed",
        "ALTER ROLE <role> SET synchronous_commit = on",
      ),
    );
  else checks.push(ok(`${what} durability`, `synchronous_commit is ${row.commit}`));
  if (row.encoding !== "UTF8")
    checks.push(fail(`${what} encoding`, `is ${row.encoding}`, "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"));
  if (row.most < 2 * poolSize)
    checks.push(
      warn(
        `${what} connections`,
        `max_connections is ${row.most}, one process takes ${poolSize}`,
        "raise max_connections, or lower NEXUS_POSTGRES_POOL_SIZE",
      ),
    );
  else checks.push(ok(`${what} connections`, `max_connections is ${row.most}, one process takes ${poolSize}`));
  return checks;
}

function rightsOf(what: string, row: Row): Check {
  if (row.has_schema)
    return row.may_use
      ? ok(`${what} rights`, "owns the schema nexus")
      : fail(`${what} rights`, "may not create in the schema nexus", "ALTER SCHEMA nexus OWNER TO <role>");
  if (row.may_create) return ok(`${what} rights`, "may create the schema nexus");
  return fail(`${what} rights`, "may not create the schema nexus", "CREATE SCHEMA nexus AUTHORIZATION <role>");
}

async function schemaCheck(sql: SQL, what: string, row: Row): Promise<Check> {
  const known = MIGRATIONS.length;
  const unmade = ok(`${what} schema`, `is made when a server starts (version ${known})`);
  if (!row.has_schema) return unmade;
  if (!row.may_use) return warn(`${what} schema`, "may not be read", "see the rights above");
  const [table] = await sql.unsafe("SELECT to_regclass('nexus.schema_version') IS NOT NULL AS there");
  if (!table?.there) return unmade;
  const [found] = await sql.unsafe("SELECT coalesce(max(version), 0)::int AS version FROM nexus.schema_version");
  const version = Number(found?.version);
  if (version > known + 1)
    return fail(`${what} schema`, `was migrated to ${version}, this release knows ${known}`, "use the newer release, or another database");
  return ok(`${what} schema`, `version ${version}; this release knows ${known}`);
}
