// Why: a setting that is silently ignored is the worst setting: every name and value is either taken or complained about.
import { describe, expect, test } from "bun:test";
import { configFields, envName, flagName } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import type { TSchema } from "@sinclair/typebox";

const errorsOf = (sources: Parameters<typeof parseConfig>[0]): readonly string[] => {
  const parsed = parseConfig(sources);
  return parsed.ok ? [] : parsed.errors;
};

describe("parseConfig", () => {
  test("without any source gives the documented defaults, frozen", () => {
    const parsed = parseConfig({ env: {} });
    if (!parsed.ok) throw new Error(parsed.errors.join("; "));
    expect(parsed.config).toMatchObject({
      http: { host: "0.0.0.0", port: 8081, publicDiagnostics: false },
      ops: { port: 9090 },
      admin: { port: 9091, certFile: "", rereadSeconds: 10 },
      log: { level: "info" },
      limits: {},
      delivery: {},
    });
    expect(Object.isFrozen(parsed.config.http)).toBe(true);
  });

  test("flags win over environment, environment over the caller's defaults", () => {
    const parsed = parseConfig({
      defaults: { http: { port: 1, host: "127.0.0.1" }, ops: { port: 3 } },
      env: { NEXUS_HTTP_PORT: "2", NEXUS_OPS_PORT: "4" },
      flags: new Map([["--http-port", "5"]]),
    });
    expect(parsed).toMatchObject({ ok: true, config: { http: { port: 5, host: "127.0.0.1" }, ops: { port: 4 } } });
  });

  test("says everything that is wrong at once, by the name the user wrote, and never the value", () => {
    const errors = errorsOf({
      env: { NEXUS_HTTP_PORT: "seventy", NEXUS_LIMITS_SEND_QUEUE_BYTES: "2" },
      flags: new Map([["--log-level", "loud"]]),
    });
    expect(errors).toEqual([
      "NEXUS_HTTP_PORT: must be a whole number from 0 to 65535",
      "--log-level: must be one of debug, info, warn, error",
      "NEXUS_LIMITS_SEND_QUEUE_BYTES: must be a whole number from 16384 to 67108864",
    ]);
    expect(errors.join()).not.toContain("seventy");
  });

  test("refuses an unknown name in a section of ours and guesses what was meant", () => {
    expect(errorsOf({ env: { NEXUS_HTTP_PRT: "1" } })).toEqual(["NEXUS_HTTP_PRT: no such setting; did you mean NEXUS_HTTP_PORT?"]);
    expect(errorsOf({ env: {}, flags: new Map([["--htp-port", "1"]]) })[0]).toStartWith("--htp-port: no such setting");
  });

  test("reads a list separated by commas, and refuses it whole for one bad item", () => {
    const parsed = parseConfig({ env: { NEXUS_HTTP_TRUSTED_PROXIES: "10.0.0.0/8, ::1,," } });
    expect(parsed).toMatchObject({ ok: true, config: { http: { trustedProxies: ["10.0.0.0/8", "::1"] } } });
    expect(parseConfig({ env: { NEXUS_HTTP_TRUSTED_PROXIES: "" } })).toEqual(parseConfig({ env: {} }));
    for (const bad of ["10.0.0.0/8,nonsense", "10.0.0.0/33", "example.com", "10.0.0.0/8 ::1"]) {
      expect(errorsOf({ env: { NEXUS_HTTP_TRUSTED_PROXIES: bad } })).toEqual([
        "NEXUS_HTTP_TRUSTED_PROXIES: must be a list separated by commas, each of which must be an IP address or range such as 10.0.0.0/8",
      ]);
    }
  });

  test("says what an address of Redis looks like", () => {
    const addresses = (text: string) => errorsOf({ env: { NEXUS_REDIS_ADDRESSES: text } });
    for (const good of ["redis:6379", "10.0.0.1:1,redis-1.redis:6379", "[2001:db8::1]:6379"]) expect(addresses(good)).toEqual([]);
    for (const bad of ["redis", "redis:", "redis:port", "2001:db8::1:6379", "redis:6379 other:6379", ""]) {
      expect(addresses(bad)).toHaveLength(1);
    }
    expect(addresses("redis")[0]).toContain("must be a host and port such as redis-0:6379");
  });

  test("says what a collector's address looks like, and takes none with credentials", () => {
    const endpoint = (text: string) => errorsOf({ env: { NEXUS_TRACING_ENDPOINT: text } });
    for (const good of ["", "http://otel:4318", "https://[2001:db8::1]/x/v1/traces?tenant=a"]) expect(endpoint(good)).toEqual([]);
    for (const bad of ["otel:4318", "http://", "grpc://otel:4317", "https://me:secret@otel:4318"]) {
      expect(endpoint(bad)).toEqual(["NEXUS_TRACING_ENDPOINT: must be an address such as http://otel:4318, without credentials"]);
    }
  });

  test("leaves other programs' variables alone", () => {
    expect(
      errorsOf({
        env: {
          NEXUS_SERVER_SERVICE_HOST: "10.0.0.1",
          NEXUS_REDIS_SERVICE_HOST: "10.0.0.2",
          NEXUS_REDIS_PORT_6379_TCP: "t",
          NEXUS_BUN: "x",
          HTTP_PROXY: "y",
        },
      }),
    ).toEqual([]);
  });

  test.each(configFields().map((field) => [field.env, field] as const))("%s can be set by environment and by flag", (_name, field) => {
    const text = sampleOf(field.schema);
    const isForFleets = field.path[0] === "processes" || field.path[0] === "inbox";
    const defaults = isForFleets ? { engine: "redis", postgres: { urlFile: "/run/postgres/url" } } : {};
    const byEnv = parseConfig({ defaults, env: { [field.env]: text } });
    expect(byEnv.ok).toBe(true);
    const isSecret = field.path.join(".") === "tracing.headers";
    expect(field.flag === undefined).toBe(isSecret);
    const byFlag = parseConfig({ defaults, env: {}, flags: new Map([[flagName(field.path), text]]) });
    if (isSecret) expect(byFlag.ok).toBe(false);
    else expect(byFlag).toEqual(byEnv);
    expect(byEnv).not.toEqual(parseConfig({ defaults, env: {} }));
  });

  test("refuses inboxes in PostgreSQL beside an engine of one node, and without an address", () => {
    const env = { NEXUS_INBOX: "postgres", NEXUS_POSTGRES_URL_FILE: "/run/postgres/url" };
    for (const engine of ["memory", "sqlite"]) {
      expect(errorsOf({ env: { ...env, NEXUS_ENGINE: engine } })).toEqual([
        `NEXUS_INBOX: postgres needs NEXUS_ENGINE=redis for everything else; the engine is ${engine}`,
      ]);
    }
    expect(errorsOf({ env: { ...env, NEXUS_ENGINE: "redis" } })).toEqual([]);
    expect(errorsOf({ env: { NEXUS_INBOX: "postgres", NEXUS_ENGINE: "redis" } })).toEqual([
      "NEXUS_POSTGRES_URL_FILE: NEXUS_INBOX=postgres needs the file with the database's address",
    ]);
  });

  test("refuses several processes that would know nothing of each other", () => {
    for (const engine of ["memory", "sqlite"]) {
      expect(errorsOf({ env: { NEXUS_PROCESSES: "2", NEXUS_ENGINE: engine } })).toEqual([
        `NEXUS_PROCESSES: more than one process needs NEXUS_ENGINE=redis; with ${engine} they would know nothing of each other`,
      ]);
      expect(errorsOf({ env: { NEXUS_PROCESSES: "1", NEXUS_ENGINE: engine } })).toEqual([]);
    }
    expect(errorsOf({ env: { NEXUS_PROCESSES: "2", NEXUS_ENGINE: "redis" } })).toEqual([]);
    expect(errorsOf({ env: { NEXUS_PROCESSES: "0" } })).toEqual(["NEXUS_PROCESSES: must be a whole number from 1 to 64"]);
  });
});

/** A legal text that differs from the field's default. */
function sampleOf(schema: ReturnType<typeof configFields>[number]["schema"]): string {
  if (schema.type === "integer")
    return String((schema.minimum ?? 0) === schema.default ? (schema.minimum ?? 0) + 1 : (schema.minimum ?? 0));
  if (schema.type === "boolean") return schema.default === true ? "false" : "true";
  if (schema.type === "array") return schema.items.format === "address-range" ? "10.0.0.0/8, 2001:db8::/32" : "redis-0:6379, [::1]:6380";
  if (schema.format === "collector-url") return "https://otel.example:4318/from/here";
  if (Array.isArray(schema.anyOf)) return String(schema.anyOf.find((one: TSchema) => one.const !== schema.default)?.const);
  return new RegExp(schema.pattern ?? "").test("some/text") ? "some/text" : "some-text";
}

test("names are derived from the path", () => {
  expect(envName(["limits", "sendQueueBytes"])).toBe("NEXUS_LIMITS_SEND_QUEUE_BYTES");
  expect(flagName(["limits", "sendQueueBytes"])).toBe("--limits-send-queue-bytes");
});
