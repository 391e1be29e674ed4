// Why: what an operator is told comes from people and charts; what is wrong must be said before anything starts.
import { expect, test } from "bun:test";
import { parseOptions } from "@nexus/operator/options.ts";

const runbooks = (value: string | undefined) => {
  const flags = new Map(value === undefined ? [] : [["--runbook-base-url", value] as const]);
  return parseOptions({ env: {}, flags });
};

test("runbooks are where the flag or the environment says, and else where ours are published", () => {
  expect(runbooks(undefined)).toMatchObject({ ok: true, options: { runbookBaseURL: undefined } });
  expect(runbooks("http://wiki.example/n/")).toMatchObject({ ok: true, options: { runbookBaseURL: "http://wiki.example/n/" } });
  const env = { NEXUS_OPERATOR_RUNBOOK_BASE_URL: "https://wiki.example" };
  expect(parseOptions({ env, flags: new Map() })).toMatchObject({ ok: true, options: { runbookBaseURL: "https://wiki.example" } });
});

test.each(["wiki.example/n", "javascript:alert(1)", 'https://wiki.example/"', "https://wiki example"])(
  "links that lead nowhere are refused: %s",
  (url) => {
    expect(runbooks(url)).toEqual({ ok: false, errors: ["--runbook-base-url: must be an address that begins with http:// or https://"] });
  },
);

const tracing = (env: Readonly<Record<string, string>>) => {
  const parsed = parseOptions({ env, flags: new Map() });
  return parsed.ok ? parsed.options.tracing : parsed.errors;
};

test("passes are traced to where somebody says, and to nowhere else", () => {
  expect(tracing({})).toEqual({ endpoint: "", samplePercent: 0, headersFile: "" });
  expect(tracing({ NEXUS_OPERATOR_TRACING_ENDPOINT: "http://otel:4318", NEXUS_OPERATOR_TRACING_SAMPLE_PERCENT: "25" })).toEqual({
    ...{ endpoint: "http://otel:4318", samplePercent: 25, headersFile: "" },
  });
  for (const bad of ["otel:4318", "https://me:secret@otel:4318"]) {
    const complaint = "--tracing-endpoint: must be an address such as http://otel:4318, without credentials";
    expect(tracing({ NEXUS_OPERATOR_TRACING_ENDPOINT: bad })).toEqual([complaint]);
  }
  expect(tracing({ NEXUS_OPERATOR_TRACING_SAMPLE_PERCENT: "101" })).toEqual([
    "--tracing-sample-percent: must be a whole number from 0 to 100",
  ]);
});

test("the log level is one of four, and the ports are ports", () => {
  const of = (env: Readonly<Record<string, string>>) => parseOptions({ env, flags: new Map() });
  expect(of({})).toMatchObject({ options: { logLevel: "info", port: 8080, localPort: 8081 } });
  expect(of({ NEXUS_OPERATOR_LOG_LEVEL: "debug", NEXUS_OPERATOR_LOCAL_PORT: "0" })).toMatchObject({
    options: { logLevel: "debug", localPort: 0 },
  });
  expect(of({ NEXUS_OPERATOR_LOG_LEVEL: "loud", NEXUS_OPERATOR_LOCAL_PORT: "70000" })).toEqual({
    ok: false,
    errors: ["--local-port: must be a whole number from 0 to 65535", "--log-level: must be one of debug, info, warn, error"],
  });
});
