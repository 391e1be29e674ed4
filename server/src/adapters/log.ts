// Why: one JSON line per lifecycle event on standard output, with fields that are projections: a value that could hold a
// payload, a header or a credential has no way into a line. It must never throw, and never wait for whoever reads.
import { LOG_LEVELS, type LogLevel } from "@nexus/protocol/config.ts";
import type { Clock, Log } from "../core/ports.ts";

const MAX_TEXT = 1000;
const MAX_ITEMS = 20;
/** Field names that would name a secret or a payload: shown as present, never with their value. */
const SENSITIVE =
  /^(.*(token|secret|password|passwd|authorization|cookie|credential|signature)s?|api_?keys?|keys?|payload|body|headers?|query|variables)$/i;
/** What looks like a JWT or a query string inside a text. */
const SECRET_TEXT = /eyJ[\w-]{6,}\.[\w-]*\.?[\w-]*|([?&][\w.-]+=)[^\s&#]+/g;

export type LevelledLog = Log & {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
};

export type LogOptions = {
  readonly level: LogLevel;
  readonly clock: Pick<Clock, "now">;
  /** Takes one line with its newline; standard output when absent. */
  readonly write?: (line: string) => void;
  /** In every line, before what the line says itself. */
  readonly fields?: Readonly<Record<string, number | string>>;
};

export function createLog(options: LogOptions): LevelledLog {
  const { clock, write = (line) => process.stdout.write(line), fields: always = {} } = options;
  let current = options.level;
  let lowest = LOG_LEVELS.indexOf(current);

  const at = (level: LogLevel) => (event: string, fields?: Readonly<Record<string, unknown>>) => {
    if (LOG_LEVELS.indexOf(level) < lowest) return;
    write(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), level, event, ...always, ...projection(fields) })}\n`);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    level: () => current,
    setLevel(level) {
      current = level;
      lowest = LOG_LEVELS.indexOf(level);
    },
  };
}

function projection(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const projected: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const shown = SENSITIVE.test(name) ? "[redacted]" : project(value);
    projected[name === "time" || name === "level" || name === "event" ? `field_${name}` : name] = shown;
  }
  return projected;
}

/** Numbers, booleans, bounded texts, short lists of those, errors. Anything else is named by its type only. */
function project(value: unknown): unknown {
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return text(value);
  if (value instanceof Error) return errorFacts(value, 0);
  if (Array.isArray(value)) {
    const shown: unknown[] = value
      .slice(0, MAX_ITEMS)
      .map((item) => (typeof item === "object" && item !== null ? "[object]" : project(item)));
    return value.length > MAX_ITEMS ? [...shown, `… ${value.length - MAX_ITEMS} more`] : shown;
  }
  return `[${typeof value}]`;
}

function text(value: string): string {
  const safe = value.replace(SECRET_TEXT, (_, name?: string) => `${name ?? ""}[redacted]`);
  return safe.length > MAX_TEXT ? `${safe.slice(0, MAX_TEXT)}…` : safe;
}

function errorFacts(error: Error, depth: number): Record<string, unknown> {
  const stack = error.stack
    ?.split("\n")
    .slice(1, 6)
    .map((line) => text(line.trim()));
  return {
    name: error.name,
    message: text(error.message),
    ...(stack && stack.length > 0 ? { stack } : {}),
    ...(error.cause instanceof Error && depth < 3 ? { cause: errorFacts(error.cause, depth + 1) } : {}),
  };
}
