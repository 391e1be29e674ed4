// Why: what core relies on when people look into an inbox and tidy it up, asked of every engine in the same words.
import { describe, expect, test } from "bun:test";
import type { Entry, StreamId } from "@nexus/server/core/ports.ts";
import { freshChannel, freshInbox, type MakeSubject, notification, publish, type Subject } from "./subject.ts";

const ids = (entries: readonly Entry[]) => entries.map((entry) => entry.notification.id);

async function fill(subject: Subject, stream: StreamId, names: readonly string[]) {
  for (const id of names) await publish(subject, stream, { notification: notification(subject, { id }) });
}
async function pageOf(subject: Subject, stream: StreamId, request: { before?: number; limit: number }) {
  const page = await subject.engine.store.page(stream, request);
  return { ...page, ids: ids(page.entries.map(({ entry }) => entry)), unread: page.entries.map(({ unread }) => unread) };
}
async function unread(subject: Subject, inbox: StreamId) {
  const { entries } = await subject.engine.store.unread(inbox);
  expect(await subject.engine.store.unreadCount(inbox)).toBe(entries.length);
  return ids(entries);
}

export function inboxSuite(name: string, make: MakeSubject): void {
  describe(`pages of a stream: ${name}`, () => {
    test("are newest first, and follow each other without gap or repetition", async () => {
      await using subject = await make();
      const inbox = freshInbox();
      await fill(subject, inbox, ["p1", "p2", "p3", "p4", "p5"]);
      const first = await pageOf(subject, inbox, { limit: 2 });
      expect(first).toMatchObject({ ids: ["p5", "p4"], unread: [true, true], more: true, top: { offset: 5 } });
      const second = await pageOf(subject, inbox, { before: first.entries.at(-1)?.entry.position?.offset ?? 0, limit: 2 });
      expect(second).toMatchObject({ ids: ["p3", "p2"], more: true, top: first.top });
      expect(await pageOf(subject, inbox, { before: 2, limit: 2 })).toMatchObject({ ids: ["p1"], more: false });
      expect(await pageOf(subject, inbox, { before: 1, limit: 2 })).toMatchObject({ ids: [], more: false });
      expect(await pageOf(subject, inbox, { limit: 5 })).toMatchObject({ ids: ["p5", "p4", "p3", "p2", "p1"], more: false });
      expect((await pageOf(subject, inbox, { before: 1_000_000, limit: 1000 })).ids.length).toBe(5);
    });

    test("carry the entry as it was published", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      const sent = notification(subject, { id: "whole", ttl: 30, payload: { text: "grüß 👋", list: [1, null] } });
      await publish(subject, inbox, { notification: sent });
      const { entries, top } = await store.page(inbox, { limit: 1 });
      expect(entries).toEqual([{ entry: { stream: inbox, notification: sent, position: { epoch: top.epoch, offset: 1 } }, unread: true }]);
    });

    test("of a stream nobody wrote to are empty, and stand where a reader would start", async () => {
      await using subject = await make();
      const stream = freshInbox();
      const { entries, more, top } = await subject.engine.store.page(stream, { limit: 10 });
      expect({ entries, more, top }).toEqual({ entries: [], more: false, top: await subject.engine.store.top(stream) });
      expect(await subject.engine.store.unreadCount(stream)).toBe(0);
    });

    test("leave out what expired, by its own ttl or the stream's", async () => {
      await using subject = await make();
      const inbox = freshInbox();
      await publish(subject, inbox, { notification: notification(subject, { id: "short", ttl: 5 }) });
      await fill(subject, inbox, ["long"]);
      await subject.advance(10_000);
      expect(await pageOf(subject, inbox, { limit: 10 })).toMatchObject({ ids: ["long"], more: false });
      expect(await pageOf(subject, inbox, { limit: 1 })).toMatchObject({ ids: ["long"], more: false });
      expect(await unread(subject, inbox)).toEqual(["long"]);
      await subject.advance(60_000);
      expect(await pageOf(subject, inbox, { limit: 10 })).toMatchObject({ ids: [], more: false, top: { offset: 2 } });
      expect(await unread(subject, inbox)).toEqual([]);
    });

    test("tell what was read: below the mark, or acknowledged above it", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      await fill(subject, inbox, ["r1", "r2", "r3", "r4"]);
      const { epoch } = await store.top(inbox);
      await store.setMark(inbox, { epoch, offset: 1 });
      await store.acknowledge(inbox, "r3");
      expect(await pageOf(subject, inbox, { limit: 10 })).toMatchObject({
        ids: ["r4", "r3", "r2", "r1"],
        unread: [true, false, true, false],
      });
      expect(await unread(subject, inbox)).toEqual(["r2", "r4"]);
    });

    test("of a channel have nothing unread", async () => {
      await using subject = await make();
      const channel = freshChannel();
      await fill(subject, channel, ["h1", "h2"]);
      expect(await pageOf(subject, channel, { limit: 10 })).toMatchObject({ ids: ["h2", "h1"], unread: [false, false] });
    });
  });

  describe(`removing from an inbox: ${name}`, () => {
    test("takes the entry out of every answer, and leaves its offset taken", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      const start = await store.top(inbox);
      await fill(subject, inbox, ["d1", "d2", "d3"]);
      expect(await store.remove(inbox, "d2")).toBe(true);
      expect(await unread(subject, inbox)).toEqual(["d1", "d3"]);
      expect((await pageOf(subject, inbox, { limit: 10 })).ids).toEqual(["d3", "d1"]);
      expect(await pageOf(subject, inbox, { limit: 1 })).toMatchObject({ ids: ["d3"], more: true });
      expect([await store.has(inbox, "d2"), await store.acknowledge(inbox, "d2"), await store.remove(inbox, "d2")]).toEqual([
        false,
        false,
        false,
      ]);
      expect(await store.top(inbox)).toEqual({ ...start, offset: 3 });
      await fill(subject, inbox, ["d4"]);
      expect((await store.top(inbox)).offset).toBe(4);
    });

    test("is no hole for a reader, wherever the entry stood", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      const start = await store.top(inbox);
      await fill(subject, inbox, ["e1", "e2", "e3"]);
      const readFrom = async (offset: number) => {
        const result = await store.read(inbox, { ...start, offset });
        return result.kind === "recovered" ? ids(result.entries) : result.reason;
      };
      await store.remove(inbox, "e1");
      expect([await readFrom(0), await readFrom(1), await readFrom(2)]).toEqual([["e2", "e3"], ["e2", "e3"], ["e3"]]);
      await store.remove(inbox, "e3");
      expect([await readFrom(0), await readFrom(2), await readFrom(3)]).toEqual([["e2"], [], []]);
      await store.remove(inbox, "e2");
      expect(await readFrom(0)).toEqual([]);
      await fill(subject, inbox, ["e4"]);
      expect(await readFrom(0)).toEqual(["e4"]);
    });

    test("and acknowledging raise the mark together, and it never goes back", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      await fill(subject, inbox, ["m1", "m2", "m3", "m4"]);
      await store.acknowledge(inbox, "m2");
      await store.remove(inbox, "m1");
      await store.remove(inbox, "m4");
      expect(await unread(subject, inbox)).toEqual(["m3"]);
      const { epoch } = await store.top(inbox);
      await store.setMark(inbox, { epoch, offset: 0 });
      expect(await unread(subject, inbox)).toEqual(["m3"]);
      await store.acknowledge(inbox, "m3");
      await fill(subject, inbox, ["m5"]);
      expect(await unread(subject, inbox)).toEqual(["m5"]);
    });

    test("what was read is possible too; what expired, was never there or belongs to another is not", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      await fill(subject, inbox, ["x1", "x2"]);
      await publish(subject, inbox, { notification: notification(subject, { id: "x3", ttl: 5 }) });
      const { epoch } = await store.top(inbox);
      await store.setMark(inbox, { epoch, offset: 2 });
      expect(await store.remove(inbox, "x1")).toBe(true);
      await subject.advance(5_000);
      expect(await store.remove(inbox, "x3")).toBe(false);
      expect(await store.remove(inbox, "nobody's")).toBe(false);
      expect(await store.remove(freshInbox(), "x2")).toBe(false);
      expect((await pageOf(subject, inbox, { limit: 10 })).ids).toEqual(["x2"]);
    });

    test("does not make room: the stream keeps its last offsets", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      const retention = { entries: 3, ttlSeconds: 60 };
      for (const id of ["w1", "w2", "w3"]) await publish(subject, inbox, { notification: notification(subject, { id }), retention });
      await store.remove(inbox, "w2");
      await publish(subject, inbox, { notification: notification(subject, { id: "w4" }), retention });
      expect((await pageOf(subject, inbox, { limit: 10 })).ids).toEqual(["w4", "w3"]);
    });
  });
}
