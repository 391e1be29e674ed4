// Why: a node that stops must not throw all its clients at the others at once: they are told to leave at an even rate,
// and each is told another moment to come back. It must never take longer than it was given.
import type { Clock, Log } from "./ports.ts";

/** How often sessions are closed while a node drains, in milliseconds. */
const TICK_MS = 100;

/**
 * How many of `total` sessions may be open `elapsedMs` after the closing began, for an even rate over `overMs`.
 * Sessions that leave by themselves count: the rate is an upper bound, not a quota.
 */
export function mayStay(total: number, elapsedMs: number, overMs: number): number {
  if (overMs <= 0 || elapsedMs >= overMs) return 0;
  return Math.floor(total * (1 - elapsedMs / overMs));
}

/** Seconds until a client should come back: at least 1, spread over `jitterSeconds`. `random` is in [0, 1). */
export const reconnectAfterSeconds = (jitterSeconds: number, random: number): number => 1 + Math.floor(random * jitterSeconds);

export type DrainDeps = {
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
  readonly wait: (ms: number) => Promise<void>;
  readonly random: () => number;
  /** How long the node goes on serving while endpoints propagate, in seconds. */
  readonly propagationSeconds: number;
  /** Read when the closing begins: over how long, and how far reconnects are spread, in seconds. */
  readonly pace: () => { readonly drainSeconds: number; readonly reconnectJitterSeconds: number };
  readonly steps: {
    /** Readiness goes off. */
    announce(): void;
    /** New sessions are refused from now on. */
    refuse(): void;
    sessions(): number;
    /** Closes up to `count` sessions and says how many. */
    shutdown(count: number, reconnectAfterSeconds: () => number): number;
    /** Stores what the sessions left behind. */
    settle(): Promise<void>;
  };
};

export type Drain = {
  /** Starts at the first call; every call resolves when it is over. Never rejects. */
  run(): Promise<void>;
};

export function createDrain(deps: DrainDeps): Drain {
  let running: Promise<void> | undefined;
  return {
    run() {
      running ??= drain(deps);
      return running;
    },
  };
}

async function drain({ clock, log, wait, random, propagationSeconds, pace, steps }: DrainDeps): Promise<void> {
  log.info("drain.started", { sessions: steps.sessions(), propagationSeconds });
  steps.announce();
  await wait(propagationSeconds * 1000);
  steps.refuse();
  const { drainSeconds, reconnectJitterSeconds } = pace();
  const total = steps.sessions();
  const startedAt = clock.monotonic();
  log.info("drain.closing", { sessions: total, drainSeconds });
  const hint = () => reconnectAfterSeconds(reconnectJitterSeconds, random());
  while (steps.sessions() > 0) {
    const surplus = steps.sessions() - mayStay(total, clock.monotonic() - startedAt, drainSeconds * 1000);
    if (surplus > 0 && steps.shutdown(surplus, hint) === 0) break; // nobody left that can be told
    if (steps.sessions() > 0) await wait(TICK_MS);
  }
  try {
    await steps.settle();
  } catch (error) {
    log.error("drain.settle_failed", { error });
  }
  log.info("drain.finished", { closed: total, durationMs: Math.round(clock.monotonic() - startedAt) });
}
