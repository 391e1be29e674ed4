// Why: a runner that counts wrong makes every other test worthless.
import { describe, expect, test } from "bun:test";
import { add, closingLine, failuresOf, shownFailure, tallyOf } from "../../scripts/tiers/tally.ts";

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

describe("failuresOf", () => {
  const text = [
    "test/a.test.ts:",
    "(pass) a test [1.00ms]",
    "error: a test that passed may print this",
    "(pass) another",
    "noise of the test",
    "22 |     expect(kept).toBe(3);",
    "                          ^",
    "error: expect(received).toBe(expected)",
    "",
    "Expected: 3",
    "\u001b[31m(fail)\u001b[0m the store > keeps what it has [12.50ms]",
    "",
    "test/b.test.ts:",
    `error: apiserver exited ${"x".repeat(400)}`,
    ...Array.from({ length: 40 }, (_, at) => `line ${at} of its log`),
    "(fail) (unnamed) [3081.26ms]",
    "# Unhandled error between tests",
    "-------------------------------",
    "22 |     const outcome = await attempt(probe);",
    "                                  ^",
    "error: waited 10.0 s for: redis-server answers",
    "",
    "2 tests failed:",
    "(fail) the store > keeps what it has [12.50ms]",
    "(fail) (unnamed) [3081.26ms]",
  ].join("\n");
  const found = failuresOf(text);

  test("what failed is named once with its file, also what belongs to no test", () => {
    expect(found.map(({ file, name }) => [file, name])).toEqual([
      ["test/a.test.ts", "the store > keeps what it has"],
      ["test/b.test.ts", "(unnamed)"],
      ["", "between tests: error: waited 10.0 s for: redis-server answers"],
    ]);
    expect(failuresOf(" 3 pass\n 0 fail\n")).toEqual([]);
  });

  test("its error is said in a few short lines", () => {
    const [of = { said: [] }, hook = { said: [] }] = found;
    expect(of.said).toEqual(["error: expect(received).toBe(expected)", "Expected: 3"]);
    expect(hook.said.length).toBe(12);
    expect(hook.said[0]).toHaveLength(301);
    expect(hook.said.at(-1)).toBe("line 10 of its log");
  });

  test("a failure without an error is named all the same", () => {
    expect(failuresOf("test/a.test.ts:\n(fail) it timed out [5000.00ms]\n")).toEqual([
      { file: "test/a.test.ts", name: "it timed out", said: [] },
    ]);
  });

  test("at the end of a run: tier, file, name and error", () => {
    expect(shownFailure("unit", { file: "test/a.test.ts", name: "it", said: ["error: no"] })).toBe(
      "✗ unit: test/a.test.ts: it\n    error: no",
    );
    expect(shownFailure("unit", { file: "", name: "between tests: error: no", said: [] })).toBe("✗ unit: between tests: error: no");
  });
});
