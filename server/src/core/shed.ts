// Why: after a scale-up the fullest nodes hand part of their sessions to the others: at an even rate the others can take, and
// each client is told another moment to come back. It must never go on after it was replaced or stopped, nor close more than asked.
import { reconnectAfterSeconds } from "./drain.ts";
import type { Clock, Log } from "./ports.ts";

/** How often sessions are closed meanwhile, in milliseconds. */
const TICK_MS = 100;

export type ShedDeps = {
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
  readonly wait: (ms: number) => Promise<void>;
  readonly random: () => number;
  readonly reconnectJitterSeconds: () => number;
  readonly sessions: {
    count(): number;
    /** Closes up to `count` sessions, whichever, and says how many. */
    shed(count: number, reconnectAfterSeconds: () => number): number;
  };
};

export type Shed = {
  /** Replaces what is under way; 0 only stops it. Answers how many will be closed. */
  start(sessions: number, perSecond: number): number;
  /** Resolves when nothing is under way. Never rejects. */
  settled(): Promise<void>;
};

export function createShed(deps: ShedDeps): Shed {
  let current = 0;
  let running: Promise<void> = Promise.resolve();
  return {
    start(sessions, perSecond) {
      const mine = ++current;
      const wanted = Math.min(sessions, deps.sessions.count());
      if (wanted > 0) running = shed(deps, { wanted, perSecond, isCurrent: () => current === mine });
      return wanted;
    },
    async settled() {
      let waited: Promise<void>;
      do {
        waited = running;
        await waited;
      } while (waited !== running);
    },
  };
}

type Order = { readonly wanted: number; readonly perSecond: number; readonly isCurrent: () => boolean };

async function shed({ clock, log, wait, random, reconnectJitterSeconds, sessions }: ShedDeps, order: Order): Promise<void> {
  const { wanted, perSecond, isCurrent } = order;
  const startedAt = clock.monotonic();
  log.info("shed.started", { sessions: wanted, perSecond });
  const hint = () => reconnectAfterSeconds(reconnectJitterSeconds(), random());
  let closed = 0;
  while (isCurrent() && closed < wanted && sessions.count() > 0) {
    const due = Math.min(wanted, Math.floor(((clock.monotonic() - startedAt) * perSecond) / 1000));
    if (due > closed) closed += sessions.shed(due - closed, hint);
    if (closed < wanted) await wait(TICK_MS);
  }
  log.info("shed.finished", { closed, wanted, durationMs: Math.round(clock.monotonic() - startedAt) });
}
