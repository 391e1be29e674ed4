// Why: a node that hands sessions to others must do it at the rate it was told, no more of them than asked, and stop when told.
import { describe, expect, test } from "bun:test";
import { createShed } from "@nexus/server/core/shed.ts";
import fc from "fast-check";

function shedOf(open: number, onWait: (now: number) => void = () => undefined) {
  let now = 0;
  let left = open;
  const closes: { readonly at: number; readonly count: number }[] = [];
  const hints: number[] = [];
  const ignore = () => undefined;
  const shed = createShed({
    clock: { monotonic: () => now },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    wait: async (ms) => {
      now += ms;
      onWait(now);
    },
    random: () => 0.5,
    reconnectJitterSeconds: () => 10,
    sessions: {
      count: () => left,
      shed(count, hint) {
        const closed = Math.min(count, left);
        for (let i = 0; i < closed; i++) hints.push(hint());
        left -= closed;
        closes.push({ at: now, count: closed });
        return closed;
      },
    },
  });
  return { shed, closes, hints, left: () => left, now: () => now };
}

describe("shedding", () => {
  test("closes as many as asked at an even rate, each told when to come back", async () => {
    const { shed, closes, hints, left, now } = shedOf(1000);
    expect(shed.start(300, 50)).toBe(300);
    await shed.settled();
    expect(left()).toBe(700);
    expect(now()).toBe(6000); // 300 at 50 a second
    for (const { count } of closes) expect(count).toBeLessThanOrEqual(5);
    expect(new Set(hints)).toEqual(new Set([6]));
  });

  test("answers at once how many it will be: never more than there are", () => {
    const { shed, left } = shedOf(10);
    expect(shed.start(25, 1)).toBe(10);
    expect(left()).toBe(10);
  });

  test("a second request replaces the first, and 0 stops it", async () => {
    const stage = shedOf(1000, (now) => {
      if (now === 1000) stage.shed.start(10, 10);
      if (now === 1500) expect(stage.shed.start(0, 1)).toBe(0);
    });
    stage.shed.start(1000, 100);
    await stage.shed.settled();
    expect(1000 - stage.left()).toBeLessThanOrEqual(90 + 100 + 5);
    const after = stage.left();
    await stage.shed.settled();
    expect(stage.left()).toBe(after);
  });

  test("ends when everybody left by themselves", async () => {
    const { shed, left } = shedOf(3);
    shed.start(3, 1000);
    await shed.settled();
    expect(left()).toBe(0);
  });

  test("never closes more than asked, nor faster than told", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(500), fc.nat(500), fc.integer({ min: 1, max: 400 }), async (open, asked, perSecond) => {
        const { shed, closes } = shedOf(open);
        const wanted = shed.start(asked, perSecond);
        await shed.settled();
        expect(wanted).toBe(Math.min(open, asked));
        let total = 0;
        for (const { at, count } of closes) {
          total += count;
          expect(total).toBeLessThanOrEqual((at * perSecond) / 1000);
        }
        expect(total).toBe(wanted);
      }),
    );
  });
});
