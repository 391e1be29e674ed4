// Why: a catalogue is only worth reading when each row is true: the compiler refuses a line without a row, and this refuses a row
// without a line, at another level or with a field that no line has.
import { describe, expect, test } from "bun:test";
import { OPERATOR_EVENTS } from "@nexus/operator/loop/log-events.ts";
import { LOG_FIELDS, type LogField } from "@nexus/protocol/log-fields.ts";
import type { LogRow } from "@nexus/protocol/log-line.ts";
import { SERVER_EVENTS } from "@nexus/server/core/log-events.ts";
import { type LogCall, logCalls, wrongRows } from "../../support/log-calls.ts";

const call = (source: string): readonly LogCall[] => logCalls([{ path: "a.ts", source }]);
const row = { levels: ["warn"], fields: ["tenant"], about: "It failed.", action: "" } as const;

describe("the server's catalogue", () => {
  test("has a line in the code for every row, at its levels and with its fields", async () => {
    const files = await Array.fromAsync(new Bun.Glob("**/*.ts").scan("server/src"));
    const sources = await Promise.all(
      files
        .filter((path) => !path.includes("log-events"))
        .map(async (path) => ({ path, source: await Bun.file(`server/src/${path}`).text() })),
    );
    expect(wrongRows(SERVER_EVENTS, logCalls(sources))).toEqual([]);
  });

  test("says what to do about everything that is an error", () => {
    const silent = Object.entries<LogRow>(SERVER_EVENTS).filter(([, { levels, action }]) => levels.includes("error") && action === "");
    expect(silent.map(([event]) => event)).toEqual(["process.orphaned"]); // it ends by itself, and whoever killed the parent knows
  });

  test("has no field in its dictionary that no line has", () => {
    const used = new Set([SERVER_EVENTS, OPERATOR_EVENTS].flatMap((one) => Object.values<LogRow>(one).flatMap(({ fields }) => fields)));
    expect(Object.keys(LOG_FIELDS).filter((field) => !used.has(field as LogField))).toEqual([]); // names of that dictionary
  });

  test("finds a row that is not true", () => {
    const used = call('log.warn("a.failed", { tenant, error: String(error) });');
    expect(wrongRows({ "a.failed": row }, used)).toEqual([]);
    expect(wrongRows({ "b.failed": row }, used)).toEqual(["b.failed: no line in the code"]);
    expect(wrongRows({ "a.failed": { ...row, levels: ["warn", "info"] } }, used)).toEqual(["a.failed: no line at level info"]);
    expect(wrongRows({ "a.failed": { ...row, fields: ["tenant", "uid"] } }, used)).toEqual(["a.failed: no line with the field uid"]);
  });

  test("finds an event however it is written", () => {
    expect(wrongRows({ "a.read_failed": row }, call(`log.warn(\`a.\${step}_failed\`, {\n tenant: of(x),\n});`))).toEqual([]);
    expect(wrongRows({ "a.failed": row, "a.lost": row }, call('this.#deps.log.warn(isLost ? "a.lost" : "a.failed", { tenant });'))).toEqual(
      [],
    );
    expect(wrongRows({ "a.failed": row }, call('catalog.warn("a.failed", { tenant });'))).toEqual(["a.failed: no line in the code"]);
  });
});
