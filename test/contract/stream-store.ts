// Why: what core relies on in a stream store and its bus, asked of every engine in the same words.
import { describe, expect, test } from "bun:test";
import { Failure } from "@nexus/protocol/failures.ts";
import type { Entry } from "@nexus/server/core/ports.ts";
import { eventually } from "../support/eventually.ts";
import { freshChannel, freshInbox, type MakeSubject, notification, publish } from "./subject.ts";

const ids = (entries: readonly Entry[]) => entries.map((entry) => entry.notification.id);

export function streamStoreSuite(name: string, make: MakeSubject): void {
  describe(`stream store: ${name}`, () => {
    test("offsets of a stream grow by one and share an epoch", async () => {
      await using subject = await make();
      const stream = freshInbox();
      const before = await subject.engine.store.top(stream);
      const outcomes = [await publish(subject, stream), await publish(subject, stream)];
      const positions = outcomes.map((outcome) => (outcome.kind === "published" ? outcome.record.position : undefined));
      expect(positions.map((position) => position?.offset)).toEqual([1, 2]);
      expect(new Set(positions.map((position) => position?.epoch))).toEqual(new Set([before.epoch]));
      expect(await subject.engine.store.top(stream)).toEqual({ epoch: before.epoch, offset: 2 });
    });

    test("reads what came after a place, in order", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const stream = freshChannel();
      const start = await store.top(stream);
      for (const id of ["a", "b", "c"]) await publish(subject, stream, { notification: notification(subject, { id }) });
      const whole = await store.read(stream, start);
      expect(whole.kind === "recovered" && ids(whole.entries)).toEqual(["a", "b", "c"]);
      const rest = await store.read(stream, { ...start, offset: 2 });
      expect(rest).toMatchObject({ kind: "recovered", top: { offset: 3 } });
      expect(rest.kind === "recovered" && ids(rest.entries)).toEqual(["c"]);
    });

    test("says why a read cannot be whole", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const stream = freshChannel();
      for (let i = 0; i < 3; i++) await publish(subject, stream, { retention: { entries: 2, ttlSeconds: 60 } });
      const top = await store.top(stream);
      const reason = async (since: { epoch: string; offset: number }) => {
        const result = await store.read(stream, since);
        return result.kind === "not_recovered" ? result.reason : result.kind;
      };
      expect(await reason({ ...top, offset: 0 })).toBe("window_exceeded");
      expect(await reason({ ...top, offset: 1 })).toBe("recovered");
      expect(await reason({ ...top, offset: 4 })).toBe("unverifiable");
      expect(await reason({ epoch: "elsewhere", offset: 1 })).toBe("epoch_changed");
    });

    test("entries that outlived the stream's retention are lost, those that outlived their own ttl are skipped", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const stream = freshChannel();
      const start = await store.top(stream);
      await publish(subject, stream, { notification: notification(subject, { id: "short", ttl: 5 }) });
      await publish(subject, stream, { notification: notification(subject, { id: "long" }) });
      await subject.advance(10_000);
      const skipped = await store.read(stream, start);
      expect(skipped.kind === "recovered" && ids(skipped.entries)).toEqual(["long"]);
      await subject.advance(60_000);
      expect(await store.read(stream, start)).toMatchObject({ kind: "not_recovered", reason: "window_exceeded" });
      expect(await store.top(stream)).toEqual({ ...start, offset: 2 });
    });

    test("a stream without history has no places and keeps nothing", async () => {
      await using subject = await make();
      const stream = freshChannel();
      const outcome = await publish(subject, stream, { retention: { entries: 0, ttlSeconds: 60 } });
      expect(outcome.kind === "published" && outcome.record.position).toBeUndefined();
      expect((await subject.engine.store.top(stream)).offset).toBe(0);
    });

    test("an entry's place in a trace is kept and announced with it, and no other entry has one", async () => {
      await using subject = await make();
      const { store, bus } = subject.engine;
      const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a b";
      for (const stream of [freshInbox(), freshChannel()]) {
        const heard: Entry[] = [];
        await bus.listen(stream, { onEntry: (entry) => heard.push(entry), onGap: () => undefined });
        const start = await store.top(stream);
        const sent = [{ ...notification(subject), trace }, notification(subject)];
        for (const one of sent) await publish(subject, stream, { notification: one });
        const read = await store.read(stream, start);
        expect(read.kind === "recovered" && read.entries.map((entry) => entry.notification)).toEqual(sent);
        await eventually("both are announced", () => heard.length === 2);
        expect(heard.map((entry) => entry.notification)).toEqual(sent);
      }
    });

    test("unread is what lies above the mark, and the mark never moves back", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      for (const id of ["u1", "u2", "u3"]) await publish(subject, inbox, { notification: notification(subject, { id }) });
      const { epoch } = await store.top(inbox);
      await store.setMark(inbox, { epoch, offset: 2 });
      await store.setMark(inbox, { epoch, offset: 1 });
      const { entries, top } = await store.unread(inbox);
      expect(ids(entries)).toEqual(["u3"]);
      expect(top).toEqual({ epoch, offset: 3 });
    });

    test("a mark of another epoch is not taken", async () => {
      await using subject = await make();
      const inbox = freshInbox();
      await publish(subject, inbox);
      await subject.engine.store.setMark(inbox, { epoch: "elsewhere", offset: 1 });
      expect((await subject.engine.store.unread(inbox)).entries.length).toBe(1);
    });

    test("an acknowledged entry is not unread any more, whatever the mark; unknown ids say so", async () => {
      await using subject = await make();
      const { store } = subject.engine;
      const inbox = freshInbox();
      for (const id of ["k1", "k2", "k3"]) await publish(subject, inbox, { notification: notification(subject, { id }) });
      expect(await store.acknowledge(inbox, "k2")).toBe(true);
      expect(ids((await store.unread(inbox)).entries)).toEqual(["k1", "k3"]);
      expect(await store.acknowledge(inbox, "k1")).toBe(true);
      expect(await store.acknowledge(inbox, "nope")).toBe(false);
      expect(await store.acknowledge(freshInbox(), "k3")).toBe(false);
      expect(ids((await store.unread(inbox)).entries)).toEqual(["k3"]);
      expect([await store.has(inbox, "k1"), await store.has(inbox, "nope"), await store.has(freshInbox(), "k1")]).toEqual([
        true,
        false,
        false,
      ]);
    });

    test("the same idempotent publish answers the first record; another body is a conflict; another stream is another matter", async () => {
      await using subject = await make();
      const stream = freshChannel();
      const idempotency = { key: "key", fingerprint: "body" };
      const first = await publish(subject, stream, { idempotency });
      const again = await publish(subject, stream, { idempotency });
      expect(first.kind).toBe("published");
      expect(again).toEqual({ kind: "replayed", record: first.kind === "published" ? first.record : expect.anything() });
      expect(await publish(subject, stream, { idempotency: { key: "key", fingerprint: "other" } })).toEqual({ kind: "conflict" });
      expect((await publish(subject, freshChannel(), { idempotency })).kind).toBe("published");
      expect((await subject.engine.store.top(stream)).offset).toBe(1);
      await subject.advance(24 * 3600 * 1000 + 1);
      expect((await publish(subject, stream, { idempotency })).kind).toBe("published");
    });

    test("ttl 0 is recorded, not stored and not announced", async () => {
      await using subject = await make();
      const { store, bus } = subject.engine;
      const stream = freshInbox();
      const heard: Entry[] = [];
      await bus.listen(stream, { onEntry: (entry) => heard.push(entry), onGap: () => undefined });
      const outcome = await publish(subject, stream, { notification: notification(subject, { ttl: 0 }) });
      expect(outcome).toMatchObject({ kind: "published", record: { deliveredTo: 0, queued: false } });
      expect([heard.length, (await store.top(stream)).offset]).toEqual([0, 0]);
    });

    test("ttl 0 with an idempotency key is replayed as itself, and another body under the key is a conflict", async () => {
      await using subject = await make();
      const stream = freshInbox();
      const idempotency = { key: "key", fingerprint: "body" };
      const first = await publish(subject, stream, { notification: notification(subject, { ttl: 0 }), idempotency });
      await subject.advance(1000);
      const again = await publish(subject, stream, { notification: notification(subject, { ttl: 0 }), idempotency });
      expect(first.kind).toBe("published");
      expect(again).toEqual({ kind: "replayed", record: first.kind === "published" ? first.record : expect.anything() });
      const other = { key: "key", fingerprint: "other" };
      expect(await publish(subject, stream, { idempotency: other })).toEqual({ kind: "conflict" });
      expect(await publish(subject, freshInbox(), { idempotency: other })).toMatchObject({ kind: "published" });
      expect((await subject.engine.store.top(stream)).offset).toBe(0);
    });

    test("announces to whoever listens, in the order of offsets, until they leave", async () => {
      await using subject = await make();
      const { bus } = subject.engine;
      const [stream, other] = [freshChannel(), freshChannel()];
      const heard: Entry[] = [];
      await bus.listen(stream, { onEntry: (entry) => heard.push(entry), onGap: () => undefined });
      await Promise.all([publish(subject, stream), publish(subject, stream), publish(subject, other), publish(subject, stream)]);
      await eventually("three announcements", () => heard.length >= 3); // those of a broker come by a way of their own
      expect(heard.map((entry) => entry.position?.offset)).toEqual([1, 2, 3]);
      expect(
        heard.every(
          (entry) => entry.stream.kind === "channel" && entry.stream.channel === (stream.kind === "channel" ? stream.channel : ""),
        ),
      ).toBe(true);
      await bus.leave(stream);
      await publish(subject, stream);
      expect(heard.length).toBe(3);
    });

    test("after close every call fails with broker_unavailable", async () => {
      await using subject = await make();
      const { store, bus } = subject.engine;
      const stream = freshInbox();
      await subject.engine.close();
      const calls = [
        () => publish(subject, stream),
        () => store.read(stream, { epoch: "e", offset: 0 }),
        () => store.top(stream),
        () => store.unread(stream),
        () => store.setMark(stream, { epoch: "e", offset: 0 }),
        () => store.has(stream, "x"),
        () => store.acknowledge(stream, "x"),
        () => store.page(stream, { limit: 1 }),
        () => store.unreadCount(stream),
        () => store.remove(stream, "x"),
        () => bus.listen(stream, { onEntry: () => undefined, onGap: () => undefined }),
      ];
      for (const call of calls) {
        const error = await call().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(Failure);
        expect((error as Failure).refusal.code).toBe("broker_unavailable");
      }
    });
  });
}
