// Why: the server's lines go to standard output. It must never wait for whoever reads; what a line may hold is decided in
// protocol/log-line.ts.
import type { LogLevel } from "@nexus/protocol/config.ts";
import { createLineLog, type Levelled } from "@nexus/protocol/log-line.ts";
import type { LogEvents } from "../core/log-events.ts";
import type { Clock, Log } from "../core/ports.ts";

export type LevelledLog = Log & Levelled;

export type LogOptions = {
  readonly level: LogLevel;
  readonly clock: Pick<Clock, "now">;
  /** Takes one line with its newline; standard output when absent. */
  readonly write?: (line: string) => void;
  /** In every line, before what the line says itself. */
  readonly fields?: Readonly<Record<string, number | string>>;
  /** Hears of every line that is written. */
  readonly onLine?: (level: LogLevel) => void;
};

export function createLog(options: LogOptions): LevelledLog {
  const { level, clock, write = (line: string) => process.stdout.write(line), fields, onLine } = options;
  return createLineLog<LogEvents>({
    level,
    now: () => clock.now(),
    write,
    ...(fields ? { fields } : {}),
    ...(onLine ? { onLine } : {}),
  });
}
