// Why: a process that ends by itself is started again, but one that cannot live must not keep a core busy with trying.
// Pure; it must never give up: the next configuration or a broker that is back may be what was missing.

const FIRST_MS = 250;
const LAST_MS = 30_000;
/** A process that lived this long was well: the next end is the first again. */
export const HEALTHY_AFTER_MS = 60_000;

/** Milliseconds until the next start, after `failures` ends in a row (1 and up). `random` is in [0, 1). */
export const restartAfterMs = (failures: number, random: number): number =>
  Math.round(Math.min(LAST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.75 + random / 2));
