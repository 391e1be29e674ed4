// Why: what the hub relies on in every engine's bus: order, nothing after `leave`, and calls that take effect in turn.
// It must never take silence for proof: what must not arrive is followed by something that does.
import { describe, expect, test } from "bun:test";
import type { BusListener, Entry, StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { freshChannel, freshInbox, freshTenant, type MakeSubject, notification, publish, type Subject } from "./subject.ts";

const ids = (entries: readonly Entry[]) => entries.map(({ notification: { id } }) => id);

/** Keeps what it hears. */
function recorder(): BusListener & { readonly heard: Entry[]; readonly gaps: string[] } {
  const heard: Entry[] = [];
  const gaps: string[] = [];
  return { heard, gaps, onEntry: (entry) => void heard.push(entry), onGap: (_, reason) => void gaps.push(reason) };
}

const hears = (listener: { readonly heard: readonly Entry[] }, id: string) =>
  eventually(`${id} is announced`, () => listener.heard.some((entry) => entry.notification.id === id), { intervalMs: 2 });

const say = (subject: Subject, stream: StreamId, id: string) => publish(subject, stream, { notification: notification(subject, { id }) });

/** Calls of one run at least. */
const STEPS = 12;
let marks = 0;

export function busSuite(name: string, make: MakeSubject): void {
  describe(`bus: ${name}`, () => {
    test("announces entries as they were published, at their place, in order", async () => {
      await using subject = await make();
      const listener = recorder();
      const inbox = freshInbox();
      await subject.engine.bus.listen(inbox, listener);
      const payload = { text: "line\none \u2028 \u{1F600}", big: 2 ** 53 };
      const given = notification(subject, { id: "first", payload });
      await publish(subject, inbox, { notification: given });
      for (let i = 0; i < 100; i++) await say(subject, inbox, `n${i}`);
      await hears(listener, "n99");
      expect(ids(listener.heard)).toEqual(["first", ...Array.from({ length: 100 }, (_, i) => `n${i}`)]);
      expect(listener.heard[0]).toMatchObject({ stream: inbox, notification: given });
      expect(listener.heard.map(({ position }) => position?.offset)).toEqual(Array.from({ length: 101 }, (_, i) => i + 1));
      expect(listener.heard.at(-1)?.position).toEqual(await subject.engine.store.top(inbox));
      expect(listener.gaps).toEqual([]);
    });

    test("keeps the order of publishes that are made at once", async () => {
      await using subject = await make();
      const listener = recorder();
      const channel = freshChannel();
      await subject.engine.bus.listen(channel, listener);
      await Promise.all(Array.from({ length: 200 }, (_, i) => say(subject, channel, `n${i}`)));
      await eventually("all are announced", () => listener.heard.length === 200, { intervalMs: 2 });
      expect(listener.heard.map(({ position }) => position?.offset)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    });

    test("announces live-only streams without a place, and nothing of what has no time to live", async () => {
      await using subject = await make();
      const listener = recorder();
      const channel = freshChannel();
      await subject.engine.bus.listen(channel, listener);
      const liveOnly = { entries: 0, ttlSeconds: 60 };
      await publish(subject, channel, { notification: notification(subject, { id: "gone", ttl: 0 }), retention: liveOnly });
      await publish(subject, channel, { notification: notification(subject, { id: "live" }), retention: liveOnly });
      await hears(listener, "live");
      expect(ids(listener.heard)).toEqual(["live"]);
      expect(listener.heard[0]?.position).toBeUndefined();
    });

    test("announces a publish that is asked for twice once", async () => {
      await using subject = await make();
      const listener = recorder();
      const inbox = freshInbox();
      await subject.engine.bus.listen(inbox, listener);
      const change = { notification: notification(subject, { id: "once" }), idempotency: { key: "k", fingerprint: "f" } };
      for (let i = 0; i < 2; i++) await publish(subject, inbox, change);
      await say(subject, inbox, "after");
      await hears(listener, "after");
      expect(ids(listener.heard)).toEqual(["once", "after"]);
    });

    test("keeps streams of equal names apart: kinds, and tenants", async () => {
      await using subject = await make();
      const [one, two] = [freshTenant(), freshTenant()];
      const streams: StreamId[] = [one, two].flatMap((tenant): StreamId[] => [
        { kind: "inbox", tenant, user: "x" },
        { kind: "channel", tenant, channel: "x" },
        { kind: "broadcast", tenant },
      ]);
      const listeners = streams.map(() => recorder());
      await Promise.all(streams.map((stream, i) => subject.engine.bus.listen(stream, listeners[i] ?? recorder())));
      for (const [i, stream] of streams.entries()) await say(subject, stream, `to-${i}`);
      for (const [i, listener] of listeners.entries()) await hears(listener, `to-${i}`);
      expect(listeners.map(({ heard }) => ids(heard))).toEqual(streams.map((_, i) => [`to-${i}`]));
    });

    test("tells nothing after leave, and starts afresh for the next listener", async () => {
      await using subject = await make();
      const { bus } = subject.engine;
      const [first, second] = [recorder(), recorder()];
      const inbox = freshInbox();
      await bus.listen(inbox, first);
      await say(subject, inbox, "a");
      await hears(first, "a");
      await bus.leave(inbox);
      await say(subject, inbox, "b");
      await bus.listen(inbox, second);
      await say(subject, inbox, "c");
      await hears(second, "c");
      expect([ids(first.heard), ids(second.heard)]).toEqual([["a"], ["c"]]);
      expect([first.gaps, second.gaps]).toEqual([[], []]);
    });

    test("leaving what nobody listens to changes nothing", async () => {
      await using subject = await make();
      await subject.engine.bus.leave(freshChannel());
    });

    test(
      "what was called last holds, however fast calls follow each other",
      async () => {
        await using subject = await make();
        const { bus } = subject.engine;
        const calls = fc.array(fc.array(fc.boolean(), { minLength: 2, maxLength: 6 }), { minLength: 6, maxLength: 12 });
        await fc.assert(
          fc.asyncProperty(calls, async (rounds) => {
            const stream = freshChannel();
            let listener: ReturnType<typeof recorder> | undefined;
            const everyone: { readonly listener: ReturnType<typeof recorder>; readonly due: string[] }[] = [];
            for (const round of rounds) {
              const done: Promise<void>[] = [];
              for (const isListen of round) {
                listener = isListen ? recorder() : undefined;
                if (listener) everyone.push({ listener, due: [] });
                done.push(listener ? bus.listen(stream, listener) : bus.leave(stream));
              }
              await Promise.all(done);
              const id = `mark-${++marks}`;
              await say(subject, stream, id);
              if (!listener) continue;
              everyone.at(-1)?.due.push(id);
              await hears(listener, id);
            }
            for (const { listener: one, due } of everyone) expect(ids(one.heard)).toEqual(due);
            await bus.leave(stream);
          }),
          fuzzSettings(STEPS),
        );
      },
      fuzzTimeoutMs(50),
    );
  });
}
