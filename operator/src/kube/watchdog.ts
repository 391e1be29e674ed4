// Why: a connection whose other end is gone without a word looks like a quiet one. Bookmarks make a healthy watch speak
// every minute, so silence is the sign. It must never hang up on a connection that spoke.
import type { Cancel, Clock } from "../loop/clock.ts";

/** Hangs up when nothing was heard for `silenceMs`. One timer that is moved lazily: events may come by the thousand. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #hangUp: AbortController;
  #heardMs: number;
  #cancel: Cancel;
  barked = false;

  constructor(clock: Clock, silenceMs: number, hangUp: AbortController) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#hangUp = hangUp;
    this.#heardMs = clock.monotonicMs();
    this.#cancel = this.#arm(silenceMs);
  }

  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  stop(): void {
    this.#cancel();
  }

  #arm(delayMs: number): Cancel {
    return this.#clock.after(delayMs, () => {
      const leftMs = this.#heardMs + this.#silenceMs - this.#clock.monotonicMs();
      if (leftMs > 0) {
        this.#cancel = this.#arm(leftMs);
        return;
      }
      this.barked = true;
      this.#hangUp.abort();
    });
  }
}
