// Why: what a runbook page has to have, so that whoever is woken by an alert finds every page built the same: what it means, how
// soon it comes, whom it hurts, where to look, what to do. Text in, facts and complaints out. Pure.

/** Headings of every page, in this order. */
export const SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "See also"] as const;

export type Page = {
  readonly title: string | undefined;
  /** What stands below the title: one line that says it all. */
  readonly line: string | undefined;
  readonly sections: readonly { readonly heading: string; readonly text: string }[];
};

/** A page of `docs/runbooks/`: `# Name`, one line, `Fires within: …`, then the sections. */
export function readPage(text: string): Page {
  const [head = "", ...parts] = text.split(/^## /m);
  const lines = head.split("\n").filter((line) => line.trim() !== "");
  return {
    title: lines[0]?.match(/^# (\S+)$/)?.[1],
    line: lines.find((line) => /^[^#<]/.test(line) && !PROMISE.test(line)),
    sections: parts.map((part) => {
      const [heading = "", ...rest] = part.split("\n");
      return { heading: heading.trim(), text: rest.join("\n").trim() };
    }),
  };
}

const PROMISE = /^Fires within: (\d+) (s|min|h)\b/m;
const SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600 };

/** How soon after the fault the page promises the alert, in seconds; undefined without the line `Fires within: 3 min`. */
export function firesWithinSeconds(text: string): number | undefined {
  const [, amount = "", unit = ""] = text.match(PROMISE) ?? [];
  return amount === "" ? undefined : Number(amount) * (SECONDS[unit] ?? Number.NaN);
}

export type Fence = { readonly language: string; readonly text: string };

/** Blocks between lines of three backticks, with the word behind the first. */
export function fencesOf(text: string): readonly Fence[] {
  return [...text.matchAll(/^ *```(\w*)[^\n]*\n([\s\S]*?)^ *```/gm)].map(([, language = "", inner = ""]) => ({ language, text: inner }));
}

/** Expressions of `promql` blocks: one a line, or several lines up to an empty one; a line with `#` at its start is a remark. */
export function promqlIn(text: string): readonly string[] {
  return fencesOf(text)
    .filter(({ language }) => language === "promql")
    .flatMap(({ text: block }) => block.split(/\n\s*\n|^\s*#.*$/m))
    .flatMap(statements)
    .filter((one) => one !== "");
}

/** Lines that go on, indented or inside of brackets, belong to the line before. */
function statements(block: string): readonly string[] {
  const found: string[] = [];
  for (const line of block.split("\n")) {
    if (/^\s+\S/.test(line) || /^\)/.test(line)) found.push(`${found.pop() ?? ""}\n${line}`);
    else found.push(line);
  }
  return found.map((one) => one.trim());
}

/** What is wrong with the page of alert `name`, which waits `forSeconds` before it fires. */
export function complaintsOfPage(name: string, text: string, forSeconds: number): readonly string[] {
  const { title, line, sections } = readPage(text);
  const wrong: string[] = [];
  if (title !== name) wrong.push(`is not headed "# ${name}"`);
  if (line === undefined) wrong.push("has no line below its title that says what is wrong");
  const promised = firesWithinSeconds(text);
  if (promised === undefined) wrong.push('has no line "Fires within: N min"');
  else if (promised < forSeconds + SCRAPE_AND_EVALUATION_SECONDS)
    wrong.push(
      `promises ${promised} s, and the rule alone waits ${forSeconds} s, a scrape and an evaluation ${SCRAPE_AND_EVALUATION_SECONDS} s`,
    );
  const headings = sections.map(({ heading }) => heading);
  for (const section of SECTIONS) if (!headings.includes(section)) wrong.push(`has no section "${section}"`);
  if (wrong.length === 0 && headings.join() !== SECTIONS.join()) wrong.push(`has its sections in another order: ${headings.join(", ")}`);
  for (const { heading, text: content } of sections) if (content === "") wrong.push(`says nothing under "${heading}"`);
  const diagnosis = sections.find(({ heading }) => heading === "Diagnosis")?.text ?? "";
  if (diagnosis !== "" && promqlIn(diagnosis).length === 0) wrong.push("asks nothing of Prometheus in its Diagnosis");
  if (diagnosis !== "" && !/\bkubectl /.test(diagnosis)) wrong.push("has no kubectl command in its Diagnosis");
  return wrong;
}

/** Prometheus' own rhythm where nobody set another: 30 s each. */
const SCRAPE_AND_EVALUATION_SECONDS = 60;
