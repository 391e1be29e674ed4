// Why: docs/scenarios.md is written from the rows, so that the page cannot promise what no test shows. Run this file to write it.
import { join } from "node:path";
import { type Row, TABLE } from "./table.ts";

export const PAGE = "docs/scenarios.md";
const FOLDER = "test/e2e/control-plane/scenarios";

/** The page, as it must be. */
export function scenariosPage(): string {
  const count = TABLE.reduce((sum, { rows }) => sum + rows.length, 0);
  const chapters = TABLE.map(({ heading, test, rows }) =>
    [
      `## ${heading}`,
      "",
      `Run by [\`${test}\`](../${FOLDER}/${test}).`,
      "",
      "| report | what people saw | what Nexus does |",
      "| --- | --- | --- |",
      ...rows.map(line),
      "",
    ].join("\n"),
  );
  return `${INTRODUCTION(count)}\n${chapters.join("\n")}`;
}

const INTRODUCTION = (count: number): string => `<!-- Written by \`bun ${FOLDER}/page.ts\` from the rows of the tests. Do not edit. -->

# Scenarios

${count} things that went wrong for users of other operators, and what happens here. Each row is a test of the same name against a
real API server (the last chapter: a scripted one), under the rights of the chart. Sources are public reports; what is said of
them here is our summary.
`;

const line = ({ source, title, symptom, answer }: Row): string =>
  `| [${source}](https://github.com/${source.replace("#", "/issues/")}) | ${cell(symptom)} | ${cell(`**${capital(title)}.** ${capital(answer)}.`)} |`;

const cell = (text: string): string => text.replaceAll("|", "\\|");
/** A name of the API keeps its letters. */
const capital = (text: string): string => (/^\w+\./.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1));

if (import.meta.main) await Bun.write(join(import.meta.dir, "../../../..", PAGE), scenariosPage());
