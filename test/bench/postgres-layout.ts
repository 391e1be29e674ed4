// Why: the tables of inboxes with millions of entries in them, as they are and cut into hash partitions: what a publish, an
// unread read and the expiry cost in each. docs/adr/0011-postgres-inbox.md draws its conclusion from this.
import { migrate } from "@nexus/server/adapters/postgres/migrate.ts";
import { MIGRATIONS } from "@nexus/server/adapters/postgres/schema.ts";
import { SQL } from "bun";
import { startPostgres } from "../support/postgres.ts";
import { percentile } from "./load/targets.ts";

const USERS = 100_000;
const ENTRIES_EACH = 30;
const PARTITIONS = 16;
const BATCH = 64;
const log = { info: () => undefined, warn: () => undefined };

/** The same statements over a table of hash partitions. */
function partitioned(sql: string): string {
  const cut = sql.replace(
    /PRIMARY KEY \(stream, place\)\n\s*\) WITH \([^)]*\);/,
    "PRIMARY KEY (stream, place)\n) PARTITION BY HASH (stream);",
  );
  const parts = Array.from(
    { length: PARTITIONS },
    (_, n) => `CREATE TABLE nexus.entries_${n} PARTITION OF nexus.entries FOR VALUES WITH (MODULUS ${PARTITIONS}, REMAINDER ${n});`,
  );
  return cut.replace("CREATE INDEX entries_until", `${parts.join("\n")}\nCREATE INDEX entries_until`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Entries of all users interleaved, as time writes them; a fifth has ended. */
const FILL = `INSERT INTO nexus.entries (stream, place, until, own_until, id, head, payload)
  SELECT s, p, CASE WHEN p % 5 = 0 THEN 1000 ELSE 4000000000000 END, 9007199254740991, gen_random_uuid()::text,
    '[1767225600000,"order.shipped",{"source":"bench","priority":"Normal"}]', '{"text":"' || repeat('x', 180) || '"}'
  FROM generate_series(1, ${ENTRIES_EACH}) p, generate_series(1, ${USERS}) s`;
const PUBLISH = `SELECT n FROM nexus.publish_1($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::text[], $10::text[], $11::text[], 2000000000000, 2000000000000)`;
const UNREAD = `SELECT e.place, e.id, e.head, e.payload FROM nexus.streams s JOIN nexus.entries e
  ON e.stream = s.id AND e.place > s.mark AND e.until > 2000000000000 AND NOT e.acknowledged
  WHERE s.tenant = 'acme' AND s.recipient = $1::text ORDER BY e.place`;

function publishValues(sql: SQL, round: number) {
  const items = Array.from({ length: BATCH }, (_, n) => (round * 104_729 + n * 7919) % USERS);
  const texts = (of: (n: number) => string | null) => sql.array(items.map(of), "TEXT");
  const numbers = (value: number) =>
    sql.array(
      items.map(() => value),
      "BIGINT",
    );
  const payload = JSON.stringify({ text: "x".repeat(180) });
  return [
    ...[texts(() => "acme"), texts((n) => `user-${n + 1}`), texts(() => crypto.randomUUID())],
    ...[texts(() => '[1767225600000,"order.shipped",{"source":"bench","priority":"Normal"}]'), texts(() => payload)],
    ...[
      numbers(4_000_000_000_000),
      numbers(Number.MAX_SAFE_INTEGER),
      numbers(100),
      texts(() => null),
      texts(() => null),
      texts(() => null),
    ],
  ];
}

async function layout(name: string, change: (sql: string) => string): Promise<void> {
  await using postgres = await startPostgres({ settings: ["shared_buffers = 256MB", "max_wal_size = 8GB", "autovacuum = off"] });
  await using sql = new SQL(postgres.url, { max: 1 });
  await migrate({ sql, epoch: "bench", log, migrations: MIGRATIONS.map(change) });
  await sql.unsafe(
    `INSERT INTO nexus.streams (tenant, recipient, epoch, top, used_at) SELECT 'acme', 'user-' || n, 'bench', ${ENTRIES_EACH}, 0 FROM generate_series(1, ${USERS}) n`,
  );
  const fill = await timed(() => sql.unsafe(FILL));
  await sql.unsafe("VACUUM ANALYZE");
  const each = async (count: number, work: (n: number) => Promise<unknown>) => {
    const took: number[] = [];
    for (let n = 0; n < count; n++) took.push(await timed(() => work(n)));
    return `p50 ${percentile(took, 0.5).toFixed(2)} ms, p99 ${percentile(took, 0.99).toFixed(2)} ms`;
  };
  await each(50, (n) => sql.unsafe(PUBLISH, publishValues(sql, 1_000_000 + n))); // plans and caches
  const publish = await each(300, (n) => sql.unsafe(PUBLISH, publishValues(sql, n)));
  const unread = await each(1000, (n) => sql.unsafe(UNREAD, [`user-${((n * 7919) % USERS) + 1}`]));
  const step = await each(100, () => sql.unsafe("SELECT nexus.sweep_1(2000, 1000)"));
  const [size] = await sql.unsafe(
    "SELECT sum(pg_relation_size(oid))::float8 AS bytes FROM pg_class WHERE relnamespace = 'nexus'::regnamespace AND relname ~ '^entries'",
  );
  console.log(
    `${name}: ${(USERS * ENTRIES_EACH) / 1e6} million entries (filled in ${(fill / 1000).toFixed(0)} s), ${(size.bytes / USERS / ENTRIES_EACH).toFixed(0)} bytes each with indexes\n` +
      `  ${BATCH} publishes in one statement: ${publish}\n  unread of one user (${ENTRIES_EACH} entries): ${unread}\n  sweep of 1,000 entries: ${step}`,
  );
}

export async function postgresLayout(): Promise<void> {
  await layout("one table", (sql) => sql);
  await layout(`${PARTITIONS} hash partitions`, partitioned);
}
