// Why: how long to wait before the next attempt is decided here and nowhere else. A fleet that lost its server must not
// come back in step, so the wait is drawn from the whole range (full jitter). Pure; chance is a parameter.

export type BackoffOptions = { readonly baseMs: number; readonly maxMs: number };

export const DEFAULT_BACKOFF: BackoffOptions = { baseMs: 500, maxMs: 30_000 };

/** `attempt` counts from 0. `random` in [0, 1). Returns milliseconds in [0, min(maxMs, baseMs · 2^attempt)). */
export function backoffMs(attempt: number, random: number, { baseMs, maxMs }: BackoffOptions = DEFAULT_BACKOFF): number {
  return random * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
}
