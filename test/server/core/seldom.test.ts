// Why: an outage is told at once and not a thousand times.
import { expect, test } from "bun:test";
import { createSeldom } from "@nexus/server/core/seldom.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";

test("the first is logged, the others of ten seconds are counted", () => {
  const logged: unknown[] = [];
  const clock = manualServerClock();
  const say = createSeldom<{ readonly i: number }>(clock, (fields) => void logged.push(fields));
  for (let i = 0; i < 500; i++) say({ i });
  expect(logged).toEqual([{ i: 0, count: 1 }]);
  clock.advance(10_000);
  say({ i: 500 });
  expect(logged.at(-1)).toEqual({ i: 500, count: 500 });
});
