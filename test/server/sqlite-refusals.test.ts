// Why: a file that cannot be used is refused with words that say which file and what to do; nothing in it is changed.

import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isEmpty, migrate } from "@nexus/server/adapters/sqlite/schema.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import { eventually } from "../support/eventually.ts";
import { sqliteFolder } from "./sqlite-folder.ts";

const channel: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
type Folder = ReturnType<typeof sqliteFolder>;

async function refusal(folder: Folder, file = folder.file): Promise<string> {
  const error = await folder.open({ file }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return error instanceof Error ? error.message : "";
}

function fill(folder: Folder, engine: Awaited<ReturnType<Folder["open"]>>, count: number, payload = "x".repeat(500)) {
  return Promise.all(
    Array.from({ length: count }, (_, i) =>
      engine.store.publish({
        stream: channel,
        notification: {
          ...{ id: `n${i}`, occurredAt: folder.now(), eventType: "e", payloadJson: JSON.stringify(payload) },
          metadata: { source: "test", priority: "Normal" },
        },
        retention: { entries: 100_000, ttlSeconds: 3600 },
      }),
    ),
  );
}

describe("refused", () => {
  test("a file of a newer version", async () => {
    await using folder = sqliteFolder();
    await (await folder.open()).close();
    const db = new Database(folder.file);
    db.run("PRAGMA user_version = 99");
    db.close();
    const message = await refusal(folder);
    expect(message).toContain(folder.file);
    expect(message).toContain("written by a newer Nexus (schema 99");
  });

  test("somebody else's database, and it stays as it was", async () => {
    await using folder = sqliteFolder();
    const db = new Database(folder.file, { create: true });
    db.run("CREATE TABLE people (name TEXT)");
    db.close();
    const before = readFileSync(folder.file);
    expect(await refusal(folder)).toContain("not one of Nexus");
    expect(readFileSync(folder.file).equals(before)).toBe(true);
  });

  test("a file that is no database", async () => {
    await using folder = sqliteFolder();
    const text = "not a database, but long enough to look at: ".repeat(100);
    writeFileSync(folder.file, text);
    const message = await refusal(folder);
    expect(message).toContain(`${folder.file} is damaged`);
    expect(message).toContain("put back a backup, or move it away");
    expect(readFileSync(folder.file, "utf8")).toBe(text);
  });

  test("a database with a page that was overwritten", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    await fill(folder, engine, 500);
    await engine.close();
    const handle = openSync(folder.file, "r+");
    writeSync(handle, Buffer.alloc(4096 * 8, 0x5a), 0, 4096 * 8, 4096 * 20);
    expect(await refusal(folder)).toContain(`${folder.file} is damaged`);
  });

  test("a file another process has, until that one ends", async () => {
    await using folder = sqliteFolder();
    const program = `
      const { createSqliteEngine } = await import(${JSON.stringify(join(import.meta.dir, "../../server/src/adapters/sqlite/engine.ts"))});
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const clock = { now: () => Date.now(), monotonic: () => performance.now() };
      const ids = { uuid: () => crypto.randomUUID(), epoch: () => crypto.randomUUID().slice(0, 12) };
      await createSqliteEngine({ clock, ids, log, file: ${JSON.stringify(folder.file)}, synchronous: "FULL", maxBytes: 1 << 30 });
      console.log("open");
      setInterval(() => undefined, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
    try {
      const reader = child.stdout.getReader();
      await eventually("the other process has the file", async () => (await reader.read()).value !== undefined);
      expect(await refusal(folder)).toBe(`${folder.file} is in use by another process; a file belongs to one server`);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    const engine = await folder.open();
    await fill(folder, engine, 1);
  });

  test("a folder that is a file, and one that cannot be written, where rights apply", async () => {
    await using folder = sqliteFolder();
    writeFileSync(join(folder.path, "plain"), "");
    const below = join(folder.path, "plain/nexus.db");
    expect(await refusal(folder, below)).toContain(below);
    if (process.getuid?.() === 0) return; // root may write anywhere
    mkdirSync(join(folder.path, "closed"));
    chmodSync(join(folder.path, "closed"), 0o500);
    expect(await refusal(folder, join(folder.path, "closed/nexus.db"))).toContain("cannot be written");
  });
});

describe("migrations", () => {
  const first = "CREATE TABLE one (a TEXT)";
  const second = "ALTER TABLE one ADD COLUMN b TEXT DEFAULT 'new'";

  test("bring an older file forward, keep what is in it, and run once", () => {
    using db = new Database(":memory:");
    expect(isEmpty(db, "file", [first])).toBe(true);
    migrate(db, [first]);
    db.run("INSERT INTO one VALUES ('kept')");
    for (let start = 0; start < 2; start++) {
      expect(isEmpty(db, "file", [first, second])).toBe(false);
      migrate(db, [first, second]);
    }
    expect(db.query("SELECT * FROM one").all()).toEqual([{ a: "kept", b: "new" }]);
    expect(() => isEmpty(db, "file", [first])).toThrow("file was written by a newer Nexus (schema 2, this one knows 1)");
  });

  test("that fail change nothing", () => {
    using db = new Database(":memory:");
    migrate(db, [first]);
    expect(() => migrate(db, [first, `${second}; INSERT INTO nowhere VALUES (1)`])).toThrow("nowhere");
    expect(db.query("PRAGMA user_version").get()).toEqual({ user_version: 1 });
    expect(db.query<{ name: string }, []>("SELECT name FROM pragma_table_info('one')").all()).toEqual([{ name: "a" }]);
  });
});
