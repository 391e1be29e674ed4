// Why: what the stream store owes Redis and its neighbours beyond the contract: few commands, short looks, keys that end,
// and answers that stay exact with thousands of entries and many nodes.
import { afterAll, expect, test } from "bun:test";
import { decodeAnnouncement } from "@nexus/server/adapters/redis/entry-text.ts";
import type { Entry, PublishOutcome, StreamId } from "@nexus/server/core/ports.ts";
import { freshChannel, freshInbox, freshTenant } from "../contract/subject.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { type StoreSubject, storeSubject } from "./store-subject.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const make = (online = 0) => storeSubject(redis.address, online);

const ids = (entries: readonly Entry[]) => entries.map(({ notification }) => notification.id);
const KEEP = { retention: { entries: 5000, ttlSeconds: 3600 } };

async function fill(subject: StoreSubject, stream: StreamId, count: number, payloadJson = "null") {
  const names = Array.from({ length: count }, (_, i) => `n${i + 1}`);
  await Promise.all(names.map((id) => subject.publish(stream, id, { ...KEEP, payloadJson })));
  return names;
}

test("thousands of entries are read, paged, counted and found whole, in looks that are short", async () => {
  await using subject = await make();
  const { store, ran } = subject;
  const inbox = freshInbox();
  const names = await fill(subject, inbox, 3000, JSON.stringify("x".repeat(500)));
  const start = { ...(await store.top(inbox)), offset: 0 };
  ran.length = 0;
  const whole = await store.read(inbox, start);
  expect(whole.kind === "recovered" && ids(whole.entries)).toEqual(names);
  expect(ran.length).toBeGreaterThanOrEqual(5); // 1.7 MB, a quarter of a megabyte each
  expect(ran.length).toBeLessThan(20);
  expect(ids((await store.unread(inbox)).entries)).toEqual(names);
  expect(await store.unreadCount(inbox)).toBe(3000);
  const page = await store.page(inbox, { limit: 1000 });
  expect(ids(page.entries.map(({ entry }) => entry))).toEqual(names.toReversed().slice(0, 1000));
  expect([page.more, (await store.page(inbox, { before: 1001, limit: 1000 })).more]).toEqual([true, false]);
  expect([await store.has(inbox, "n1"), await store.has(inbox, "n0"), await store.remove(inbox, "n2")]).toEqual([true, false, true]);
  expect([await store.acknowledge(inbox, "n1"), await store.unreadCount(inbox)]).toEqual([true, 2998]);
  expect(ids((await store.unread(inbox)).entries)).toEqual(names.slice(2));
});

test("a thousand readers of one place ask Redis a few times, and none gets a look from before its question", async () => {
  await using subject = await make();
  const { store, ran } = subject;
  const channel = freshChannel();
  const start = await store.top(channel);
  await subject.publish(channel, "a");
  ran.length = 0;
  const early = store.read(channel, start);
  const published = subject.publish(channel, "b");
  const late = Array.from({ length: 1000 }, () => store.read(channel, start));
  await Promise.all([early, published]);
  for (const result of await Promise.all(late)) expect(result.kind === "recovered" && ids(result.entries)).toEqual(["a", "b"]);
  expect(ran.filter((name) => name === "nexusRead").length).toBe(2);
});

test("a reader that shared a look that failed is told; the next one asks again", async () => {
  await using subject = await make();
  const channel = freshChannel();
  const start = await subject.store.top(channel);
  await subject.link.call("SET", subject.keys.of(freshChannel(), "m"), "not a hash");
  await subject.link.call("DEL", subject.keys.of(channel, "m"));
  await subject.link.call("SET", subject.keys.of(channel, "m"), "not a hash");
  const results = await Promise.allSettled([subject.store.read(channel, start), subject.store.read(channel, start)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await subject.link.call("DEL", subject.keys.of(channel, "m"));
  expect(await subject.store.read(channel, start)).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
});

test("marks of one turn go to Redis partition by partition, the highest of each stream", async () => {
  await using subject = await make();
  const { store, ran } = subject;
  const inboxes = Array.from({ length: 1000 }, freshInbox);
  for (const id of ["a", "b"]) await Promise.all(inboxes.map((inbox) => subject.publish(inbox, id)));
  const tops = await Promise.all(inboxes.map((inbox) => store.top(inbox)));
  ran.length = 0;
  const offsets = [1, 2, 1];
  await Promise.all(inboxes.flatMap((inbox, i) => offsets.map((offset) => store.setMark(inbox, { epoch: tops[i]?.epoch ?? "", offset }))));
  expect(ran.length).toBeLessThanOrEqual(256);
  expect(await Promise.all(inboxes.map((inbox) => store.unreadCount(inbox)))).toEqual(inboxes.map(() => 0));
});

test("many nodes publish one idempotency key at once: one is published, all others are its replays", async () => {
  await using subject = await make();
  const inbox = freshInbox();
  const nodes = Array.from({ length: 5 }, () => subject.sibling());
  const publish = (node: number, n: number) =>
    nodes[node]?.publish({
      stream: inbox,
      notification: { id: `${node}-${n}`, occurredAt: n, eventType: "t", payloadJson: "1", metadata: { source: "s", priority: "Normal" } },
      retention: KEEP.retention,
      idempotency: { key: "one", fingerprint: "with\nlines\n" },
    }) ?? Promise.reject(new Error("no such node"));
  const outcomes = await Promise.all(nodes.flatMap((_, node) => Array.from({ length: 20 }, (_, n) => publish(node, n))));
  const [first] = outcomes.filter(({ kind }) => kind === "published");
  const record = (outcome: PublishOutcome | undefined) => (outcome && outcome.kind !== "conflict" ? outcome.record : undefined);
  expect(outcomes.filter(({ kind }) => kind === "published").length).toBe(1);
  expect(new Set(outcomes.map((outcome) => JSON.stringify(record(outcome))))).toEqual(new Set([JSON.stringify(record(first))]));
  expect((await subject.store.top(inbox)).offset).toBe(1);
});

test("sessions are counted from leases that live by Redis' time; an audience is the directory's to count", async () => {
  await using subject = await make(7);
  const { link, keys, store } = subject;
  const [seconds] = (await link.call("TIME")) as [string];
  const [live, over] = [(Number(seconds) + 60) * 1000, (Number(seconds) - 1) * 1000];
  const tenant = freshTenant();
  const inbox: StreamId = { kind: "inbox", tenant, user: "jane" };
  const channel: StreamId = { kind: "channel", tenant, channel: "orders" };
  const broadcast: StreamId = { kind: "broadcast", tenant };
  await link.call("HSET", keys.of(inbox, "u"), "s1", `${live}|{"n":5}`, "s2", `${over}|{}`, "s3", `${live}|{}`);
  await link.call("HSET", keys.of(channel, "l"), "@since", "1700000000000", "n1", `${live}|40|`, "n2", `${over}|9|`, "n3", `${live}|2|[1]`);
  await link.call("HSET", keys.of(broadcast, "l"), "n1", `${live}|3|`);
  const deliveredTo = async (stream: StreamId, entries: number, audience?: { type: "Roles" | "All"; value?: string }) => {
    const metadata = { source: "s", priority: "Normal" as const, ...(audience ? { audience } : {}) };
    const notification = { id: crypto.randomUUID(), occurredAt: subject.clock.now(), eventType: "t", payloadJson: "1", metadata };
    const outcome = await store.publish({ stream, notification, retention: { entries, ttlSeconds: 60 } });
    return outcome.kind === "published" ? [outcome.record.deliveredTo, outcome.record.queued] : [];
  };
  for (const entries of [0, 10]) {
    expect(await deliveredTo(inbox, entries)).toEqual([2, false]);
    expect(await deliveredTo(channel, entries)).toEqual([42, false]);
    expect(await deliveredTo(broadcast, entries)).toEqual([3, false]);
    expect(await deliveredTo(broadcast, entries, { type: "All" })).toEqual([3, false]);
    expect(await deliveredTo(broadcast, entries, { type: "Roles", value: "admin" })).toEqual([7, false]);
    expect(await deliveredTo({ ...inbox, user: "away" }, entries)).toEqual([0, entries > 0]);
  }
});

test("what is announced is what was published, with its place; without history without one; with ttl 0 nothing", async () => {
  await using subject = await make();
  const { link, keys, store } = subject;
  const [primary] = await link.primaries();
  if (!primary) throw new Error("no primary");
  const [kept, live] = [freshInbox(), freshChannel()];
  const heard: (Entry | undefined)[] = [];
  const listener = await link.dial(primary);
  listener.on("smessage", (channel: string, text: string) =>
    heard.push(decodeAnnouncement(channel === keys.of(kept, "s") ? kept : live, text)),
  );
  for (const stream of [kept, live]) await listener.ssubscribe(keys.of(stream, "s"));
  await subject.publish(kept, "never", { ttl: 0 });
  const first = await subject.publish(kept, "first", { payloadJson: '{"text":"grüß\\n👋"}' });
  await subject.publish(live, "live", { retention: { entries: 0, ttlSeconds: 60 } });
  await eventually("both announcements", () => heard.length >= 2);
  listener.disconnect();
  const page = await store.page(kept, { limit: 10 });
  expect(heard.map((entry) => [entry?.notification.id, entry?.position])).toEqual([
    ["first", first],
    ["live", undefined],
  ]);
  expect(heard[0]).toEqual(page.entries[0]?.entry as Entry);
});

test("keys of a stream end: entries some time after their retention, the meta 30 days later, whatever came between", async () => {
  await using subject = await make();
  const { link, keys, store } = subject;
  const inbox = freshInbox();
  const lives = async () =>
    Promise.all((["e", "m", "a"] as const).map(async (kind) => Number(await link.call("PTTL", keys.of(inbox, kind)))));
  await store.top(inbox);
  expect((await lives())[1]).toBeGreaterThan(6 * 86_400_000);
  const hour = 3_600_000;
  await subject.publish(inbox, "a", { retention: { entries: 10, ttlSeconds: 3600 } });
  await subject.publish(inbox, "b", { retention: { entries: 10, ttlSeconds: 36_000 } });
  await store.acknowledge(inbox, "b");
  await subject.publish(inbox, "c", { retention: { entries: 10, ttlSeconds: 60 } });
  const [entries = 0, meta = 0, acknowledged = 0] = await lives();
  expect(entries).toBeGreaterThan(10 * hour);
  expect(entries).toBeLessThan(13 * hour);
  expect(meta - entries).toBeGreaterThan(29 * 86_400_000);
  expect(acknowledged).toBeGreaterThan(10 * hour);
});

test("entries that outlived the retention leave while the stream goes on, and who missed them is told", async () => {
  await using subject = await make();
  const { link, keys, store } = subject;
  const channel = freshChannel();
  const keep = { retention: { entries: 5000, ttlSeconds: 60 } };
  for (let i = 1; i <= 40; i++) await subject.publish(channel, `old${i}`, keep);
  subject.clock.advance(61_000);
  for (let i = 41; i <= 96; i++) await subject.publish(channel, `new${i}`, keep);
  expect(await link.call("LLEN", keys.of(channel, "e"))).toBe(56);
  const { epoch } = await store.top(channel);
  expect((await store.read(channel, { epoch, offset: 39 })).kind).toBe("not_recovered");
  const rest = await store.read(channel, { epoch, offset: 40 });
  expect(rest.kind === "recovered" && rest.entries.length).toBe(56);
});

test("a retention cut down to less lets go of what is too much, and grows again without inventing entries", async () => {
  await using subject = await make();
  const { link, keys, store } = subject;
  const channel = freshChannel();
  for (let i = 0; i < 200; i++) await subject.publish(channel, `n${i}`, { ...KEEP, ttl: 600 });
  await subject.publish(channel, "cut", { retention: { entries: 5, ttlSeconds: 60 } });
  expect(await link.call("LLEN", keys.of(channel, "e"))).toBe(5);
  const { epoch } = await store.top(channel);
  const kinds = async () => Promise.all([195, 196].map(async (offset) => (await store.read(channel, { epoch, offset })).kind));
  expect(await kinds()).toEqual(["not_recovered", "recovered"]);
  await subject.publish(channel, "grown", KEEP);
  expect(await kinds()).toEqual(["not_recovered", "recovered"]);
});
