// Why: what a full queue drops is decided by one pure function; here with frames made by hand.
import { expect, test } from "bun:test";
import { Fan } from "@nexus/server/core/fan.ts";
import type { Frame } from "@nexus/server/core/frame.ts";
import { makeRoom } from "@nexus/server/core/slow-consumer.ts";
import fc from "fast-check";

const fans = ["a", "b"].map((channel) => new Fan({ kind: "channel", tenant: "acme", channel }));
const [fanA, fanB] = fans as [Fan, Fan];
type Policy = "Disconnect" | "DropOldest" | "LatestOnly";

function entry(text: string, policy: Policy, { rank = 1, fan = fanA, bytes = 10 } = {}): Frame {
  return {
    type: "notification",
    text,
    bytes,
    entry: { fan, id: text, rank, policy, position: undefined, occurredAt: 0, expiresAt: Number.POSITIVE_INFINITY, marks: false },
  };
}
const answer = (text: string): Frame => ({ type: "pong", text, bytes: 10 });
const texts = (frames: readonly Frame[]) => frames.map((frame) => frame.text);

test("Disconnect ends the session when nothing may be dropped", () => {
  expect(makeRoom([entry("1", "Disconnect")], entry("2", "Disconnect"), 15)).toEqual({ kind: "disconnect" });
  expect(makeRoom([entry("1", "Disconnect")], answer("pong"), 15)).toEqual({ kind: "disconnect" });
});

test("DropOldest drops low priority first, oldest first, and keeps the order of the rest", () => {
  const queue = [
    entry("high", "DropOldest", { rank: 2 }),
    entry("low1", "DropOldest", { rank: 0 }),
    entry("normal", "DropOldest"),
    entry("low2", "DropOldest", { rank: 0 }),
  ];
  const room = makeRoom(queue, entry("new", "DropOldest"), 40);
  expect(room.kind === "room" && [texts(room.queue), texts(room.dropped), room.incoming]).toEqual([
    ["high", "normal", "low2"],
    ["low1"],
    true,
  ]);
});

test("an entry that may be dropped never pushes out one of higher priority: it goes itself", () => {
  const room = makeRoom([entry("high", "DropOldest", { rank: 2 })], entry("low", "DropOldest", { rank: 0 }), 15);
  expect(room.kind === "room" && [texts(room.queue), texts(room.dropped), room.incoming]).toEqual([["high"], ["low"], false]);
});

test("LatestOnly gives up what a later entry of the same stream replaces, and only that", () => {
  const queue = [entry("a1", "LatestOnly"), entry("b1", "LatestOnly", { fan: fanB }), entry("a2", "LatestOnly")];
  const room = makeRoom(queue, entry("a3", "LatestOnly"), 20);
  expect(room.kind === "room" && [texts(room.queue), texts(room.dropped)]).toEqual([["b1"], ["a2", "a1"]]);
});

test("an inbox entry finds room where a droppable stream has filled the queue", () => {
  const room = makeRoom([entry("x", "DropOldest", { rank: 3 }), answer("pong")], entry("inbox", "Disconnect"), 20);
  expect(room.kind === "room" && [texts(room.queue), room.incoming]).toEqual([["pong"], true]);
});

test("whatever the queue: the limit holds, answers and Disconnect entries are never dropped, order is kept", () => {
  const frame = fc.oneof(
    fc.constant(answer("answer")),
    fc
      .record({
        policy: fc.constantFrom<Policy>("Disconnect", "DropOldest", "LatestOnly"),
        rank: fc.integer({ min: 0, max: 3 }),
        fan: fc.constantFrom(fanA, fanB),
        bytes: fc.integer({ min: 1, max: 50 }),
      })
      .map(({ policy, ...how }) => entry("entry", policy, how)),
  );
  const unique = (frames: readonly Frame[]) => frames.map((one, index) => ({ ...one, text: `${one.text}${index}` }));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }).map(unique), frame, fc.integer({ min: -10, max: 400 }), (queue, incoming, limit) => {
      const room = makeRoom(queue, incoming, limit);
      const fixed = (one: Frame) => one.entry === undefined || one.entry.policy === "Disconnect";
      if (room.kind === "disconnect") {
        expect(fixed(incoming)).toBe(true);
        return;
      }
      expect(room.dropped.some(fixed)).toBe(false);
      expect(queue.filter((one) => !room.dropped.includes(one))).toEqual(room.queue);
      const bytes = room.queue.reduce((sum, one) => sum + one.bytes, room.incoming ? incoming.bytes : 0);
      if (room.incoming) expect(bytes).toBeLessThanOrEqual(limit);
      else expect(room.dropped).toContain(incoming);
    }),
  );
});
