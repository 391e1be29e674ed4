// Why: a full disk, a broken one and a file that would grow for ever: what is refused, what leaves, and who is told.
import { describe, expect, test } from "bun:test";
import { Failure } from "@nexus/protocol/failures.ts";
import { openDatabase } from "@nexus/server/adapters/sqlite/database.ts";
import type { SqliteEngine } from "@nexus/server/adapters/sqlite/engine.ts";
import type { Entry, PublishOutcome, StreamId } from "@nexus/server/core/ports.ts";
import { eventually } from "../support/eventually.ts";
import { sqliteFolder } from "./sqlite-folder.ts";

type Folder = ReturnType<typeof sqliteFolder>;
const channel = (name: string): StreamId => ({ kind: "channel", tenant: "acme", channel: name });
const news = channel("news");
let ordinal = 0;

type Change = {
  readonly stream?: StreamId;
  readonly bytes?: number;
  readonly entries?: number;
  readonly ttlSeconds?: number;
  readonly key?: string;
};
function send(folder: Folder, engine: SqliteEngine, change: Change = {}): Promise<PublishOutcome> {
  const { stream = news, bytes = 1000, entries = 10_000, ttlSeconds = 60, key } = change;
  return engine.store.publish({
    stream,
    notification: {
      ...{ id: `n-${++ordinal}`, occurredAt: folder.now(), eventType: "e", payloadJson: JSON.stringify("x".repeat(bytes)) },
      metadata: { source: "test", priority: "Normal" },
    },
    retention: { entries, ttlSeconds },
    ...(key === undefined ? {} : { idempotency: { key, fingerprint: "f" } }),
  });
}
const failureOf = (sent: Promise<unknown>): Promise<string | undefined> =>
  sent.then(
    () => undefined,
    (error: unknown) => (error instanceof Failure ? error.refusal.code : String(error)),
  );
const listen = async (engine: SqliteEngine, stream = news) => {
  const heard: Entry[] = [];
  await engine.bus.listen(stream, { onEntry: (entry) => void heard.push(entry), onGap: () => undefined });
  return heard;
};

describe("a full disk", () => {
  /** A database that may have so many pages and no more. */
  const small = (pages: number) => (file: string) => {
    const opened = openDatabase(file);
    opened.db.run(`PRAGMA max_page_count = ${pages}`);
    return opened;
  };

  test("refuses publishes, announces none of them, says so once, serves what is there, and recovers when there is room", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open({ open: small(60) });
    const heard = await listen(engine);
    let stored = 0;
    while ((await failureOf(send(folder, engine))) === undefined) stored++;
    expect(stored).toBeGreaterThan(10);
    const group = await Promise.all(Array.from({ length: 5 }, () => failureOf(send(folder, engine))));
    expect(group).toEqual(Array.from({ length: 5 }, () => "broker_unavailable"));
    expect(engine.degraded()).toBe(true);
    expect(folder.lines).toMatchObject([
      { level: "error", event: "sqlite.write_failed", fields: { file: folder.file, reason: "SQLITE_FULL" } },
    ]);

    const { epoch } = await engine.store.top(news);
    const read = await engine.store.read(news, { epoch, offset: 0 });
    expect(read.kind === "recovered" && read.entries.map((entry) => entry.position?.offset)).toEqual(
      heard.map((entry) => entry.position?.offset),
    );
    expect(heard.length).toBe(stored);
    const live = await listen(engine, channel("live"));
    expect(await failureOf(send(folder, engine, { stream: channel("live"), entries: 0 }))).toBeUndefined();
    expect(live.length).toBe(1);

    folder.clock.advance(61_000);
    await eventually("expired entries made room", async () => {
      await engine.sweep();
      return (await failureOf(send(folder, engine))) === undefined;
    });
    expect(engine.degraded()).toBe(false);
    expect(heard.at(-1)?.position).toEqual({ epoch, offset: stored + 1 }); // nothing that was refused took an offset
    expect(folder.events().filter((event) => event === "sqlite.write_failed" || event === "sqlite.recovered")).toEqual([
      "sqlite.write_failed",
      "sqlite.recovered",
    ]);
  });

  test("a group that fails half-way leaves none of it: records and offsets are as before", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open({ open: small(60) });
    await send(folder, engine, { key: "first" });
    const group = Array.from({ length: 200 }, (_, i) => failureOf(send(folder, engine, { key: `k${i}` })));
    expect(new Set(await Promise.all(group))).toEqual(new Set(["broker_unavailable"]));
    expect((await engine.store.top(news)).offset).toBe(1);
    expect((await send(folder, engine, { key: "k0" })).kind).toBe("published");
    expect((await send(folder, engine, { key: "first" })).kind).toBe("replayed");
  });
});

test("a flush that fails: nothing is answered or announced, and nothing more is taken until a new process has read the file", async () => {
  await using folder = sqliteFolder();
  let isBroken = false;
  const open = (file: string) => {
    const opened = openDatabase(file);
    return { ...opened, sync: () => (isBroken ? Promise.reject(Object.assign(new Error("i/o"), { code: "EIO" })) : opened.sync()) };
  };
  const engine = await folder.open({ open });
  const heard = await listen(engine);
  await send(folder, engine);
  isBroken = true;
  expect(await Promise.all([failureOf(send(folder, engine)), failureOf(engine.store.setMark(news, { epoch: "e", offset: 1 }))])).toEqual([
    "broker_unavailable",
    "broker_unavailable",
  ]);
  isBroken = false;
  expect([await failureOf(send(folder, engine)), await failureOf(engine.store.top(news))]).toEqual([
    "broker_unavailable",
    "broker_unavailable",
  ]);
  expect([heard.length, engine.degraded()]).toEqual([1, true]);
  expect(folder.lines).toMatchObject([{ level: "error", event: "sqlite.sync_failed", fields: { reason: "EIO" } }]);
});

describe("writes in one turn", () => {
  test("share a flush, those that come meanwhile share the next, and all are announced in the order of offsets", async () => {
    await using folder = sqliteFolder();
    const flushes: PromiseWithResolvers<void>[] = [];
    let isHeld = false;
    const open = (file: string) => {
      const opened = openDatabase(file);
      const sync = async () => {
        if (!isHeld) return await opened.sync();
        const flush = Promise.withResolvers<void>();
        flushes.push(flush);
        await flush.promise;
      };
      return { ...opened, sync };
    };
    const engine = await folder.open({ open });
    isHeld = true;
    const heard = await listen(engine);
    const offsets = () => heard.map((entry) => entry.position?.offset);
    const first = Promise.all(Array.from({ length: 10 }, () => send(folder, engine)));
    await eventually("the first flush", () => flushes.length === 1, { intervalMs: 1 });
    const second = Promise.all(Array.from({ length: 10 }, () => send(folder, engine)));
    // What is committed and not flushed is not shown either.
    let top: { offset: number } | undefined;
    const asked = engine.store.top(news).then((found) => {
      top = found;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([flushes.length, offsets(), top]).toEqual([1, [], undefined]);
    flushes[0]?.resolve();
    await Promise.all([first, asked]);
    expect(offsets()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await eventually("the second flush", () => flushes.length === 2, { intervalMs: 1 });
    isHeld = false;
    flushes[1]?.resolve();
    await second;
    expect(offsets()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(top?.offset).toBe(10);
  });

  test("a listener that throws takes nobody else's announcement away", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    await engine.bus.listen(channel("bad"), {
      onEntry: () => {
        throw new Error("a bug");
      },
      onGap: () => undefined,
    });
    const heard = await listen(engine);
    const sent = [channel("bad"), news].map((stream) => send(folder, engine, { stream }));
    expect((await Promise.all(sent)).map(({ kind }) => kind)).toEqual(["published", "published"]);
    expect([heard.length, folder.events()]).toEqual([1, ["sqlite.listener_failed"]]);
  });
});

describe("the file does not grow for ever", () => {
  test("above the byte limit the oldest go first, and readers of what went are told", async () => {
    await using folder = sqliteFolder();
    const maxBytes = 2 * 1024 * 1024;
    const engine = await folder.open({ maxBytes, synchronous: "NORMAL" });
    const [old, recent] = [channel("old"), channel("recent")];
    const start = await engine.store.top(old);
    for (let i = 0; i < 10; i++) await send(folder, engine, { stream: old, bytes: 10_000 });
    await Promise.all(Array.from({ length: 1000 }, () => send(folder, engine, { stream: channel("much"), bytes: 10_000 })));
    const recentStart = await engine.store.top(recent);
    for (let i = 0; i < 10; i++) await send(folder, engine, { stream: recent, bytes: 10_000 });
    expect(engine.usage().bytes).toBeLessThanOrEqual(maxBytes);
    expect(engine.usage().evicted).toBeGreaterThan(100);
    expect(await engine.store.read(old, start)).toMatchObject({ kind: "not_recovered", reason: "window_exceeded", top: { offset: 10 } });
    const read = await engine.store.read(recent, recentStart);
    expect(read.kind === "recovered" && read.entries.length).toBe(10);
  });

  test("what expired leaves without anybody reading it, in steps, and its room is used again", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open({ synchronous: "NORMAL" });
    const rounds: number[] = [];
    for (let round = 0; round < 4; round++) {
      const many = Array.from({ length: 600 }, (_, i) =>
        send(folder, engine, { stream: channel(`c${i % 50}`), ttlSeconds: 10, key: `r${round}-${i}` }),
      );
      await Promise.all(many);
      folder.clock.advance(86_400_001);
      await engine.sweep();
      rounds.push(engine.usage().bytes);
    }
    expect(rounds.at(-1)).toBeLessThanOrEqual((rounds[0] ?? 0) * 1.2);
    expect((await engine.store.page(channel("c1"), { limit: 10 })).entries).toEqual([]);
    expect(await engine.store.read(channel("c1"), { ...(await engine.store.top(channel("c1"))), offset: 0 })).toMatchObject({
      reason: "window_exceeded",
    });
  });

  test("a stream nobody used for a month is forgotten, and its old places are never taken for new ones", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    await send(folder, engine);
    const place = await engine.store.top(news);
    await send(folder, engine, { stream: channel("busy") });
    folder.clock.advance(29 * 86_400_000);
    await engine.sweep();
    expect(await engine.store.top(news)).toEqual(place); // it can still prove what was lost
    await send(folder, engine, { stream: channel("busy") });
    const busy = await engine.store.top(channel("busy"));
    folder.clock.advance(2 * 86_400_000);
    await engine.sweep();
    await send(folder, engine);
    expect(await engine.store.read(news, place)).toMatchObject({ reason: "epoch_changed", top: { offset: 1 } });
    expect(await engine.store.top(channel("busy"))).toEqual(busy);
  });

  test("what inboxes hold is counted for people who look at /health", async () => {
    await using folder = sqliteFolder();
    const engine = await folder.open();
    const inbox = (user: string): StreamId => ({ kind: "inbox", tenant: "acme", user });
    for (const user of ["ann", "ann", "ann", "bob"])
      await send(folder, engine, { stream: inbox(user), ttlSeconds: user === "bob" ? 10 : 60 });
    await send(folder, engine);
    expect(engine.waiting()).toEqual({ messages: 4, users: 2 });
    await engine.store.setMark(inbox("ann"), { ...(await engine.store.top(inbox("ann"))), offset: 2 });
    folder.clock.advance(11_000);
    await engine.sweep();
    expect(engine.waiting()).toEqual({ messages: 1, users: 1 });
  });
});
