// Why: what a restart keeps, clean or not, and when places that were given out before must not be trusted any more.
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { SqliteEngine } from "@nexus/server/adapters/sqlite/engine.ts";
import { bootId } from "@nexus/server/adapters/sqlite/seal.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import type { StoredTemplate } from "@nexus/server/core/record-ports.ts";
import { notification, publish } from "../contract/subject.ts";
import { sqliteFolder } from "./sqlite-folder.ts";

const inbox: StreamId = { kind: "inbox", tenant: "acme", user: "ann" };
const channel: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
const template: StoredTemplate = {
  ...{ name: "Welcome", description: undefined, createdAt: 1, updatedAt: 2 },
  settings: {
    ...{ tenant_id: "acme", template_id: "welcome", event_type: "e", priority: "Normal", engine: "Simple" },
    ...{ variables: [], payload: { text: "hello" }, locales: [] },
  },
};

type Folder = ReturnType<typeof sqliteFolder>;
const send = (folder: Folder, engine: SqliteEngine, stream: StreamId, id: string, change: { ttl?: number; key?: string } = {}) => {
  const { key, ttl } = change;
  const subject = { engine, now: folder.now, advance: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
  return publish(subject, stream, {
    notification: notification(subject, { id, payload: { id }, ...(ttl === undefined ? {} : { ttl }) }),
    ...(key === undefined ? {} : { idempotency: { key, fingerprint: "body" } }),
  });
};
const unread = async (engine: SqliteEngine) => (await engine.store.unread(inbox)).entries.map((entry) => entry.notification.id);

/** A bit of everything that has to outlive a process. */
async function fill(folder: Folder, engine: SqliteEngine) {
  for (const id of ["a", "b", "c", "d", "e"]) await send(folder, engine, inbox, id);
  const { epoch } = await engine.store.top(inbox);
  await engine.store.setMark(inbox, { epoch, offset: 1 });
  await engine.store.acknowledge(inbox, "c");
  await engine.store.remove(inbox, "d");
  const first = await send(folder, engine, channel, "n1", { key: "once" });
  await engine.templates.create("acme", template, 10);
  await engine.writes.begin("acme/create", { key: "w", fingerprint: "f" });
  await engine.writes.finish("acme/create", "w", { status: 201, body: "{}" });
  await engine.writes.begin("acme/create", { key: "unfinished", fingerprint: "f" });
  return { epoch, first };
}

async function expectFilled(folder: Folder, engine: SqliteEngine, { epoch, first }: Awaited<ReturnType<typeof fill>>) {
  expect(await unread(engine)).toEqual(["b", "e"]);
  expect(await engine.store.top(inbox)).toEqual({ epoch, offset: 5 });
  const read = await engine.store.read(inbox, { epoch, offset: 0 });
  expect(read.kind === "recovered" && read.entries.map((entry) => [entry.position?.offset, entry.notification.payloadJson])).toEqual([
    [1, '{"id":"a"}'],
    [2, '{"id":"b"}'],
    [3, '{"id":"c"}'],
    [5, '{"id":"e"}'],
  ]);
  const again = await send(folder, engine, channel, "n2", { key: "once" });
  expect(again).toEqual({ kind: "replayed", record: first.kind === "published" ? first.record : expect.anything() });
  expect(await engine.templates.list("acme")).toEqual([template]);
  expect(await engine.writes.begin("acme/create", { key: "w", fingerprint: "f" })).toEqual({
    kind: "done",
    answer: { status: 201, body: "{}" },
  });
  // Nobody is there any more to finish it.
  expect(await engine.writes.begin("acme/create", { key: "unfinished", fingerprint: "f" })).toEqual({ kind: "begun" });
  const next = await send(folder, engine, inbox, "f");
  expect(next.kind === "published" && next.record.position).toEqual({ epoch, offset: 6 });
}

describe("a restart", () => {
  test("that is clean keeps everything, leaves no log, and warns of nothing", async () => {
    await using folder = sqliteFolder();
    const before = await folder.open();
    const filled = await fill(folder, before);
    await before.close();
    expect([existsSync(`${folder.file}-wal`), existsSync(`${folder.file}-seal`)]).toEqual([false, true]);
    await expectFilled(folder, await folder.open(), filled);
    expect(folder.events()).toEqual([]);
  });

  test("after a kill keeps everything, with both settings", async () => {
    for (const synchronous of ["FULL", "NORMAL"] as const) {
      await using folder = sqliteFolder();
      const filled = await fill(folder, await folder.open({ synchronous }));
      const after = await folder.open({ synchronous, file: folder.image("killed") });
      await expectFilled(folder, after, filled);
      expect(folder.events()).toEqual([]);
    }
  });

  test("in the middle of a group of writes keeps all of it or none", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open({ synchronous: "NORMAL" });
    await send(folder, engine, inbox, "before");
    const group = Promise.all(Array.from({ length: 50 }, (_, i) => send(folder, engine, channel, `g${i}`)));
    const early = folder.image("early");
    await group;
    const late = folder.image("late");
    const countIn = async (file: string) => (await (await folder.open({ file })).store.top(channel)).offset;
    expect([await countIn(early), await countIn(late)]).toEqual([0, 50]);
  });

  test("lets nobody else read the files", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    await send(folder, engine, inbox, "a");
    await engine.sweep();
    for (const part of ["", "-wal", "-seal"]) expect(statSync(folder.file + part).mode & 0o077).toBe(0);
  });
});

test("the hash that finds records of idempotent publishes is the one that is in the files", () => {
  expect([Bun.hash.xxHash32("", 0), Bun.hash.xxHash32("abc", 0)]).toEqual([0x02cc5d05, 0x32d153ff]); // the algorithm's own vectors
});

describe("places given out before are not trusted", () => {
  const stale = async (engine: SqliteEngine, place: { epoch: string; offset: number }) => {
    const answer = await engine.store.read(inbox, place);
    expect(answer).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
    const empty = await engine.store.read({ ...inbox, user: "never-seen" }, { epoch: place.epoch, offset: 0 });
    expect(empty).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
  };

  test("when the database was made anew", async () => {
    await using folder = sqliteFolder();
    const before = await folder.open();
    await send(folder, before, inbox, "a");
    const place = await before.store.top(inbox);
    await before.close();
    rmSync(folder.file);
    await stale(await folder.open(), place);
  });

  test("when an older copy was put back, and only then", async () => {
    await using folder = sqliteFolder();
    const first = await folder.open();
    await send(folder, first, inbox, "a");
    const copied = await first.store.top(inbox);
    await first.close();
    const copy = folder.image("backup");
    const second = await folder.open();
    for (const id of ["b", "c"]) await send(folder, second, inbox, id);
    await second.close();
    copyFileSync(copy, folder.file); // the seal of the second run stays where it is
    const restored = await folder.open();
    await stale(restored, copied);
    expect(await unread(restored)).toEqual(["a"]);
    expect(folder.lines).toMatchObject([
      { level: "warn", event: "sqlite.epochs_renewed", fields: { reason: expect.stringContaining("older") } },
    ]);
    const place = await restored.store.top(inbox);
    await restored.close();
    expect(await (await folder.open()).store.top(inbox)).toEqual(place); // renewed once, not with every start
  });

  test("when the seal is missing or another database's", async () => {
    await using folder = sqliteFolder();
    const first = await folder.open();
    await send(folder, first, inbox, "a");
    const place = await first.store.top(inbox);
    await first.close();
    rmSync(`${folder.file}-seal`);
    const second = await folder.open();
    await stale(second, place);
    const again = await second.store.top(inbox);
    await second.close();
    writeFileSync(`${folder.file}-seal`, "somebody-else 0\n");
    await stale(await folder.open(), again);
  });

  test("when power may have been lost with NORMAL; with FULL nothing can be missing", async () => {
    for (const synchronous of ["NORMAL", "FULL"] as const) {
      await using folder = sqliteFolder();
      const engine = await folder.open({ synchronous });
      await send(folder, engine, inbox, "a");
      const place = await engine.store.top(inbox);
      await engine.sweep();
      const killed = folder.image("killed");
      const { Database } = await import("bun:sqlite");
      const db = new Database(killed);
      const left = db.query<{ value: string }, []>("SELECT value FROM meta WHERE name = 'run'").get()?.value;
      expect(left).toBe(`${synchronous} ${bootId()}`);
      db.run("UPDATE meta SET value = ? WHERE name = 'run'", [`${synchronous} another-boot`]);
      db.close();
      const after = await folder.open({ synchronous, file: killed });
      if (synchronous === "NORMAL") await stale(after, place);
      else expect(await after.store.top(inbox)).toEqual(place);
    }
  });

  test("the seal follows the database, never the other way round", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    const sealed = () => Number(readFileSync(`${folder.file}-seal`, "utf8").split(" ")[1]);
    for (let i = 1; i <= 3; i++) {
      await send(folder, engine, inbox, `s${i}`);
      expect(sealed()).toBeLessThanOrEqual(i);
      await engine.sweep();
      expect(sealed()).toBe(i);
    }
  });
});
