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

/** What failed, as the run named it, each once: test names, and errors that belong to no test. */
export function failuresOf(text: string): readonly string[] {
  const plain = Bun.stripANSI(text);
  const named = [...plain.matchAll(/^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/gm)].map(([, name = ""]) => name);
  const between = [...plain.matchAll(/^# Unhandled error between tests\n-+\n(?:\s*\d+ \|.*\n|\s*\^\n)*(.*)/gm)].map(
    ([, error = ""]) => `between tests: ${error}`,
  );
  return [...new Set([...named, ...between])];
}

/** The closing line that CI reads. */
export const closingLine = (tally: Tally): string => `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
