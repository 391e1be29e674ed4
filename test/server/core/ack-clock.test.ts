// Why: remembering when entries were written must cost nothing where nobody acknowledges, and never grow.
import { expect, test } from "bun:test";
import { AckClock } from "@nexus/server/core/ack-clock.ts";

test("knows the time since a write, once somebody has acknowledged anything", () => {
  const clock = new AckClock();
  clock.written("early", 1);
  expect(clock.since("early", 5)).toBeUndefined();
  clock.written("late", 10);
  expect(clock.since("late", 17)).toBe(7);
  expect(clock.since("early", 17)).toBeUndefined();
});

test("forgets the oldest, and the newest never before thousands of others came", () => {
  const clock = new AckClock();
  clock.since("first", 0);
  for (let i = 0; i < 20_000; i++) clock.written(String(i), i);
  expect(clock.since("19999", 20_000)).toBe(1);
  expect(clock.since("16000", 20_000)).toBe(4000);
  expect(clock.since("0", 20_000)).toBeUndefined();
});
