// Why: what the edges rely on in token buckets.
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

    test("a slow rate says how long it takes, in whole seconds", async () => {
      await using subject = await make();
      const rate = { perSecond: 1 / 6, burst: 1 };
      subject.engine.rates.take("k", rate);
      expect(subject.engine.rates.take("k", rate).retryAfterSeconds).toBe(6);
    });
  });
}
