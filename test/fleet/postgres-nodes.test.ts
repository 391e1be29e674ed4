// Why: several nodes write to one user's inbox at once, one of them may die or lose Redis between commit and announcement,
// and nobody who listens may miss an entry for it. And what one write carries must not hurt another.
import { afterAll, expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import type { Entry } from "@nexus/server/core/ports.ts";
import { SQL } from "bun";
import { eventually } from "../support/eventually.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";
import { startPostgres } from "../support/postgres.ts";
import { postgresSubject } from "../support/postgres-subject.ts";
import { startRedis } from "../support/redis/server.ts";
import { inboxOf, openQuietly, refused, requestTo, startNode } from "./postgres-ground.ts";

const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
afterAll(async () => {
  await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
});

const PUBLISHES = 300;
const fleet = { redis, url: postgres.url, prefix: `fleet-${process.pid}` };
const idsOf = (entries: readonly Entry[]) => entries.map(({ notification }) => notification.id);

/** A link whose announcements fail while `isBroken`. */
function brokenAnnouncements() {
  const state = { isBroken: false, refused: 0 };
  const wrap = (link: RedisLink): RedisLink => ({
    ...link,
    call: (command, ...args) => {
      if (command !== "SPUBLISH" || !state.isBroken || !String(args[1]).includes("\n[")) return link.call(command, ...args);
      state.refused++;
      return Promise.reject(new Error("Redis is away"));
    },
  });
  return { state, wrap };
}

test("two nodes publish to one user: places without hole or double, each node's in its order, and all are heard", async () => {
  await using one = await startNode(fleet);
  await using two = await startNode(fleet);
  await using listener = await startNode(fleet);
  const inbox = inboxOf("shared");
  const heard: Entry[] = [];
  await listener.engine.bus.listen(inbox, { onEntry: (entry) => heard.push(entry), onGap: () => heard.splice(0) });
  const places = await Promise.all(
    [one, two].map((node, at) =>
      Promise.all(
        Array.from({ length: PUBLISHES }, async (_, n) => {
          const outcome = await node.store.publish(requestTo(inbox, { id: `${at}-${n}` }));
          return outcome.kind === "published" ? (outcome.record.position?.offset ?? 0) : 0;
        }),
      ),
    ),
  );
  for (const own of places) expect(own).toEqual(own.toSorted((a, b) => a - b));
  const all = Array.from({ length: 2 * PUBLISHES }, (_, n) => n + 1);
  expect(places.flat().toSorted((a, b) => a - b)).toEqual(all);
  const { epoch } = await one.store.top(inbox);
  const read = await two.store.read(inbox, { epoch, offset: 0 });
  expect(read.kind === "recovered" && read.entries.map(({ position }) => position?.offset)).toEqual(all);
  await eventually("all are heard", () => heard.length === all.length);
  expect(heard.map(({ position }) => position?.offset ?? 0).toSorted((a, b) => a - b)).toEqual(all);
}, 60_000);

test("an announcement that Redis did not take is made again until it did; the publish is answered meanwhile", async () => {
  const { state, wrap } = brokenAnnouncements();
  await using node = await startNode({ ...fleet, wrap });
  await using listener = await startNode(fleet);
  const inbox = inboxOf("late");
  const heard: Entry[] = [];
  await listener.engine.bus.listen(inbox, { onEntry: (entry) => heard.push(entry), onGap: () => undefined });
  state.isBroken = true;
  for (const id of ["a", "b", "c"]) expect((await node.store.publish(requestTo(inbox, { id }))).kind).toBe("published");
  await eventually("it was tried again", () => state.refused > 4);
  expect(node.engine.unannounced()).toBe(1);
  expect(heard).toEqual([]);
  state.isBroken = false;
  await eventually("the newest is heard", () => heard.length > 0);
  expect(heard.map(({ notification, position }) => [notification.id, position?.offset])).toEqual([["c", 3]]); // the hub reads what lies before
  expect(node.engine.unannounced()).toBe(0);
}, 60_000);

test("whoever lost the answer and asks again has it announced again, as the same entry", async () => {
  const { state, wrap } = brokenAnnouncements();
  await using listener = await startNode(fleet);
  await using other = await startNode(fleet);
  const inbox = inboxOf("again");
  const heard: Entry[] = [];
  await listener.engine.bus.listen(inbox, { onEntry: (entry) => heard.push(entry), onGap: () => undefined });
  const request = { ...requestTo(inbox, { id: "first" }), idempotency: { key: "key", fingerprint: "body" } };
  {
    await using dying = await startNode({ ...fleet, wrap });
    state.isBroken = true;
    await dying.store.publish(request); // committed, and the node ends before it is announced
  }
  expect(heard).toEqual([]);
  const again = { ...request, notification: { ...request.notification, id: "second" } };
  expect((await other.store.publish(again)).kind).toBe("replayed");
  await eventually("it is heard", () => heard.length > 0);
  expect(heard.map(({ notification, position }) => [notification.id, position?.offset])).toEqual([["first", 1]]);
}, 60_000);

test("a write that the database cannot take is refused alone", async () => {
  await using node = await startNode(fleet);
  const bad = requestTo(inboxOf("bad"), { payloadJson: '"\u0000"' }); // no JSON text holds it; text in PostgreSQL cannot
  const good = Array.from({ length: 20 }, (_, n) => requestTo(inboxOf(`good-${n}`)));
  const outcomes = await Promise.allSettled([...good.slice(0, 10), bad, ...good.slice(10)].map((one) => node.store.publish(one)));
  expect(outcomes.flatMap(({ status }, at) => (status === "rejected" ? [at] : []))).toEqual([10]);
  await refused(() => node.store.publish(bad));
});

test("users whose names differ only in half a surrogate pair do not share an inbox", async () => {
  await using node = await startNode(fleet);
  const [one, two] = [inboxOf("user-\ud83d"), inboxOf("user-\ud83e")];
  await node.store.publish(requestTo(one, { id: "one" }));
  expect(idsOf((await node.store.unread(one)).entries)).toEqual(["one"]);
  expect(idsOf((await node.store.unread(two)).entries)).toEqual([]);
});

test("what the database has not got of what was announced makes a new epoch", async () => {
  await using node = await startNode(fleet);
  const inbox = inboxOf("behind");
  await node.store.publish(requestTo(inbox));
  const top = await node.store.top(inbox);
  expect(await node.store.seen(inbox, top)).toEqual(top);
  const after = await node.store.seen(inbox, { ...top, offset: 5 });
  expect(after.offset).toBe(1);
  expect(after.epoch).not.toBe(top.epoch);
  expect(await node.store.read(inbox, top)).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
});

test("what expired leaves the tables, readers of it are told, and an inbox that was forgotten never answers an old place", async () => {
  const url = await postgres.database("sweeping");
  const clock = manualServerClock();
  await using subject = await postgresSubject({ url, open: () => openQuietly(redis) }, clock);
  await using sql = new SQL(url, { max: 1 });
  const { store } = subject.engine;
  const counts = async () =>
    (
      await sql.unsafe(
        "SELECT (SELECT count(*)::int FROM nexus.entries) AS entries, (SELECT count(*)::int FROM nexus.publishes) AS publishes, (SELECT count(*)::int FROM nexus.streams) AS streams",
      )
    )[0];
  const inbox = inboxOf("swept");
  const start = await store.top(inbox);
  const all = Array.from({ length: 2500 }, (_, n) => ({
    ...requestTo(n < 2000 ? inbox : inboxOf(`swept-${n}`)),
    retention: { entries: 10_000, ttlSeconds: 60 },
    idempotency: { key: systemIds.uuid(), fingerprint: "f" },
  }));
  await Promise.all(all.map((one) => store.publish({ ...one, notification: { ...one.notification, occurredAt: clock.now() } })));
  expect(await counts()).toEqual({ entries: 2500, publishes: 2500, streams: 501 });
  await subject.advance(61_000);
  expect(await counts()).toEqual({ entries: 0, publishes: 2500, streams: 501 });
  expect(await store.read(inbox, start)).toMatchObject({ kind: "not_recovered", reason: "window_exceeded", top: { offset: 2000 } });
  await subject.advance(86_400_000);
  expect(await counts()).toEqual({ entries: 0, publishes: 0, streams: 501 });
  await subject.advance(30 * 86_400_000);
  expect(await counts()).toEqual({ entries: 0, publishes: 0, streams: 0 });
  await store.publish(requestTo(inbox));
  expect(await store.read(inbox, { ...start, offset: 1 })).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
}, 60_000);
