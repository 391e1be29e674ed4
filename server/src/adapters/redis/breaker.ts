// Why: whoever calls a Redis that does not answer must be told at once, and a Redis that recovers must not meet the whole
// queue of those who waited. Pure: the clock and the dice are handed in. It must never hold a call back: it says yes or no.
import type { Clock } from "../../core/ports.ts";

export type BreakerState = "closed" | "open" | "half_open";

export type BreakerOptions = {
  readonly clock: Pick<Clock, "monotonic">;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called each time it opens. */
  readonly onOpen?: () => void;
};

/**
 * Closed: everything goes. Open, after `THRESHOLD` failures without a success between: nothing goes, for 1 to 2 s, twice as
 * long each time up to 8 to 16 s. Then half open: one call goes; its success closes, its failure opens again.
 */
export type Breaker = {
  /** A ticket to hand back with the outcome, or undefined: not now. */
  admit(): number | undefined;
  /** Any answer proves the way is open, also one to a call of long ago. */
  succeeded(): void;
  /** A call of before the breaker last opened says nothing new, and is not counted. */
  failed(ticket: number): void;
  /** Nothing is known against it any more: a new connection stands. */
  reset(): void;
  state(): BreakerState;
  /** In a row. */
  failures(): number;
};

const THRESHOLD = 5;
const OPEN_MS = 1000;
/** 1, 2, 4, then 8 times `OPEN_MS`, and up to as much again by chance. */
const MAX_DOUBLINGS = 3;

export function createBreaker({ clock, random, onOpen }: BreakerOptions): Breaker {
  let failures = 0;
  /** How often it opened since it was last closed; 0: closed. */
  let openings = 0;
  let openUntil = 0;
  let isProbing = false;
  /** Grows whenever it opens or lets a probe go, so that outcomes of before can be told apart. */
  let ticket = 0;

  const open = () => {
    const span = OPEN_MS * 2 ** Math.min(openings, MAX_DOUBLINGS);
    openings += 1;
    openUntil = clock.monotonic() + span * (1 + random());
    isProbing = false;
    ticket += 1;
    onOpen?.();
  };
  const close = () => {
    failures = 0;
    openings = 0;
    isProbing = false;
  };
  return {
    admit() {
      if (openings === 0) return ticket;
      if (isProbing || clock.monotonic() < openUntil) return undefined;
      isProbing = true;
      return ++ticket;
    },
    succeeded: close,
    failed(of) {
      if (of !== ticket) return;
      failures += 1;
      if (openings > 0 || failures >= THRESHOLD) open();
    },
    reset: close,
    state: () => (openings === 0 ? "closed" : clock.monotonic() < openUntil ? "open" : "half_open"),
    failures: () => failures,
  };
}
