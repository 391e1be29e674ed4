// Why: what the edges rely on in token buckets and sliding windows.
import { describe, expect, test } from "bun:test";
import type { MakeSubject } from "./subject.ts";

export function rateLimitsSuite(name: string, make: MakeSubject): void {
  describe(`rate limits: ${name}`, () => {
    test("allows the burst, then refuses and says when to come back", async () => {
      await using subject = await make();
      const { rates } = subject.engine;
      const rate = { perSecond: 2, burst: 3 };
      expect([1, 2, 3].map(() => rates.take("k", rate)).map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 2],
        [true, 1],
        [true, 0],
      ]);
      expect(rates.take("k", rate)).toMatchObject({ allowed: false, limit: 2, remaining: 0, retryAfterSeconds: 1 });
      expect(rates.take("other", rate).allowed).toBe(true);
    });

    test("fills up with time, up to the burst", async () => {
      await using subject = await make();
      const { rates } = subject.engine;
      const rate = { perSecond: 2, burst: 3 };
      for (let i = 0; i < 3; i++) rates.take("k", rate);
      await subject.advance(500);
      expect(rates.take("k", rate).allowed).toBe(true);
      expect(rates.take("k", rate).allowed).toBe(false);
      await subject.advance(60_000);
      const decision = rates.take("k", rate);
      expect(decision.remaining).toBe(2);
      expect(decision.resetAt).toBeGreaterThan(subject.now());
    });

    test("a rate of 0 is no limit", async () => {
      await using subject = await make();
      for (let i = 0; i < 100; i++) expect(subject.engine.rates.take("k", { perSecond: 0, burst: 1 }).allowed).toBe(true);
    });

    test("a window lets no more than its limit through in any span, wherever it begins", async () => {
      await using subject = await make();
      const rate = { limit: 10, windowMs: 60_000 };
      const passed: number[] = [];
      for (let second = 0; second < 300; second++) {
        // A burst late in one minute and early in the next would let a fixed window pass twice the limit.
        const tries = second % 60 === 59 || second % 60 === 1 ? 20 : 1;
        for (let i = 0; i < tries; i++) if (subject.engine.rates.window("w", rate).allowed) passed.push(second);
        await subject.advance(1000);
      }
      for (const from of passed) {
        expect(passed.filter((at) => at >= from && at < from + 60).length).toBeLessThanOrEqual(10);
      }
      expect(passed.length).toBeGreaterThanOrEqual(40); // ten a minute do get through
    });

    test("a window says what is left, when to come back, and is free again when it has passed", async () => {
      await using subject = await make();
      const { rates } = subject.engine;
      const rate = { limit: 2, windowMs: 60_000 };
      expect(rates.window("w", rate)).toMatchObject({ allowed: true, limit: 2, remaining: 1, retryAfterSeconds: 0 });
      await subject.advance(10_000);
      expect(rates.window("w", rate)).toMatchObject({ allowed: true, remaining: 0 });
      const refused = rates.window("w", rate);
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      expect(refused.retryAfterSeconds).toBeGreaterThanOrEqual(50);
      expect(refused.retryAfterSeconds).toBeLessThanOrEqual(52);
      expect(refused.resetAt).toBeGreaterThan(subject.now() + 59_000);
      expect(rates.window("other", rate).allowed).toBe(true);
      await subject.advance(refused.retryAfterSeconds * 1000);
      expect(rates.window("w", rate)).toMatchObject({ allowed: true, remaining: 0 });
      expect(rates.window("w", rate).allowed).toBe(false);
      await subject.advance(122_000);
      expect(rates.window("w", rate)).toMatchObject({ allowed: true, remaining: 1 });
    });

    test("a window of 0 is no limit, and a limit that is lowered counts what has passed already", async () => {
      await using subject = await make();
      const { rates } = subject.engine;
      for (let i = 0; i < 100; i++) expect(rates.window("w", { limit: 0, windowMs: 60_000 }).allowed).toBe(true);
      for (let i = 0; i < 5; i++) rates.window("v", { limit: 10, windowMs: 60_000 });
      expect(rates.window("v", { limit: 5, windowMs: 60_000 })).toMatchObject({ allowed: false, limit: 5, remaining: 0 });
      expect(rates.window("v", { limit: 6, windowMs: 60_000 }).allowed).toBe(true);
    });

    test("a slow rate says how long it takes, in whole seconds", async () => {
      await using subject = await make();
      const rate = { perSecond: 1 / 6, burst: 1 };
      subject.engine.rates.take("k", rate);
      expect(subject.engine.rates.take("k", rate).retryAfterSeconds).toBe(6);
    });
  });
}
