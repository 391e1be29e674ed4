// Why: what fails for everybody at once (a broker that is away) must not become a flood of log lines on top.
// It must never be silent about the first.
import type { Clock } from "./ports.ts";

const SPAN_MS = 10_000;

/** Hands `fields` to `write` at once, then at most every ten seconds; `count` says how many calls a line stands for. */
export function createSeldom<F extends object>(
  clock: Pick<Clock, "monotonic">,
  write: (fields: F & { readonly count: number }) => void,
): (fields: F) => void {
  let writtenAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  return (fields) => {
    count++;
    const now = clock.monotonic();
    if (now - writtenAt < SPAN_MS) return;
    write({ ...fields, count });
    writtenAt = now;
    count = 0;
  };
}
