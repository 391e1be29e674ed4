// Why: who applies one Template to a fleet without pods is told within two seconds; a hundred thousand are not written twice.
import { expect, test } from "bun:test";
import { EarlyWords, MOST_EARLY } from "@nexus/operator/loop/early-words.ts";
import { ACKNOWLEDGE_MS } from "@nexus/operator/status/synced.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

test("a few are told within two seconds, many when pods had their time", () => {
  const early = new EarlyWords(new ManualClock());
  expect(early.waitMs(1)).toBeLessThanOrEqual(2_000);
  expect(early.waitMs(100_000)).toBe(ACKNOWLEDGE_MS);
  expect(early.waitMs(MOST_EARLY - 1)).toBeLessThanOrEqual(2_000); // those that wait did not take from the few
});

test("many in small steps are no more than many at once, and the next few are told early again", async () => {
  const clock = new ManualClock();
  const early = new EarlyWords(clock);
  let told = 0;
  for (let step = 0; step < 1_000; step++) {
    if (early.waitMs(7) < ACKNOWLEDGE_MS) told += 7;
    await clock.advance(20); // 20 s in all
  }
  expect(told).toBe(98);
  await clock.advance(ACKNOWLEDGE_MS - 20_000);
  expect(early.waitMs(7)).toBeLessThanOrEqual(2_000);
});
