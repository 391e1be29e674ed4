// Why: the socket edge, judged by Autobahn|Testsuite, and the page that says what it found. The cases that need minutes are
// sampled; `test/conformance/autobahn/record.ts` runs all. Where there is no Python 2.7 this says so and runs nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Echo, startEcho } from "./autobahn/echo.ts";
import { autobahnHome } from "./autobahn/home.ts";
import { PAGE } from "./autobahn/record.ts";
import { type CaseResult, compareIds, isAccepted, runCases } from "./autobahn/suite.ts";
import { exceptionLines, groupLines, groupOf, replaceResults } from "./autobahn/table.ts";

const home = await autobahnHome();
if (!home.ok) process.stderr.write(`skipped: ${home.reason}\n`);

/** Side by side, because much of the time is spent waiting. */
const WHOLE = [["6.*"], ["1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "10.*"], ["9.*"]];
const SAMPLE = ["12.1.1", "12.1.11", "12.2.3", "13.1.1", "13.2.2", "13.3.1", "13.4.1", "13.5.1", "13.6.1", "13.7.1"];
const lines = (text: string) => text.split("\n").filter((line) => line.startsWith("| "));
const page = await Bun.file(PAGE).text();

describe.skipIf(!home.ok)("Autobahn|Testsuite", () => {
  let echo: Echo;
  let whole: readonly CaseResult[];
  let sample: readonly CaseResult[];

  beforeAll(async () => {
    if (!home.ok) return;
    echo = startEcho();
    const runs = await Promise.all([SAMPLE, ...WHOLE].map((cases) => runCases(home, echo.url, cases)));
    sample = runs[0] ?? [];
    whole = runs
      .slice(1)
      .flat()
      .sort((a, b) => compareIds(a.id, b.id));
  }, 120_000);
  afterAll(() => echo?.[Symbol.asyncDispose]());

  test("no case of 1 to 10 fails", () => {
    expect(whole.length).toBe(301);
    expect(whole.filter((one) => !isAccepted(one))).toEqual([]);
  });

  test("compression is negotiated and works; an offer that asks for the smallest window is declined", () => {
    expect(sample.map(({ id }) => id)).toEqual(SAMPLE);
    const declined = new Set(["13.3.1", "13.5.1"]);
    for (const { id, verdict, close } of sample)
      expect([id, verdict, close]).toEqual([id, declined.has(id) ? "UNIMPLEMENTED" : "OK", "OK"]);
  });

  test("the page says what the run says", () => {
    const groups = groupLines(whole);
    const written = lines(page).filter((line) => groups.has(line.split(" | ")[0]?.slice(2) ?? ""));
    expect(written).toEqual([...groups.values()]);
    const ids = new Set(whole.map(({ id }) => id));
    const odd = lines(page).filter((line) => ids.has(line.split(" | ")[0]?.slice(2) ?? "") && line.split(" | ").length === 3);
    expect(odd).toEqual([...exceptionLines(whole)]);
  });
});

describe("the result table", () => {
  const results: readonly CaseResult[] = [
    { id: "6.4.1", verdict: "NON-STRICT", close: "OK" },
    { id: "2.10", verdict: "OK", close: "OK" },
    { id: "2.9", verdict: "OK", close: "FAILED" },
  ];

  test("counts each verdict once, and a bad closing as a failure", () => {
    expect([...groupLines(results).values()]).toEqual([
      "| 6.4 | UTF-8 | 1 | 0 | 1 | 0 | 0 | 0 |",
      "| 2 | Pings and pongs | 2 | 1 | 0 | 0 | 0 | 1 |",
    ]);
    expect(groupOf("13.7.18")).toBe("13.7");
  });

  test("is written between its marks, in order of number, and the same twice", () => {
    const once = replaceResults(page, results);
    expect(once).toContain("| 2.9 | OK | FAILED |\n| 6.4.1 | NON-STRICT | OK |");
    expect(replaceResults(once, [...results].reverse())).toBe(once);
    expect(() => replaceResults("nothing", results)).toThrow("the page needs");
  });

  test("has no failing case", () => {
    const rows = lines(page).filter((line) => /^\| \d/.test(line) && line.split(" | ").length === 8);
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.filter((line) => !line.endsWith(" 0 |"))).toEqual([]);
  });
});
