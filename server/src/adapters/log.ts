// Why: the server's lines go to standard output. It must never wait for whoever reads; what a line may hold is decided in
// protocol/log-line.ts.
import type { LogLevel } from "@nexus/protocol/config.ts";
import { createLineLog, type Levelled } from "@nexus/protocol/log-line.ts";
import type { LogEvents } from "../core/log-events.ts";
import type { Clock, Log } from "../core/ports.ts";

/** `lines`: written since the start. */
export type LevelledLog = Log & Levelled & { lines(): Readonly<Record<LogLevel, number>> };

export type LogOptions = {
  readonly level: LogLevel;
  readonly clock: Pick<Clock, "now">;
  /** Takes one line with its newline; standard output when absent. */
  readonly write?: (line: string) => void;
  /** In every line, before what the line says itself. */
  readonly fields?: Readonly<Record<string, number | string>>;
};

export function createLog(options: LogOptions): LevelledLog {
  const { level, clock, write = (line: string) => process.stdout.write(line), fields } = options;
  const lines = { debug: 0, info: 0, warn: 0, error: 0 };
  const log = createLineLog<LogEvents>({
    level,
    now: () => clock.now(),
    write,
    ...(fields ? { fields } : {}),
    onLine(level) {
      lines[level]++;
    },
  });
  return { ...log, lines: () => lines };
}
