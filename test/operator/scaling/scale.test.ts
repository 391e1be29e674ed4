// Why: a fleet's size is money and people's connections: every rule of growing and shrinking holds for any load, any silence and
// any clock, not only for the examples somebody thought of.
import { describe, expect, test } from "bun:test";
import { askedFor, beginScaling, decideSize, type ScaleRules, type ScaleState, stepped } from "@nexus/operator/plan/scale.ts";
import { demandOf, isBlind, type PodLoad } from "@nexus/operator/plan/scale-demand.ts";
import fc from "fast-check";

const rules = (change: Partial<ScaleRules> = {}): ScaleRules => ({
  minReplicas: 2,
  maxReplicas: 10,
  up: { stabilizationMs: 0, podsPerStep: 4, stepMs: 15_000 },
  down: { stabilizationMs: 600_000, podsPerStep: 1, stepMs: 60_000 },
  ...change,
});
const sessions = (...counts: (number | undefined)[]) => ({
  staying: counts.map((count) => (count === undefined ? undefined : { sessions: count })),
  leaving: [],
});

describe("demand", () => {
  test("is the load over what one pod should carry, rounded up, but for a tenth more or less", () => {
    expect(demandOf(sessions(100, 100), { sessions: 100 }, 2)).toEqual({ pods: 2, because: undefined });
    expect(demandOf(sessions(110, 110), { sessions: 100 }, 2)?.pods).toBe(2);
    expect(demandOf(sessions(111, 111), { sessions: 100 }, 2)).toEqual({ pods: 3, because: "sessions" });
    expect(demandOf(sessions(90, 90), { sessions: 100 }, 2)?.pods).toBe(2);
    expect(demandOf(sessions(10, 10, 10, 10), { sessions: 100 }, 4)).toEqual({ pods: 1, because: "sessions" });
    expect(demandOf(sessions(100, 100, 100), { sessions: 100 }, 3)?.pods).toBe(3); // 300/100 is 3, not 4
  });

  test("goes by the measure that asks for most, and measures nobody knows ask for nothing", () => {
    const busy: PodLoad = { sessions: 10, messagesPerSecond: 500, cpuCores: 0.1, memoryBytes: 100 };
    const targets = { sessions: 100, messagesPerSecond: 100, cpuCores: 1, memoryBytes: 1000 };
    expect(demandOf({ staying: [busy, busy], leaving: [] }, targets, 2)).toEqual({ pods: 10, because: "messagesPerSecond" });
    expect(demandOf(sessions(10, 10), targets, 2)).toEqual({ pods: 1, because: "sessions" });
    expect(demandOf(sessions(undefined, undefined), targets, 2)).toBeUndefined();
    expect(demandOf({ staying: [], leaving: [] }, targets, 0)).toBeUndefined();
    expect(demandOf(sessions(10), {}, 1)).toBeUndefined();
  });

  test("counts a silent pod as full when shrinking and as idle when growing; one that is not there yet as well", () => {
    expect(demandOf(sessions(10, 10, undefined), { sessions: 100 }, 3)?.pods).toBe(2);
    expect(demandOf(sessions(150, 150, undefined), { sessions: 100 }, 3)?.pods).toBe(3);
    expect(demandOf(sessions(300, 300, undefined), { sessions: 100 }, 3)?.pods).toBe(6);
    expect(demandOf(sessions(10, 10), { sessions: 100 }, 5)?.pods).toBe(4); // three are being made: they may fill up
  });

  test("counts the sessions of pods that are being stopped: they come back", () => {
    const seen = { staying: [{ sessions: 80 }, { sessions: 80 }], leaving: [{ sessions: 90, memoryBytes: 1 }] };
    expect(demandOf(seen, { sessions: 100 }, 2)?.pods).toBe(3);
  });

  test("never falls when a load grows, and never asks for more pods than the whole load needs", () => {
    const load = fc.option(fc.nat(1000), { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(load, { minLength: 1, maxLength: 12 }),
        fc.nat(11),
        fc.nat(1000),
        fc.integer({ min: 1, max: 14 }),
        (loads, at, more, current) => {
          const before = demandOf(sessions(...loads), { sessions: 100 }, current);
          const grown = loads.map((one, index) => (index === at % loads.length && one !== undefined ? one + more : one));
          const after = demandOf(sessions(...grown), { sessions: 100 }, current);
          if (!before || !after) return expect(after).toEqual(before);
          expect(after.pods).toBeGreaterThanOrEqual(before.pods);
          const total = loads.reduce<number>((sum, one) => sum + (one ?? 0), 0);
          expect(before.pods).toBeLessThanOrEqual(Math.max(current, Math.ceil(total / 100)));
        },
      ),
    );
  });

  test("is blind when more than a fifth of the ready pods are silent", () => {
    expect([isBlind(5, 4), isBlind(5, 3), isBlind(0, 0), isBlind(1, 0), isBlind(10, 8), isBlind(10, 7)]).toEqual(
      [false, true, false, true, false, true], // a fifth is not more than a fifth
    );
  });
});

type Run = { state: ScaleState; size: number; now: number };
const look = (run: Run, pods: number | undefined, use: ScaleRules, options: { afterMs?: number; isBlind?: boolean } = {}): number => {
  run.now += options.afterMs ?? 15_000;
  run.state = askedFor(run.state, { atMs: run.now, pods, isBlind: options.isBlind ?? false }, use);
  const { replicas } = decideSize(run.state, run.size, run.now, use);
  if (replicas !== run.size) run.state = stepped(run.state, run.size, replicas, run.now);
  run.size = replicas;
  return replicas;
};
const start = (size: number, use: ScaleRules): Run => ({ state: beginScaling(0, use), size, now: 0 });

describe("growing", () => {
  test("goes by steps, one each 15 s, up to the maximum", () => {
    const use = rules();
    const run = start(2, use);
    expect([look(run, 30, use), look(run, 30, use, { afterMs: 5_000 }), look(run, 30, use), look(run, 30, use)]).toEqual([6, 6, 10, 10]);
    expect(decideSize(run.state, 10, run.now, use)).toEqual({ replicas: 10, limit: "max", isHeld: false });
  });

  test("waits until the need has lasted, and goes by the least of it", () => {
    const use = rules({ up: { stabilizationMs: 60_000, podsPerStep: 10, stepMs: 15_000 } });
    const run = start(2, use);
    for (const pods of [9, 5, 9]) expect(look(run, pods, use)).toBe(2);
    expect(look(run, 9, use)).toBe(5);
    const brief = start(2, use);
    for (const pods of [9, 9, 2, 9, 9]) expect(look(brief, pods, use)).toBe(2);
  });

  test("up to the minimum needs nobody's word", () => {
    const use = rules({ minReplicas: 7 });
    const run = start(1, use);
    expect([look(run, undefined, use), look(run, undefined, use)]).toEqual([5, 7]);
  });
});

describe("shrinking", () => {
  test("waits for the whole window, then goes a step each minute", () => {
    const use = rules();
    const run = start(6, use);
    for (let at = 0; at < 600_000 - 15_000; at += 15_000) expect(look(run, 3, use)).toBe(6);
    expect(look(run, 3, use)).toBe(5);
    for (const _ of [1, 2, 3]) expect(look(run, 3, use)).toBe(5);
    expect(look(run, 3, use)).toBe(4);
  });

  test("goes by the most that was asked for in the window", () => {
    const use = rules({ down: { stabilizationMs: 60_000, podsPerStep: 10, stepMs: 15_000 } });
    const run = start(8, use);
    for (const pods of [2, 7, 2, 2]) look(run, pods, use);
    expect(run.size).toBe(7);
    for (const pods of [2, 2, 2]) look(run, pods, use);
    expect(run.size).toBe(2);
  });

  test("begins anew after silence: nothing for a full window", () => {
    const use = rules({ down: { stabilizationMs: 60_000, podsPerStep: 1, stepMs: 15_000 } });
    const run = start(6, use);
    for (const _ of [1, 2, 3]) look(run, 2, use);
    look(run, 2, use, { isBlind: true });
    expect(run.size).toBe(6);
    for (const _ of [1, 2, 3]) expect(look(run, 2, use)).toBe(6);
    expect(look(run, 2, use)).toBe(5);
  });

  test("from above the maximum goes by the same steps, and not before this leader knows enough", () => {
    const use = rules({ maxReplicas: 4, down: { stabilizationMs: 30_000, podsPerStep: 2, stepMs: 30_000 } });
    const run = start(7, use);
    expect([look(run, 9, use), look(run, 9, use), look(run, 9, use), look(run, 9, use), look(run, 9, use)]).toEqual([7, 5, 5, 4, 4]);
  });
});

describe("for any load, silence and clock", () => {
  const event = fc.record({
    afterMs: fc.integer({ min: 1, max: 40_000 }),
    pods: fc.option(fc.nat(20), { nil: undefined, freq: 8 }),
    isBlind: fc.boolean(),
  });
  const anyRules = fc
    .record({
      min: fc.integer({ min: 1, max: 5 }),
      range: fc.nat(6),
      up: fc.record({ stabilizationMs: fc.nat(60_000), podsPerStep: fc.integer({ min: 1, max: 5 }), stepMs: fc.constant(15_000) }),
      down: fc.record({
        stabilizationMs: fc.nat(120_000),
        podsPerStep: fc.integer({ min: 1, max: 3 }),
        stepMs: fc.integer({ min: 1, max: 60_000 }),
      }),
    })
    .map(({ min, range, up, down }): ScaleRules => ({ minReplicas: min, maxReplicas: min + range, up, down }));

  test("the size stays within its bounds, moves by steps, and never shrinks inside a window", () => {
    fc.assert(
      fc.property(anyRules, fc.nat(15), fc.array(event, { maxLength: 60 }), (use, first, events) => {
        const run = start(first, use);
        const asked: { at: number; pods: number }[] = [];
        let blindMs = 0;
        let shrunkMs = Number.NEGATIVE_INFINITY;
        for (const { afterMs, pods, isBlind } of events) {
          const before = run.size;
          look(run, pods, use, { afterMs, isBlind });
          if (pods !== undefined) asked.push({ at: run.now, pods });
          if (isBlind || pods === undefined) blindMs = run.now;
          expect(run.size).toBeGreaterThanOrEqual(Math.min(before, use.minReplicas));
          expect(run.size).toBeLessThanOrEqual(Math.max(before, use.maxReplicas));
          expect(run.size - before).toBeLessThanOrEqual(use.up.podsPerStep);
          expect(before - run.size).toBeLessThanOrEqual(use.down.podsPerStep);
          if (run.size >= before) continue;
          expect(run.now - blindMs).toBeGreaterThanOrEqual(use.down.stabilizationMs);
          expect(run.now - shrunkMs).toBeGreaterThanOrEqual(use.down.stepMs);
          shrunkMs = run.now;
          // Whatever was asked for within the window, the new size carries it, or the maximum forbids.
          for (const { at, pods: wanted } of asked)
            if (at > run.now - use.down.stabilizationMs) expect(run.size).toBeGreaterThanOrEqual(Math.min(wanted, use.maxReplicas));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("asking for more never gives fewer", () => {
    fc.assert(
      fc.property(anyRules, fc.nat(15), fc.array(event, { minLength: 1, maxLength: 20 }), fc.nat(10), (use, first, events, more) => {
        const at = (extra: number): number => {
          let state = beginScaling(0, use);
          let now = 0;
          for (const { afterMs, pods, isBlind } of events) {
            now += afterMs;
            state = askedFor(state, { atMs: now, pods: pods === undefined ? undefined : pods + extra, isBlind }, use);
          }
          return decideSize(state, first, now, use).replicas;
        };
        expect(at(more)).toBeGreaterThanOrEqual(at(0));
      }),
      { numRuns: 300 },
    );
  });
});
