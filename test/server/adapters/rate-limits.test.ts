// Why: keys come from addresses, which an attacker has many of: what is kept about them has a bound.
import { expect, test } from "bun:test";
import { MemoryRateLimits } from "@nexus/server/adapters/memory/rate-limits.ts";

test("a flood of addresses is forgotten when its time has passed, and bounded before", () => {
  let now = 0;
  const rates = new MemoryRateLimits({ now: () => now, monotonic: () => now });
  const window = { limit: 10, windowMs: 60_000 };
  for (let at = 0; at < 10; at++) rates.window("known", window);
  for (let at = 0; at < 150_000; at++) rates.window(`address-${at}`, window);
  expect(rates.size).toBeLessThanOrEqual(101_000);
  expect(rates.window("known", window).allowed).toBe(false); // those who asked most are kept
  now = 180_000;
  for (let at = 0; at < 1_000; at++) rates.take(`other-${at}`, { perSecond: 1, burst: 5 });
  expect(rates.size).toBeLessThanOrEqual(1_000);
});
