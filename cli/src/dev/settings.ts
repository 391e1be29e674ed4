// Why: `nexus dev` takes every setting of a server, with defaults for one machine, and one promise on top: it never listens
// anywhere but on loopback, because it hands out keys to whoever asks.
import { join } from "node:path";
import { configFields, type ServerConfig } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import type { Arguments, Option } from "../args.ts";
import { UsageError } from "../command.ts";

const SHORT = new Map([["--port", "--http-port"]]);
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

const DEFAULTS = {
  http: { host: "127.0.0.1", publicDiagnostics: true },
  ops: { host: "127.0.0.1", port: 0 },
  drain: { propagationSeconds: 0 },
  log: { level: "warn" },
} as const;

/** Flags of the server's settings. Those of the admin port and the boot copy belong to pods. */
export const CONFIG_OPTIONS: readonly Option[] = [
  { name: "--port", value: "N", about: "Short for --http-port." },
  ...configFields()
    .filter(({ path }) => path[0] !== "admin" && path[0] !== "boot")
    .flatMap(({ flag, schema }) => {
      if (flag === undefined) return [];
      const value = schema.type === "integer" ? "N" : schema.type === "boolean" ? "true|false" : "TEXT";
      return [{ name: flag, value, bare: schema.type === "boolean", about: String(schema.description) }];
    }),
];

export type DevSettings = {
  readonly config: ServerConfig;
  /** Only when somebody said which. */
  readonly clusterName?: string;
  /** Whether somebody said how long a drain takes. */
  readonly hasDrain: boolean;
};

/** @throws UsageError with every complaint at once */
export function readSettings(args: Arguments, env: Readonly<Record<string, string | undefined>>): DevSettings {
  const names = new Set(CONFIG_OPTIONS.map(({ name }) => name));
  const flags = new Map([...args.flags].filter(([name]) => names.has(name)).map(([name, value]) => [SHORT.get(name) ?? name, value]));
  if (args.has("--port") && args.has("--http-port")) throw new UsageError("--port: is short for --http-port, give one of them");
  const data = args.get("--data");
  for (const name of ["--engine", "--sqlite-file"]) {
    if (data !== undefined && args.has(name)) throw new UsageError(`--data: says which engine and which file, give it or ${name}`);
  }
  const kept = data === undefined ? {} : { engine: "sqlite", sqlite: { file: join(data, "nexus.db") } };
  const parsed = parseConfig({ env, flags, defaults: { ...DEFAULTS, ...kept } });
  if (!parsed.ok) throw new UsageError(...parsed.errors);
  const { config } = parsed;
  for (const [name, host] of [
    ["--http-host", config.http.host],
    ["--ops-host", config.ops.host],
  ] as const) {
    if (!LOOPBACK.has(host))
      throw new UsageError(`${name}: nexus dev listens on loopback only (127.0.0.1, ::1 or localhost); nexus server listens anywhere`);
  }
  const said = (flag: string, variable: string) => flags.has(flag) || env[variable] !== undefined;
  return {
    config,
    ...(said("--cluster", "NEXUS_CLUSTER") ? { clusterName: config.cluster } : {}),
    hasDrain: said("--delivery-drain-seconds", "NEXUS_DELIVERY_DRAIN_SECONDS"),
  };
}
