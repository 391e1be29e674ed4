// Why: how soon a process comes back is a promise of docs/operations.md.
import { expect, test } from "bun:test";
import { restartAfterMs } from "@nexus/server/processes/back-off.ts";

test("starts again after a quarter of a second, then twice as long, up to half a minute, never at the same moment", () => {
  expect([1, 2, 3, 7, 8, 50, 5000].map((failures) => restartAfterMs(failures, 0.5))).toEqual([
    250, 500, 1000, 16_000, 30_000, 30_000, 30_000,
  ]);
  expect([restartAfterMs(1, 0), restartAfterMs(1, 1)]).toEqual([188, 313]);
});
