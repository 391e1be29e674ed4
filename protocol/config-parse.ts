// Why: defaults, environment and flags become one frozen configuration, or every complaint at once. It reads only what
// it is given, so the caller decides what the environment is; a bad value is named, never repeated.
import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { type ConfigField, configFields, ServerConfig } from "./config.ts";

export type ConfigSources = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Flags as `--http-port`, without the value's `=`. */
  readonly flags?: ReadonlyMap<string, string>;
  /** Laid over the schema's defaults before environment and flags (dev mode listens on loopback, for example). */
  readonly defaults?: Readonly<Record<string, unknown>>;
};

export type ParsedConfig =
  | { readonly ok: true; readonly config: ServerConfig }
  | { readonly ok: false; readonly errors: readonly string[] };

/** Other variables of ours that are no settings of a server, and those Kubernetes makes of a Service called `nexus-redis`. */
const FOREIGN =
  /^NEXUS_(BUN|CACHE_DIR|PROCESS_INDEX|OPERATOR_.*|TEST_.*|BENCH_.*|IMAGE.*|.*_SERVICE_(HOST|PORT)(_.*)?|(REDIS|POSTGRES)_PORT(_.*)?)$/;

/** Order: schema defaults, `defaults`, environment, flags. Unknown names in a section of ours are refused. */
export function parseConfig(sources: ConfigSources): ParsedConfig {
  const errors: string[] = [];
  const fields = configFields();
  const tree: Record<string, unknown> = merge({}, sources.defaults ?? {});
  const known = new Map<string, ConfigField>();
  for (const field of fields) {
    const { env, flag } = field;
    known.set(env, field);
    if (flag !== undefined) known.set(flag, field);
    for (const [name, text] of [
      [env, sources.env[env]],
      [flag ?? env, flag === undefined ? undefined : sources.flags?.get(flag)],
    ] as const) {
      if (text === undefined) continue;
      const read = coerce(field.schema, text);
      if (read.ok) put(tree, field.path, read.value);
      else errors.push(`${name}: ${read.expected}`);
    }
  }
  for (const name of sources.flags?.keys() ?? []) if (!known.has(name)) errors.push(`${name}: no such setting${hint(name, known)}`);
  for (const [name, text] of Object.entries(sources.env)) {
    if (text === undefined || known.has(name) || FOREIGN.test(name) || !isInSection(name, fields)) continue;
    errors.push(`${name}: no such setting${hint(name, known)}`);
  }
  const config: unknown = Value.Default(ServerConfig, tree);
  if (errors.length === 0) {
    for (const error of Value.Errors(ServerConfig, config)) errors.push(`${nameOf(error.path, fields)}: ${expectation(error.schema)}`);
  }
  // Checked just above: Value.Errors found nothing.
  if (errors.length === 0) errors.push(...contradictions(config as ServerConfig));
  if (errors.length > 0) return { ok: false, errors: [...new Set(errors)] };
  return { ok: true, config: deepFreeze(config as ServerConfig) };
}

/** Settings that are each right and cannot be had together. */
function contradictions({ processes, engine, inbox, postgres }: ServerConfig): readonly string[] {
  const errors: string[] = [];
  if (processes > 1 && engine !== "redis") {
    errors.push(`NEXUS_PROCESSES: more than one process needs NEXUS_ENGINE=redis; with ${engine} they would know nothing of each other`);
  }
  if (inbox === "postgres") {
    if (engine !== "redis") errors.push(`NEXUS_INBOX: postgres needs NEXUS_ENGINE=redis for everything else; the engine is ${engine}`);
    if (postgres.urlFile === "") errors.push("NEXUS_POSTGRES_URL_FILE: NEXUS_INBOX=postgres needs the file with the database's address");
  }
  return errors;
}

function coerce(schema: TSchema, text: string): { ok: true; value: unknown } | { ok: false; expected: string } {
  const value = readText(schema, text);
  return value !== undefined && Value.Check(schema, value) ? { ok: true, value } : { ok: false, expected: expectation(schema) };
}

function readText(schema: TSchema, text: string): unknown {
  if (schema.type === "integer") return integer(text);
  if (schema.type === "boolean") return boolean(text);
  return schema.type === "array" ? list(text) : text;
}

const integer = (text: string): number | undefined => (/^-?\d{1,15}$/.test(text.trim()) ? Number(text) : undefined);
const boolean = (text: string): boolean | undefined => (text === "true" ? true : text === "false" ? false : undefined);

/** Items separated by commas; an empty text is an empty list. */
const list = (text: string): readonly string[] =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");

/** What would be right, in words. */
function expectation(schema: TSchema): string {
  if (schema.type === "integer") {
    const { minimum, maximum } = schema;
    if (minimum !== undefined && maximum !== undefined) return `must be a whole number from ${minimum} to ${maximum}`;
    return minimum === undefined ? "must be a whole number" : `must be a whole number of at least ${minimum}`;
  }
  if (schema.type === "boolean") return "must be true or false";
  if (schema.type === "array") return `must be a list separated by commas, each of which ${expectation(schema.items)}`;
  if (schema.format === "address-range") return "must be an IP address or range such as 10.0.0.0/8";
  if (schema.format === "host-port") return "must be a host and port such as redis-0:6379 or [2001:db8::1]:6379";
  if (Array.isArray(schema.anyOf)) return `must be one of ${schema.anyOf.map((one: TSchema) => String(one.const)).join(", ")}`;
  if (schema.format === "collector-url") return "must be an address such as http://otel:4318, without credentials";
  if (schema.pattern !== undefined) return `must match ${schema.pattern}`;
  return `must be a ${schema.type ?? "legal value"}`;
}

function isInSection(name: string, fields: readonly ConfigField[]): boolean {
  return fields.some(({ path }) => path.length > 1 && name.startsWith(`NEXUS_${String(path[0]).toUpperCase()}_`));
}

/** The known name that shares the longest prefix, when that is most of it. */
function hint(name: string, known: ReadonlyMap<string, ConfigField>): string {
  const shared = (other: string) => {
    let length = 0;
    while (length < name.length && name[length] === other[length]) length++;
    return length;
  };
  const best = [...known.keys()].sort((a, b) => shared(b) - shared(a))[0];
  return best !== undefined && shared(best) >= name.length * 0.6 ? `; did you mean ${best}?` : "";
}

function nameOf(pointer: string, fields: readonly ConfigField[]): string {
  const path = pointer.split("/").slice(1);
  return fields.find((field) => field.path.join("/") === path.join("/"))?.env ?? path.join(".");
}

function put(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [head = "", ...rest] = path;
  if (rest.length === 0) {
    tree[head] = value;
    return;
  }
  const inner = isRecord(tree[head]) ? tree[head] : {};
  tree[head] = inner;
  put(inner, rest, value);
}

function merge(into: Record<string, unknown>, from: Readonly<Record<string, unknown>>): Record<string, unknown> {
  for (const [key, value] of Object.entries(from)) {
    into[key] = isRecord(value) ? merge(isRecord(into[key]) ? into[key] : {}, value) : value;
  }
  return into;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
