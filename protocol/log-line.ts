// Why: server and operator write the same kind of line: one JSON object per event, whose fields are projections, so that a value
// that could hold a payload, a header or a credential has no way into a log. It must never throw, and it does no I/O itself.
import { LOG_LEVELS, type LogLevel } from "./config.ts";
import type { LogField } from "./log-fields.ts";

/** What the catalogue says of one event. The type of `TypedLog` follows from it: what is not in a row does not compile. */
export type LogRow = {
  readonly levels: readonly LogLevel[];
  /** What happened, in one sentence. */
  readonly about: string;
  /** Names of the fields a line may have; what each means is said once for all events (`LOG_FIELDS`). */
  readonly fields: readonly LogField[];
  /** What whoever reads the line does about it; empty: nothing. */
  readonly action: string;
};
export type LogCatalogue = Readonly<Record<string, LogRow>>;

/** A row of the catalogue; without `action` nobody has to do anything. */
export function logRow<L extends LogLevel, F extends LogField = never>(
  levels: L | readonly L[],
  fields: readonly F[],
  about: string,
  action = "",
): { readonly levels: readonly L[]; readonly fields: readonly F[]; readonly about: string; readonly action: string } {
  return { levels: typeof levels === "string" ? [levels] : levels, fields, about, action };
}

/** Events of the catalogue that may be written at a level. */
export type EventsAt<C extends LogCatalogue, L extends LogLevel> = {
  [E in keyof C & string]: L extends C[E]["levels"][number] ? E : never;
}[keyof C & string];

/** Facts of one event, never payloads, tokens or headers; `undefined` is left out. */
export type FieldsOf<C extends LogCatalogue, E extends keyof C> = { readonly [F in C[E]["fields"][number]]?: unknown };

/** A log that knows its events: an unknown event, a wrong level or a field that no row names does not compile. */
export type TypedLog<C extends LogCatalogue> = {
  [L in LogLevel]: <E extends EventsAt<C, L>>(event: E, fields?: FieldsOf<C, E>) => void;
};

export type Levelled = { level(): LogLevel; setLevel(level: LogLevel): void };

export type LineLogOptions = {
  readonly level: LogLevel;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Takes one line with its newline. */
  readonly write: (line: string) => void;
  /** In every line, before what the line says itself. */
  readonly fields?: Readonly<Record<string, number | string>>;
  /** Hears of every line that is written. */
  readonly onLine?: (level: LogLevel) => void;
};

/** A log of one process. Lines below its level are not made. */
export function createLineLog<C extends LogCatalogue>(options: LineLogOptions): TypedLog<C> & Levelled {
  const { now, write, onLine, fields: always = {} } = options;
  let current = options.level;
  let lowest = LOG_LEVELS.indexOf(current);

  const at = (level: LogLevel) => (event: string, fields?: Readonly<Record<string, unknown>>) => {
    if (LOG_LEVELS.indexOf(level) < lowest) return;
    write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, event, ...always, ...projection(fields) })}\n`);
    onLine?.(level);
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

const MAX_TEXT = 1000;
const MAX_ITEMS = 20;
const MAX_CAUSES = 3;
const MAX_FRAMES = 5;
/** Field names that would name a secret or a payload: shown as present, never with their value. */
const SENSITIVE =
  /^(.*(token|secret|password|passwd|authorization|cookie|credential|signature)s?|api_?keys?|keys?|payload|body|headers?|query|variables)$/i;
/** What looks like a JWT, a query string, the user part of an address or an Authorization header inside a text. */
const SECRET_TEXT =
  /eyJ[\w-]{6,}\.[\w-]*\.?[\w-]*|([?&][\w.-]+=)[^\s&#"']+|(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"']*@|\b((?:Bearer|Basic) +)[\w.~+/=-]+/gi;

/** Fields as they may be written: bounded, and without what is a secret by its name or its looks. */
export function projection(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
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
  if (typeof value === "string") return safeText(value);
  if (value instanceof Error) return errorFacts(value, 0);
  if (Array.isArray(value)) {
    const shown: unknown[] = value
      .slice(0, MAX_ITEMS)
      .map((item) => (typeof item === "object" && item !== null ? "[object]" : project(item)));
    return value.length > MAX_ITEMS ? [...shown, `… ${value.length - MAX_ITEMS} more`] : shown;
  }
  return `[${typeof value}]`;
}

/** A text without what looks like a credential, at most {@link MAX_TEXT} characters. */
export function safeText(value: string): string {
  const kept = value.length > 8 * MAX_TEXT ? value.slice(0, 8 * MAX_TEXT) : value; // what is cut is never searched either
  const safe = kept.replace(SECRET_TEXT, (_, name?: string, scheme?: string, kind?: string) =>
    scheme === undefined ? `${name ?? kind ?? ""}[redacted]` : `${scheme}[redacted]@`,
  );
  return safe.length > MAX_TEXT ? `${safe.slice(0, MAX_TEXT)}…` : safe;
}

function errorFacts(error: Error, depth: number): Record<string, unknown> {
  const stack = error.stack
    ?.split("\n")
    .slice(1, 1 + MAX_FRAMES)
    .map((line) => safeText(line.trim()));
  return {
    name: error.name,
    message: safeText(error.message),
    ...(stack && stack.length > 0 ? { stack } : {}),
    ...(error.cause instanceof Error && depth < MAX_CAUSES ? { cause: errorFacts(error.cause, depth + 1) } : {}),
  };
}
