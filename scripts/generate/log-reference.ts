// Why: whoever reads a line at night finds what it means and what to do, in the page and in the table the code is held to.
import { OPERATOR_EVENTS } from "../../operator/src/loop/log-events.ts";
import { LOG_FIELDS } from "../../protocol/log-fields.ts";
import type { LogCatalogue } from "../../protocol/log-line.ts";
import { SERVER_EVENTS } from "../../server/src/core/log-events.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|");

function rows(catalogue: LogCatalogue): readonly string[] {
  const sorted = Object.entries(catalogue).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([event, { levels, fields, about, action }]) => {
    const names = fields.map((field) => `\`${field}\``).join(" ");
    return `| \`${event}\` | ${levels.join(", ")} | ${cell(about)} | ${names} | ${cell(action) || "Nothing."} |`;
  });
}

const HEAD = ["| event | level | meaning | fields | what to do |", "| --- | --- | --- | --- | --- |"];

/** docs/reference/logs.md */
export function logReference(): string {
  const fields = Object.entries(LOG_FIELDS).map(([name, about]) => `| \`${name}\` | ${cell(about)} |`);
  return [
    "<!-- Written by `npm run generate` from the tables in the code. Do not edit. -->",
    "# Log lines",
    "",
    "Server and operator write one JSON object per line to standard output: `time` (RFC 3339, UTC), `level`, `event`, then the fields of the",
    "event. There is one line per thing that happens to the process, none per notification. No line holds a payload, a token, a password or",
    "a header: fields of such a name show `[redacted]`, and so does what looks like a credential inside a text.",
    "",
    "Levels are `debug`, `info` (the default), `warn` (it goes on, but somebody should know) and `error` (something did not work).",
    "The level can be changed while it runs; [operations](../operations.md) says how. Lines are counted in `nexus_log_lines_total` and",
    "`nexus_operator_log_lines_total`, by level.",
    "",
    "## Server",
    "",
    ...HEAD,
    ...rows(SERVER_EVENTS),
    "",
    "## Operator",
    "",
    ...HEAD,
    ...rows(OPERATOR_EVENTS),
    "",
    "## Fields",
    "",
    "| field | meaning |",
    "| --- | --- |",
    ...fields,
    "",
  ].join("\n");
}
