// Why: servers that start together, and two releases that share a database, must find it as they need it, or say why not.
import { afterAll, expect, test } from "bun:test";
import { migrate } from "@nexus/server/adapters/postgres/migrate.ts";
import { MIGRATIONS } from "@nexus/server/adapters/postgres/schema.ts";
import { SQL } from "bun";
import { startPostgres } from "../support/postgres.ts";

const postgres = await startPostgres();
afterAll(() => postgres[Symbol.asyncDispose]());

function recordingLog() {
  const events: string[] = [];
  return { events, log: { info: (event: string) => events.push(event), warn: (event: string) => events.push(event) } };
}
const connect = (url: string) => new SQL(url, { max: 1 });
const rowsOf = async (sql: SQL, text: string): Promise<readonly Record<string, unknown>[]> => [...(await sql.unsafe(text))];

test("ten servers that start at the same moment migrate once", async () => {
  const url = await postgres.database("raced");
  const { log } = recordingLog();
  const connections = Array.from({ length: 10 }, () => connect(url));
  await Promise.all(connections.map((sql, at) => migrate({ sql, epoch: `epoch-${at}`, log })));
  await Promise.all(connections.map((sql) => sql.close()));
  await using sql = connect(url);
  expect(await rowsOf(sql, "SELECT version FROM nexus.schema_version ORDER BY version")).toEqual(
    MIGRATIONS.map((_, at) => ({ version: at + 1 })),
  );
  expect((await rowsOf(sql, "SELECT value FROM nexus.meta")).length).toBe(1);
});

test("a database one version ahead is shared, one further ahead is refused and left alone", async () => {
  const url = await postgres.database("ahead");
  await using sql = connect(url);
  const { log, events } = recordingLog();
  const next = [...MIGRATIONS, "CREATE TABLE nexus.later (id int)"];
  await migrate({ sql, epoch: "first", log, migrations: next });
  await migrate({ sql, epoch: "second", log });
  expect(events.filter((event) => event === "postgres.newer_schema")).toEqual(["postgres.newer_schema"]);
  await migrate({ sql, epoch: "third", log, migrations: [...next, "CREATE TABLE nexus.muchlater (id int)"] });
  const known = MIGRATIONS.length;
  await expect(migrate({ sql, epoch: "fourth", log })).rejects.toThrow(`schema ${known + 2}, this one knows ${known}`);
  expect(await rowsOf(sql, "SELECT value FROM nexus.meta")).toEqual([{ value: "first" }]);
});

test("a migration that fails leaves nothing behind", async () => {
  const url = await postgres.database("failing");
  await using sql = connect(url);
  const { log } = recordingLog();
  const broken = [...MIGRATIONS, "CREATE TABLE nexus.half (id int); SELECT 1 / 0"];
  await expect(migrate({ sql, epoch: "e", log, migrations: broken })).rejects.toThrow();
  expect(await rowsOf(sql, "SELECT 1 FROM pg_namespace WHERE nspname = 'nexus'")).toEqual([]);
  await migrate({ sql, epoch: "e", log });
  expect((await rowsOf(sql, "SELECT 1 FROM nexus.schema_version")).length).toBe(MIGRATIONS.length);
});

test("a role that may not create schemas migrates the one an administrator made for it", async () => {
  const url = await postgres.database("narrow");
  await using admin = connect(url);
  await admin.unsafe("CREATE ROLE narrow LOGIN PASSWORD 'narrow'");
  await admin.unsafe("CREATE SCHEMA nexus AUTHORIZATION narrow");
  const address = new URL(url);
  address.username = "narrow";
  address.password = "narrow";
  await using sql = connect(address.href);
  await migrate({ sql, epoch: "e", log: recordingLog().log });
  expect((await rowsOf(sql, "SELECT nexus.epoch_1('e') AS epoch")).length).toBe(1);
});

test("a database that may lose what it acknowledged is told of", async () => {
  const url = await postgres.database("careless"); // the test's server runs with synchronous_commit off
  await using sql = connect(url);
  const { log, events } = recordingLog();
  await migrate({ sql, epoch: "e", log });
  expect(events).toEqual(["postgres.not_durable"]);
});
