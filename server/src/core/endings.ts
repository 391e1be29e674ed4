// Why: a close frame cannot pass what a connection still buffers, and a closed socket whose peer never reads keeps its
// buffers for ever. So whoever buffers is closed once it drained, and cut when it does not drain in time.
// It must never hold a connection longer than that.
import type { Outlet } from "./outlet.ts";
import type { Session } from "./session.ts";

/** How long an ended connection may take to drain, in milliseconds. */
export const LAST_WORDS_MS = 10_000;

type Ending = { readonly outlet: Outlet; readonly code: number; readonly reason: string; readonly until: number };

export class Endings {
  readonly #waiting = new Map<Session, Ending>();

  /** Connections that are ended and still buffer. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Closes now, or when the connection drained. `now` in milliseconds of the monotonic clock. */
  close(session: Session, ending: Omit<Ending, "until">, now: number): void {
    if (ending.outlet.getBufferedAmount() === 0) ending.outlet.close(ending.code, ending.reason);
    else this.#waiting.set(session, { ...ending, until: now + LAST_WORDS_MS });
  }

  drained(session: Session): void {
    const ending = this.#waiting.get(session);
    if (!ending || ending.outlet.getBufferedAmount() > 0) return;
    this.#waiting.delete(session);
    ending.outlet.close(ending.code, ending.reason);
  }

  /** The connection is gone by itself. */
  gone(session: Session): void {
    this.#waiting.delete(session);
  }

  /** Cuts those whose time is over; they are in order of time. */
  tick(now: number): void {
    for (const [session, { outlet, until }] of this.#waiting) {
      if (until > now) return;
      this.#waiting.delete(session);
      outlet.terminate();
    }
  }
}
