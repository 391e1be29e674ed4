// Why: every command has the same time to be answered, so one queue and one timer serve them all; a timer each costs as much
// as the command. It must never let a command wait longer than its time and a tenth.
import type { Clock } from "../../core/ports.ts";
import { CommandTimeout } from "./connect-faults.ts";

/** One call that waits. `settled` is set by whoever answers it first. */
export type Waiting = { readonly dueAt: number; settled: boolean; readonly expire: (error: CommandTimeout) => void };

export type Deadlines = {
  /** Calls `expire` once, unless `settled` is set before its time is over. */
  start(expire: (error: CommandTimeout) => void): Waiting;
  /** Rejects with `CommandTimeout` when the work takes longer; the work itself goes on. */
  within<T>(work: Promise<T>): Promise<T>;
  close(): void;
};

export function createDeadlines(timeoutMs: number, clock: Pick<Clock, "monotonic">): Deadlines {
  let waiting: Waiting[] = [];
  let head = 0;
  let timer: ReturnType<typeof setInterval> | undefined;

  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const sweep = () => {
    const now = clock.monotonic();
    for (let first = waiting[head]; first && (first.settled || first.dueAt <= now); first = waiting[head]) {
      head += 1;
      if (first.settled) continue;
      first.settled = true;
      first.expire(new CommandTimeout(timeoutMs));
    }
    if (head > 0) waiting = waiting.slice(head);
    head = 0;
    if (waiting.length === 0) stop();
  };
  const start = (expire: (error: CommandTimeout) => void): Waiting => {
    const entry: Waiting = { dueAt: clock.monotonic() + timeoutMs, settled: false, expire };
    waiting.push(entry);
    timer ??= setInterval(sweep, Math.max(10, timeoutMs / 10));
    return entry;
  };
  return {
    start,
    within<T>(work: Promise<T>): Promise<T> {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const entry = start(reject);
      const settle = () => {
        entry.settled = true;
      };
      work.finally(settle).then(resolve, reject);
      return promise;
    },
    close: stop,
  };
}
