// Why: what fails for everybody at once (a broker that is away) must not become a flood of log lines on top.
// It must never be silent about the first.
import type { Clock, Log } from "./ports.ts";

const SPAN_MS = 10_000;

/**
 * Logs a warning at once, then at most every ten seconds; `count` says how many it stands for. `event` as in `Log`.
 */
export function createSeldom({ log, clock }: { readonly log: Log; readonly clock: Clock }, event: string): (fields: object) => void {
  let loggedAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  return (fields) => {
    count++;
    const now = clock.monotonic();
    if (now - loggedAt < SPAN_MS) return;
    log.warn(event, { ...fields, count });
    loggedAt = now;
    count = 0;
  };
}
