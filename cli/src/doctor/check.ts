// Why: a doctor is a list of checks, each with what was seen and, where something is wrong, what mends it. Types, texts and the one
// verdict over them; nothing here asks anybody. A text must never hold a secret.

/** `warn`: works, but somebody should know. `fail`: an installation cannot work so. `skip`: could not be looked at, and why. */
export type Outcome = "ok" | "warn" | "fail" | "skip";

export type Check = {
  /** What was looked at: `Redis 10.0.0.7:6379 memory`. */
  readonly what: string;
  readonly outcome: Outcome;
  /** What was seen, in words. */
  readonly seen: string;
  /** A command or a field that mends it; each `fail` has one. */
  readonly fix?: string;
};

export const ok = (what: string, seen: string): Check => ({ what, outcome: "ok", seen });
export const skip = (what: string, seen: string): Check => ({ what, outcome: "skip", seen });
export const warn = (what: string, seen: string, fix: string): Check => ({ what, outcome: "warn", seen, fix });
export const fail = (what: string, seen: string, fix: string): Check => ({ what, outcome: "fail", seen, fix });

const MARKS: Readonly<Record<Outcome, string>> = { ok: "ok", warn: "WARN", fail: "FAIL", skip: "?" };

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ").trim();

/** One line a check. */
export const checkLine = ({ what, outcome, seen, fix }: Check): string =>
  `${MARKS[outcome].padEnd(5)}${what}: ${oneLine(seen)}${fix === undefined ? "" : `${oneLine(seen).endsWith(".") ? "" : "."} Fix: ${oneLine(fix)}`}`;

/** `12 checks: 10 ok, 1 warning, 1 failed`. */
export function summaryOf(checks: readonly Check[]): string {
  const count = (outcome: Outcome): number => checks.filter((one) => one.outcome === outcome).length;
  const said = [`${count("ok")} ok`];
  if (count("warn") > 0) said.push(`${count("warn")} to look at`);
  if (count("skip") > 0) said.push(`${count("skip")} not looked at`);
  said.push(`${count("fail")} failed`);
  return `${checks.length} ${checks.length === 1 ? "check" : "checks"}: ${said.join(", ")}`;
}

export const hasFailed = (checks: readonly Check[]): boolean => checks.some(({ outcome }) => outcome === "fail");

/** A part that throws becomes a failed check, and hides nothing of the others. */
export async function guarded(what: string, work: () => Promise<readonly Check[]>, fix: string): Promise<readonly Check[]> {
  try {
    return await work();
  } catch (error) {
    return [fail(what, error instanceof Error ? error.message : String(error), fix)];
  }
}

/** Milliseconds by which two clocks may differ. Sessions of a node that is away are forgotten after 10 s. */
const SKEW = { warnMs: 1000, failMs: 5000 } as const;

/** Compares a clock that was asked with ours, in the middle of the question. `aheadMs` is theirs minus ours. */
export function clockCheck(what: string, aheadMs: number, roundTripMs: number): Check {
  const off = Math.max(Math.abs(aheadMs) - roundTripMs / 2, 0);
  const seen = `${(Math.abs(aheadMs) / 1000).toFixed(1)} s ${aheadMs >= 0 ? "ahead of" : "behind"} this machine`;
  const fix = "synchronise the clocks of both machines (chronyc tracking, timedatectl)";
  if (off >= SKEW.failMs) return fail(what, `${seen}: tokens and expiry times are judged wrongly`, fix);
  if (off >= SKEW.warnMs) return warn(what, seen, fix);
  return ok(what, "agrees with this machine");
}
