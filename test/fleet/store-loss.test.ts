// Why: what Redis forgets, and how: each way is done to a real one, and whoever reads is told or loses nothing.
import { afterAll, expect, test } from "bun:test";
import type { Entry, ReadResult } from "@nexus/server/core/ports.ts";
import { freshChannel, freshInbox } from "../contract/subject.ts";
import { startRedis } from "../support/redis/server.ts";
import { storeSubject } from "./store-subject.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const make = () => storeSubject(redis.address);

const ids = (entries: readonly Entry[]) => entries.map(({ notification }) => notification.id);
const told = (result: ReadResult) => (result.kind === "recovered" ? ids(result.entries) : result.reason);

test("FLUSHALL: whoever stood somewhere is told of another epoch, and offsets begin again", async () => {
  await using own = await startRedis();
  await using subject = await storeSubject(own.address);
  const inbox = freshInbox();
  await subject.publish(inbox, "a");
  const before = await subject.store.top(inbox);
  await subject.link.call("FLUSHALL");
  expect(told(await subject.store.read(inbox, before))).toBe("epoch_changed");
  const after = await subject.publish(inbox, "b");
  expect(after?.offset).toBe(1);
  expect(after?.epoch).not.toBe(before.epoch);
  expect(told(await subject.store.read(inbox, before))).toBe("epoch_changed");
  expect(ids((await subject.store.unread(inbox)).entries)).toEqual(["b"]);
});

test("entries evicted, meta kept: offsets go on, and who misses one of the evicted is told for ever", async () => {
  await using subject = await make();
  const { store, link, keys } = subject;
  const inbox = freshInbox();
  for (const id of ["a", "b", "c"]) await subject.publish(inbox, id);
  const top = await store.top(inbox);
  await link.call("DEL", keys.of(inbox, "e"));
  const from = async (offset: number) => told(await store.read(inbox, { ...top, offset }));
  expect([await from(0), await from(2), await from(3)]).toEqual(["window_exceeded", "window_exceeded", []]);
  expect(ids((await store.unread(inbox)).entries)).toEqual([]);
  expect(await subject.publish(inbox, "d")).toEqual({ ...top, offset: 4 });
  expect([await from(0), await from(2), await from(3)]).toEqual(["window_exceeded", "window_exceeded", ["d"]]);
  expect(Number(await link.call("PTTL", keys.of(inbox, "e")))).toBeGreaterThan(60_000);
});

test("entries gone that had all outlived their own ttl: nothing was lost, before and after the next publish", async () => {
  await using subject = await make();
  const { store, link, keys } = subject;
  const inbox = freshInbox();
  await subject.publish(inbox, "kept for as long as it can be");
  for (const id of ["a", "b"]) await subject.publish(inbox, id, { ttl: 5 });
  const top = await store.top(inbox);
  const from = async (offset: number) => told(await store.read(inbox, { ...top, offset }));
  await link.call("DEL", keys.of(inbox, "e"));
  expect([await from(1), await from(2)]).toEqual(["window_exceeded", "window_exceeded"]);
  subject.clock.advance(6000);
  expect([await from(0), await from(1), await from(2)]).toEqual(["window_exceeded", [], []]);
  await subject.publish(inbox, "c");
  expect([await from(0), await from(1), await from(3)]).toEqual(["window_exceeded", ["c"], ["c"]]);
});

test("meta evicted, entries kept: another epoch, in which nothing of the old one is read or acknowledged", async () => {
  await using subject = await make();
  const { store, link, keys } = subject;
  const inbox = freshInbox();
  for (const id of ["a", "b", "c"]) await subject.publish(inbox, id);
  await store.acknowledge(inbox, "b");
  const before = await store.top(inbox);
  await link.call("DEL", keys.of(inbox, "m"));
  expect([await store.has(inbox, "a"), await store.acknowledge(inbox, "a"), await store.remove(inbox, "a")]).toEqual([false, false, false]);
  expect(await store.unreadCount(inbox)).toBe(0);
  const after = await subject.publish(inbox, "d");
  expect(after).toEqual({ epoch: expect.not.stringContaining(before.epoch), offset: 1 });
  expect(told(await store.read(inbox, { ...before, offset: 1 }))).toBe("epoch_changed");
  await subject.publish(inbox, "e");
  expect(ids((await store.unread(inbox)).entries)).toEqual(["d", "e"]);
  expect(await store.has(inbox, "a")).toBe(false);
});

test("meta evicted and looked at before anyone publishes: the same", async () => {
  await using subject = await make();
  const inbox = freshInbox();
  for (const id of ["a", "b"]) await subject.publish(inbox, id);
  const before = await subject.store.top(inbox);
  await subject.link.call("DEL", subject.keys.of(inbox, "m"));
  expect(told(await subject.store.read(inbox, before))).toBe("epoch_changed");
  expect(await subject.store.page(inbox, { limit: 10 })).toMatchObject({ entries: [], top: { offset: 0 }, more: false });
});

test("meta older than its entries: nobody can say what the offsets were, so another epoch begins", async () => {
  await using subject = await make();
  const { store, link, keys } = subject;
  const channel = freshChannel();
  await subject.publish(channel, "a");
  const [top, type] = [await store.top(channel), await link.call("HGET", keys.of(channel, "m"), "t")];
  for (const id of ["b", "c"]) await subject.publish(channel, id);
  await link.call("HSET", keys.of(channel, "m"), "t", String(type));
  const after = await subject.publish(channel, "d");
  expect(after).toEqual({ epoch: expect.not.stringContaining(top.epoch), offset: 1 });
  expect(told(await store.read(channel, { epoch: after?.epoch ?? "", offset: 0 }))).toEqual(["d"]);
});

/** The state of a stream's keys, to be put back as a failover to a lagging replica would. */
async function snapshot({ link, keys }: Awaited<ReturnType<typeof make>>, stream: ReturnType<typeof freshInbox>) {
  const names = [keys.of(stream, "m"), keys.of(stream, "e")];
  for (const name of names) await link.call("COPY", name, `${name}-copy`, "REPLACE");
  return async () => {
    for (const name of names) await link.call("COPY", `${name}-copy`, name, "REPLACE");
  };
}

test("a store that went back starts another epoch when a node says so, keeps what it has, and does so once", async () => {
  await using subject = await make();
  const { store } = subject;
  const inbox = freshInbox();
  for (const id of ["a", "b"]) await subject.publish(inbox, id);
  const restore = await snapshot(subject, inbox);
  const announced = await subject.publish(inbox, "c");
  expect(announced?.offset).toBe(3);
  if (!announced) return;
  expect(await store.seen(inbox, announced)).toEqual(announced);
  await restore();
  const tops = await Promise.all([store.seen(inbox, announced), subject.sibling().seen(inbox, announced), store.seen(inbox, announced)]);
  const [first] = tops;
  expect(first).toEqual({ epoch: expect.not.stringContaining(announced.epoch), offset: 2 });
  expect(tops).toEqual([first, first, first] as typeof tops);
  expect(told(await store.read(inbox, announced))).toBe("epoch_changed");
  expect(ids((await store.unread(inbox)).entries)).toEqual(["a", "b"]);
  expect(await subject.publish(inbox, "d")).toEqual({ epoch: first?.epoch ?? "", offset: 3 });
});

test("out of memory: a publish is refused whole, what is kept can be read, and it goes on when there is room", async () => {
  await using own = await startRedis({ settings: ["maxmemory-policy noeviction"] });
  await using subject = await storeSubject(own.address);
  const { store, link } = subject;
  const inbox = freshInbox();
  const first = await subject.publish(inbox, "a");
  await link.call("CONFIG", "SET", "maxmemory", "1");
  const refused = await subject.publish(inbox, "b").then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({ refusal: { code: "broker_unavailable" } });
  const stranger = await subject.publish(freshInbox(), "b").catch((error: unknown) => error);
  expect(stranger).toMatchObject({ refusal: { code: "broker_unavailable" } });
  expect(await store.top(inbox)).toEqual(first ?? { epoch: "", offset: 0 });
  expect((await store.top(freshInbox())).offset).toBe(0); // it may come in, and is told of another epoch later
  expect(ids((await store.unread(inbox)).entries)).toEqual(["a"]);
  await link.call("CONFIG", "SET", "maxmemory", "0");
  expect((await subject.publish(inbox, "c"))?.offset).toBe(2);
});
