// Why: what Autobahn|Testsuite said is kept in `docs/`, so that anyone can read it and a change of a verdict shows in a diff.
// Pure. It must never hold a timing or a date: two runs with the same verdicts write the same bytes.
import { type CaseResult, compareIds, isAccepted } from "./suite.ts";

/** Titles of the suite's sections, in our words. */
const SECTIONS: Readonly<Record<string, string>> = {
  1: "Framing: text and binary messages of growing size",
  2: "Pings and pongs",
  3: "Reserved bits",
  4: "Opcodes",
  5: "Fragmentation",
  6: "UTF-8",
  7: "Closing",
  9: "Limits: messages up to 16 MiB, fragmented and in small writes",
  10: "Automatic fragmentation",
  12: "permessage-deflate: different payloads",
  13: "permessage-deflate: different offers",
};

export const BEGIN = "<!-- results: written by test/conformance/autobahn/record.ts -->";
export const END = "<!-- end of results -->";

/** `6.4` of `6.4.1`; sections without groups (`2.1`) are their own. */
export const groupOf = (id: string): string => {
  const parts = id.split(".");
  return parts.length > 2 ? parts.slice(0, 2).join(".") : (parts[0] ?? id);
};

/** One line per group, keyed by the group's number. */
export function groupLines(results: readonly CaseResult[]): ReadonlyMap<string, string> {
  const groups = Map.groupBy(results, ({ id }) => groupOf(id));
  return new Map([...groups].map(([group, cases]) => [group, groupLine(group, cases)]));
}

function groupLine(group: string, cases: readonly CaseResult[]): string {
  const count = (verdict: CaseResult["verdict"]) => cases.filter((one) => isAccepted(one) && one.verdict === verdict).length;
  const failed = cases.filter((one) => !isAccepted(one)).length;
  const numbers = [cases.length, count("OK"), count("NON-STRICT"), count("INFORMATIONAL"), count("UNIMPLEMENTED"), failed];
  return `| ${group} | ${SECTIONS[group.split(".")[0] ?? ""] ?? ""} | ${numbers.join(" | ")} |`;
}

/** Every case that is anything but plainly OK; a declined offer is told by its group. */
export function exceptionLines(results: readonly CaseResult[]): readonly string[] {
  const others = results.filter((one) => one.verdict !== "OK" || one.close !== "OK").filter((one) => !isDeclined(one));
  return others.map(({ id, verdict, close }) => `| ${id} | ${verdict} | ${close} |`);
}

const isDeclined = (one: CaseResult) => one.verdict === "UNIMPLEMENTED" && isAccepted(one);

/** The part of `docs/websocket-conformance.md` between the two marks. */
export function resultText(results: readonly CaseResult[]): string {
  const sorted = [...results].sort((a, b) => compareIds(a.id, b.id));
  const head =
    "| cases | about | run | OK | non-strict | informational | declined | failed |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |";
  const odd = "| case | verdict | closing |\n| --- | --- | --- |";
  return [
    BEGIN,
    ["", head, ...groupLines(sorted).values()].join("\n"),
    `\nCases that are not plainly OK:\n\n${[odd, ...exceptionLines(sorted)].join("\n")}`,
    `\n${END}`,
  ].join("\n");
}

/** @throws Error when the page lost its marks */
export function replaceResults(page: string, results: readonly CaseResult[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the page needs ${BEGIN} and ${END}`);
  return page.slice(0, begin) + resultText(results) + page.slice(end + END.length);
}
