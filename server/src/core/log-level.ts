// Why: whoever turns a log up at night forgets to turn it down: a level may be asked for a while, and then goes back by itself. It
// must never go back over a later wish.
import { LOG_LEVELS, type LogLevel } from "@nexus/protocol/config.ts";
import type { Levelled } from "@nexus/protocol/log-line.ts";
import type { Log } from "./ports.ts";

export type LogLevelsDeps = {
  readonly log: Log & Levelled;
  /** What it goes back to: the configuration's word at that time. */
  readonly usual: () => LogLevel;
  /** Runs later, and keeps no process alive; what comes back takes it back. */
  readonly after: (run: () => void, ms: number) => () => void;
  /** Other processes of this node hear of every change. */
  readonly tell?: (level: LogLevel) => void;
};

export type LogLevels = {
  /** From now on, or for so many minutes; then the usual one. */
  set(level: LogLevel, minutes?: number): void;
  stop(): void;
};

export function createLogLevels({ log, usual, after, tell }: LogLevelsDeps): LogLevels {
  let cancel: (() => void) | undefined;
  const stop = () => {
    cancel?.();
    cancel = undefined;
  };
  const change = (to: LogLevel, minutes: number) => {
    const from = log.level();
    const isQuieter = LOG_LEVELS.indexOf(to) > LOG_LEVELS.indexOf(from);
    // Said while the lower of the two holds: it is seen whichever way it goes, but from `warn` to `error`.
    if (!isQuieter) log.setLevel(to);
    log.info("log.level_changed", { from, to, fromMinutes: minutes });
    log.setLevel(to);
    tell?.(to);
  };
  return {
    set(level, minutes) {
      stop();
      change(level, minutes ?? 0);
      if (minutes === undefined) return;
      cancel = after(() => {
        cancel = undefined;
        change(usual(), 0);
      }, minutes * 60_000);
    },
    stop,
  };
}

/** As Node's timers do it. */
export function unheldTimer(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
