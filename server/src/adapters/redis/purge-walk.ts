// Why: the keys of one tenant are found by walking through all keys of a primary, a few hundred at a time, on a connection of
// its own. The walk costs Redis at most a fifth of its time, and less when it is busy.
// It must never block Redis, nor remove a key that only looks like the tenant's.
import type { Redis } from "ioredis";
import type { Clock } from "../../core/ports.ts";
import type { TenantKeys } from "./purge-keys.ts";
import type { PurgeProgress } from "./purge-progress.ts";
import { pause, within } from "./waits.ts";

/** Keys that one command looks at: some 0.1 ms of Redis' time. */
const COUNT = 256;
/** After each step we rest so many times as long as it took; longer when steps take as long as `BUSY_MS`: then others wait too. */
const REST = 4;
const BUSY_MS = 20;
const BUSY_REST = 20;
const MOST_REST_MS = 1_000;
/** Steps between two notes of how far it has come. */
const NOTE_STEPS = 8;
const COMMAND_MS = 5_000;

export type WalkOptions = {
  readonly connection: Redis;
  readonly theirs: TenantKeys;
  readonly progress: PurgeProgress;
  readonly clock: Pick<Clock, "monotonic">;
  readonly signal: AbortSignal;
  /** Whether this node may go on; asked before each step. */
  readonly mayGoOn: () => Promise<boolean>;
};

/** `end`: every key was looked at. Rejects with what Redis or the connection says. */
export async function walk(options: WalkOptions): Promise<"end" | "elsewhere" | "stopped"> {
  const { connection, progress, clock, signal, mayGoOn } = options;
  const run = await runOf(connection);
  let cursor = progress.cursor(run);
  for (let step = 1; cursor !== undefined; step++) {
    if (signal.aborted) return "stopped";
    if (!(await mayGoOn())) return "elsewhere";
    const began = clock.monotonic();
    const next = await look(options, cursor);
    const tookMs = clock.monotonic() - began;
    if (next === "0" || step % NOTE_STEPS === 0) await progress.save(run, next);
    cursor = next === "0" ? undefined : next;
    await pause(Math.min(MOST_REST_MS, tookMs * (tookMs < BUSY_MS ? REST : BUSY_REST)), signal);
  }
  return "end";
}

/** Removes what one step finds; the next cursor. */
async function look({ connection, theirs, progress }: WalkOptions, from: string): Promise<string> {
  const [next, found] = await within(COMMAND_MS, connection.scan(from, "MATCH", theirs.pattern, "COUNT", COUNT));
  const gone = found.filter((key) => theirs.isTheirs(key));
  if (gone.length > 0) {
    const pipeline = connection.pipeline();
    for (const key of gone) pipeline.unlink(key); // one by one: keys of different slots
    const answers = (await within(COMMAND_MS, pipeline.exec())) ?? [];
    for (const [error] of answers) if (error) throw error; // a slot that moved: it is found where it went
    progress.found += gone.length;
  }
  return next;
}

/** Tells one run of a server from every other. */
async function runOf(connection: Redis): Promise<string> {
  const info = await within(COMMAND_MS, connection.info("server"));
  const run = /^run_id:(\w+)/m.exec(info)?.[1];
  if (run === undefined) throw new Error("INFO names no run_id");
  return run;
}
