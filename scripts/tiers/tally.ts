// Why: Bun prints its counts on stderr, spread over lines, and counts nothing when a file fails to load. This turns a
// run's text and exit code into numbers that can be added up. Pure; it must never turn a failed run into zero failures.

export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number };

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

export const add = (a: Tally, b: Tally): Tally => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/** `text` is what `bun test` wrote to stderr; a non-zero exit without a counted failure counts as one failure. */
export function tallyOf(text: string, exitCode: number): Tally {
  const plain = Bun.stripANSI(text);
  const count = (word: string) => {
    const matches = [...plain.matchAll(new RegExp(`^\\s*(\\d+) ${word}s?\\s*$`, "gm"))];
    return Number(matches.at(-1)?.[1] ?? 0);
  };
  const failed = count("fail") + count("error");
  return { passed: count("pass"), failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped: count("skip") + count("todo") };
}

/** One failed test or hook. `file` is empty for errors between tests; `said`: the first lines of its error, empty when it had none. */
export type Failure = { readonly file: string; readonly name: string; readonly said: readonly string[] };

/** Enough to see what happened without the hour of lines above. */
const LINES_SAID = 12;
const CHARACTERS_OF_A_LINE = 300;

/** What failed, each once, as the run named it: tests, hooks (Bun calls them "(unnamed)"), errors that belong to no test. */
export function failuresOf(text: string): readonly Failure[] {
  const found: Failure[] = [];
  let repeats = false;
  let file = "";
  let since: string[] = [];
  const lines = Bun.stripANSI(text).split("\n");
  for (const [at, line] of lines.entries()) {
    const [, header] = /^(\S+\.test\.ts):$/.exec(line) ?? [];
    const [, verdict, name = ""] = /^\((pass|fail|skip|todo)\) (.*?)(?: \[[\d.]+ms\])?$/.exec(line) ?? [];
    // Bun names failures once more at its end, without file and error.
    if (/^\d+ tests? failed:$/.test(line)) repeats = true;
    if (verdict === "fail" && !(repeats && found.some((one) => one.name === name))) found.push({ file, name, said: errorIn(since) });
    if (line === "# Unhandled error between tests") found.push(between(lines.slice(at + 2)));
    if (header !== undefined) file = header;
    if (header !== undefined || verdict !== undefined) since = [];
    else since.push(line);
  }
  return found;
}

/** Its name is its error: it has no other. */
function between(lines: readonly string[]): Failure {
  const [first = "no error", ...said] = errorIn(lines.slice(0, 50));
  return { file: "", name: `between tests: ${first}`, said };
}

/** From the last `error:` of what was printed before the verdict. */
function errorIn(lines: readonly string[]): readonly string[] {
  const at = lines.findLastIndex((line) => /^\w*[eE]rror: /.test(line));
  if (at < 0) return [];
  const said = lines.slice(at, at + LINES_SAID).filter((line) => line.trim() !== "");
  return said.map((line) => (line.length > CHARACTERS_OF_A_LINE ? `${line.slice(0, CHARACTERS_OF_A_LINE)}…` : line));
}

/** For the end of a run. */
export const shownFailure = (tier: string, { file, name, said }: Failure): string =>
  [`✗ ${tier}: ${file === "" ? "" : `${file}: `}${name}`, ...said.map((line) => `    ${line}`)].join("\n");

/** The closing line that CI reads. */
export const closingLine = (tally: Tally): string => `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
