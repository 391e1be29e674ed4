// Why: a runner that counts wrong makes every other test worthless.
import { describe, expect, test } from "bun:test";
import { add, closingLine, failuresOf, tallyOf } from "../../scripts/tiers/tally.ts";

describe("tallyOf", () => {
  test("reads the counts of a coloured run", () => {
    expect(tallyOf("\u001b[32m 12 pass\u001b[0m\n 1 skip\n\u001b[31m 2 fail\u001b[0m\nRan 15 tests", 1)).toEqual({
      passed: 12,
      failed: 2,
      skipped: 1,
    });
  });

  test("counts one failure when a file did not load", () => {
    expect(tallyOf(" 3 pass\n 0 fail\n", 1)).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  test("counts errors between tests as failures", () => {
    expect(tallyOf(" 3 pass\n 0 fail\n 1 error\n", 1)).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  test("is not fooled by a test's own words", () => {
    expect(tallyOf("the log says 5 pass the gate\n 1 pass\n 0 fail\n", 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  });

  test("a crash without any count is a failure", () => {
    expect(tallyOf("", 139)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

test("the closing line adds tiers up", () => {
  expect(closingLine(add({ passed: 1, failed: 0, skipped: 2 }, { passed: 3, failed: 1, skipped: 0 }))).toBe(
    "4 passed, 1 failed, 2 skipped",
  );
});

test("what failed is named once, also what belongs to no test", () => {
  const text = [
    "(pass) a test [1.00ms]",
    "\u001b[31m(fail)\u001b[0m the store > keeps what it has [12.50ms]",
    "(fail) the store > keeps what it has [12.50ms]",
    "# Unhandled error between tests",
    "-------------------------------",
    "22 |     const outcome = await attempt(probe);",
    "                                  ^",
    "error: waited 10.0 s for: redis-server answers",
    "",
  ].join("\n");
  expect(failuresOf(text)).toEqual(["the store > keeps what it has", "between tests: error: waited 10.0 s for: redis-server answers"]);
  expect(failuresOf(" 3 pass\n 0 fail\n")).toEqual([]);
});
