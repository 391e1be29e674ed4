// Why: what time has ended must leave the tables, in steps so small that nobody waits, and by one node at a time (the
// database says which). It must never hide a loss: what left before its own end is remembered in the same step.
import type { Clock, Ids, Log } from "../../core/ports.ts";
import type { Pool } from "./pool.ts";

/** Rows per step and table. */
const STEP = 1000;
/** How long an empty inbox can still prove what was lost. */
const STREAM_LIFE_MS = 30 * 86_400_000;
const EVERY_MS = 1000;

export type SweeperDeps = { readonly pool: Pool; readonly clock: Pick<Clock, "now">; readonly ids: Pick<Ids, "epoch">; readonly log: Log };

export class Sweeper {
  readonly #deps: SweeperDeps;
  readonly #timer: ReturnType<typeof setInterval>;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #walkedTo = 0;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.sweep(), EVERY_MS);
    this.#timer.unref();
  }

  /** Lets go of what has expired. Runs by itself every second; resolves when nothing is left to let go. Never rejects. */
  sweep(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { pool, clock, ids, log } = this.#deps;
    if (pool.isAway) return;
    try {
      for (let went = STEP; went >= STEP && !this.#isClosed; ) {
        const [row] = await pool.run<{ readonly went: string }>("SELECT nexus.sweep_1($1::bigint, $2::bigint) AS went", [
          clock.now(),
          STEP,
        ]);
        went = Number(row?.went ?? 0);
      }
      if (this.#isClosed) return;
      const values = [this.#walkedTo, STEP, clock.now() - STREAM_LIFE_MS, ids.epoch()];
      const [row] = await pool.run<{ readonly last: string | null }>(
        "SELECT nexus.forget_1($1::bigint, $2::bigint, $3::bigint, $4::text) AS last",
        values,
      );
      this.#walkedTo = Number(row?.last ?? 0);
    } catch (error) {
      log.debug("postgres.sweep_failed", { error: String(error) }); // the next one comes in a second; the pool says when it is away
    }
  }
}
