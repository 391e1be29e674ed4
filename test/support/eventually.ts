// Why: tests wait for a condition, never for time. One place decides how a wait polls, how it gives up, and what it
// then says. It must never swallow the reason a probe failed: that is what the reader of a red test needs.

/**
 * How long a condition is waited for where a test names no time: `npm test` says half of what a test of the tier may take, so
 * that a wait ends, and says for what, before its test does. Nothing that succeeds gets slower.
 */
export const PATIENCE_MS = Number(process.env.NEXUS_TEST_PATIENCE_MS ?? 10_000);

/** Deadline and polling step of one wait, both in milliseconds. */
export type EventuallyOptions = { readonly timeoutMs?: number; readonly intervalMs?: number };

/**
 * Calls `probe` until it answers something truthy, and returns that answer. A probe that throws is asked again, so an
 * assertion may be the probe (`() => expect(x).toBe(1)` needs a `return true` after it).
 * @param what the awaited condition as a phrase, e.g. "the pod is Ready"; it becomes the error text
 * @throws Error after `timeoutMs` (default {@link PATIENCE_MS}), naming `what`, the last falsy answer or the last error (as `cause`)
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const { timeoutMs = PATIENCE_MS, intervalMs = 50 } = options;
  const startedMs = performance.now();
  let last: Outcome = { kind: "silent" };
  for (let attempts = 1; ; attempts++) {
    const outcome = await attempt(probe, startedMs + timeoutMs - performance.now());
    if (outcome.kind !== "silent") last = outcome;
    // The cast repeats what the truthiness check beside it established.
    if (outcome.kind === "answer" && outcome.value) return outcome.value as Exclude<T, undefined | null | false | 0 | "">;
    const elapsedMs = performance.now() - startedMs;
    if (outcome.kind === "silent" || elapsedMs + intervalMs > timeoutMs) throw gaveUp(what, last, { attempts, elapsedMs });
    await Bun.sleep(intervalMs);
  }
}

type Outcome = { kind: "answer"; value: unknown } | { kind: "error"; error: unknown } | { kind: "silent" };

/** One call of the probe; a probe that does not come back by the deadline is `silent` (it may still be running). */
async function attempt(probe: () => unknown, remainingMs: number): Promise<Outcome> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve({ kind: "silent" }), Math.max(remainingMs, 1));
  });
  const asked = (async (): Promise<Outcome> => {
    try {
      return { kind: "answer", value: await probe() };
    } catch (error) {
      return { kind: "error", error };
    }
  })();
  try {
    return await Promise.race([asked, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function gaveUp(what: string, last: Outcome, seen: { attempts: number; elapsedMs: number }): Error {
  const waited = `waited ${(seen.elapsedMs / 1000).toFixed(1)} s (${seen.attempts} ${seen.attempts === 1 ? "try" : "tries"}) for: ${what}`;
  if (last.kind === "error") {
    const text = last.error instanceof Error ? last.error.message : String(last.error);
    return new Error(`${waited}; last error: ${text}`, { cause: last.error });
  }
  if (last.kind === "silent") return new Error(`${waited}; the probe never came back`);
  return new Error(`${waited}; last answer: ${shown(last.value)}`);
}

function shown(value: unknown): string {
  const text = Bun.inspect(value);
  return text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
}
