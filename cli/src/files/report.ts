// Why: what is wrong with files, as people, editors, scripts and GitHub's checks read it. Pure: text in, text out.
import { type Problem, problemText } from "./load.ts";

export const FORMATS = ["text", "json", "github"] as const;
export type Format = (typeof FORMATS)[number];
export type Finding = Problem & { readonly severity: "error" | "warning" };

/** One line a finding. */
export const textLine = (finding: Finding): string =>
  finding.severity === "error" ? problemText(finding) : problemText({ ...finding, message: `warning: ${finding.message}` });

/** A workflow command of GitHub Actions, which shows it at the line of a pull request. */
export function githubLine({ severity, file, line, column, field, message }: Finding): string {
  const place = Object.entries({ file, line, col: column, title: field })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${escapeProperty(String(value))}`]))
    .join(",");
  return `::${severity} ${place}::${escapeData(field === undefined ? message : `${field}: ${message}`)}`;
}

const escapeData = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const escapeProperty = (text: string): string => escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

export type Totals = { readonly objects: number; readonly files: number; readonly others: number; readonly leftOut: readonly string[] };

/** One document: `{valid, objects, files, leftOut: [folder], findings: [{severity, file, line, column, field, message}]}`. */
export const jsonReport = (findings: readonly Finding[], totals: Totals): string =>
  JSON.stringify(
    {
      valid: !findings.some(({ severity }) => severity === "error"),
      ...{ objects: totals.objects, files: totals.files, leftOut: totals.leftOut },
      findings,
    },
    undefined,
    2,
  );

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** The last line for people: what was looked at, and what was not. */
export function summaryLine(findings: readonly Finding[], { objects, files, others, leftOut }: Totals): string {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const warnings = findings.length - errors;
  const also = warnings > 0 ? `, ${counted(warnings, "warning")}` : "";
  const unread = [
    ...(others > 0 ? [`${others} of other kinds not looked at`] : []),
    ...(leftOut.length > 0 ? [`${counted(leftOut.length, "folder")} of test data not read`] : []),
  ];
  const rest = unread.map((what) => `; ${what}`).join("");
  return `${counted(objects, "object")} in ${counted(files, "file")}, ${counted(errors, "problem")}${also}${rest}. Secrets and ids that may not change were not checked.`;
}
