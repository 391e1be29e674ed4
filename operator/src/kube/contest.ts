// Why: two controllers that put the same field back for ever would write without end. After the third time in ten
// minutes we stop, say so, and try again every ten minutes. In memory only: a new leader starts counting anew.
import type { Clock } from "../loop/clock.ts";
import type { Contests } from "../loop/ports.ts";

export type ContestLimits = { readonly times: number; readonly windowMs: number; readonly pauseMs: number };

export const CONTEST_LIMITS: ContestLimits = { times: 3, windowMs: 600_000, pauseMs: 600_000 };

type Tracked = {
  appliedDigest: string;
  /** When each path was found changed, monotonic milliseconds. */
  readonly paths: Map<string, number[]>;
  /** No applying before this time; 0 = not paused. */
  pausedUntilMs: number;
  /** After a pause: the next difference before this time pauses again at once. */
  probationUntilMs: number;
};

export class ContestTracker implements Contests {
  readonly #clock: Clock;
  readonly #limits: ContestLimits;
  readonly #objects = new Map<string, Tracked>();

  constructor(clock: Clock, limits: ContestLimits = CONTEST_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Whether this process has applied exactly this rendering to the object `uid` before. */
  hasApplied(uid: string, digest: string): boolean {
    return this.#objects.get(uid)?.appliedDigest === digest;
  }

  /**
   * Counts that `paths` of the object `uid` were found changed by others.
   * @returns milliseconds until it may be applied again; 0 = now
   */
  found(uid: string, paths: readonly string[]): number {
    const { times, windowMs, pauseMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const tracked = this.#tracked(uid);
    if (nowMs < tracked.pausedUntilMs) return tracked.pausedUntilMs - nowMs;
    if (tracked.pausedUntilMs > 0) {
      tracked.pausedUntilMs = 0; // the one try after a pause
      tracked.probationUntilMs = nowMs + windowMs;
      tracked.paths.clear();
      return 0;
    }
    let isContested = nowMs < tracked.probationUntilMs;
    for (const path of paths) {
      const recent = (tracked.paths.get(path) ?? []).filter((atMs) => nowMs - atMs < windowMs);
      tracked.paths.set(path, [...recent, nowMs]);
      if (recent.length + 1 >= times) isContested = true;
    }
    if (isContested) tracked.pausedUntilMs = nowMs + pauseMs;
    return isContested ? pauseMs : 0;
  }

  /** The rendering was applied. A new one ends every contest: the user may have settled it. */
  applied(uid: string, digest: string): void {
    const tracked = this.#tracked(uid);
    if (tracked.appliedDigest === digest) return;
    tracked.appliedDigest = digest;
    tracked.paths.clear();
    tracked.pausedUntilMs = 0;
    tracked.probationUntilMs = 0;
  }

  /** Forgets an object that is gone. */
  forget(uid: string): void {
    this.#objects.delete(uid);
  }

  #tracked(uid: string): Tracked {
    let tracked = this.#objects.get(uid);
    if (!tracked) {
      tracked = { appliedDigest: "", paths: new Map(), pausedUntilMs: 0, probationUntilMs: 0 };
      this.#objects.set(uid, tracked);
    }
    return tracked;
  }
}
