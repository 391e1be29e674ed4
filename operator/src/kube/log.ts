// Why: what the operator says of itself: the lines of its catalogue, one JSON object each, on standard output, at a level that can
// be changed while it runs and goes back by itself.
import { LOG_LEVELS, type LogLevel } from "@nexus/protocol/config.ts";
import { createLineLog, type Levelled, type TypedLog } from "@nexus/protocol/log-line.ts";
import type { Cancel, Clock } from "../loop/clock.ts";
import type { OperatorLogEvents } from "../loop/log-events.ts";
import type { PushLogEvent } from "../loop/pusher.ts";

export type OperatorLog = TypedLog<OperatorLogEvents> & Levelled;

export type OperatorLogOptions = {
  readonly level: LogLevel;
  readonly clock: Pick<Clock, "wallMs">;
  /** Takes one line with its newline; standard output when absent. */
  readonly write?: (line: string) => void;
  /** Hears of every line that is written. */
  readonly onLine?: (level: LogLevel) => void;
};

export const createOperatorLog = ({ level, clock, write, onLine }: OperatorLogOptions): OperatorLog =>
  createLineLog<OperatorLogEvents>({
    level,
    now: () => clock.wallMs(),
    write: write ?? ((line) => process.stdout.write(line)),
    ...(onLine ? { onLine } : {}),
  });

/** What happened while pods were told: only one that did not take it is a warning. */
export function logPush(log: OperatorLog, event: PushLogEvent, fields: Readonly<Record<string, unknown>>): void {
  if (event === "push.failed") log.warn(event, fields);
  else log.info(event, fields);
}

/** The level that a start asked for, and how to leave it for a while. */
export class LogLevels {
  readonly #log: OperatorLog;
  readonly #clock: Pick<Clock, "after">;
  readonly #usual: LogLevel;
  #back: Cancel | undefined;

  constructor(log: OperatorLog, clock: Pick<Clock, "after">) {
    this.#log = log;
    this.#clock = clock;
    this.#usual = log.level();
  }

  level(): LogLevel {
    return this.#log.level();
  }

  /** From now on, or for so many minutes; then the level the process was started with. */
  set(level: LogLevel, minutes?: number): void {
    this.stop();
    this.#change(level, minutes);
    if (minutes === undefined) return;
    this.#back = this.#clock.after(minutes * 60_000, () => {
      this.#back = undefined;
      this.#change(this.#usual);
    });
  }

  stop(): void {
    this.#back?.();
    this.#back = undefined;
  }

  /** Said while the lower of the two levels holds: it is seen whichever way it goes, but from `warn` to `error`. */
  #change(to: LogLevel, minutes = 0): void {
    const from = this.#log.level();
    const isQuieter = LOG_LEVELS.indexOf(to) > LOG_LEVELS.indexOf(from);
    if (!isQuieter) this.#log.setLevel(to);
    this.#log.info("log.level_changed", { from, to, fromMinutes: minutes });
    this.#log.setLevel(to);
  }
}
