// Why: a budget for reconnects is judged by this count; one that counted too few would let a storm pass.
import { expect, test } from "bun:test";
import { busiestSecond, comebacks } from "../support/fleet/outages.ts";

test("the busiest second is any second, not one of the clock's", () => {
  expect(busiestSecond([])).toBe(0);
  expect(busiestSecond([0, 999, 1000])).toBe(2);
  expect(busiestSecond([900, 1100, 5000, 1500, 1899])).toBe(4);
});

test("links that were lost before do not count", () => {
  expect(
    comebacks(
      [
        {
          outages: [
            [1, 2],
            [5, 9],
          ],
        },
        { outages: [] },
      ],
      5,
    ),
  ).toEqual([{ downAt: 5, upAt: 9 }]);
});
