// Why: a line must be readable by machines and must not be able to hold what nobody may read.
import { describe, expect, test } from "bun:test";
import { createLineLog, type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";
import fc from "fast-check";

/** A log that takes any event and any field. */
function recorded() {
  const lines: string[] = [];
  const levels: string[] = [];
  const log = createLineLog<LogCatalogue>({
    level: "info",
    now: () => 0,
    write: (line) => lines.push(line),
    onLine: (level) => levels.push(level),
  });
  return { log, lines, levels };
}

const TYPED = {
  "a.happened": logRow("info", ["tenant", "count"], "Something."),
  "b.happened": logRow(["debug", "warn"], [], "Something else."),
} as const satisfies LogCatalogue;

describe("a log", () => {
  test("writes one JSON line with time, level, event and fields", () => {
    const { log, lines } = recorded();
    log.info("session.closed", { tenant: "acme", code: 4000, entries: ["a", 1], error: undefined });
    expect(lines).toEqual([
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"session.closed","tenant":"acme","code":4000,"entries":["a",1]}\n',
    ]);
  });

  test("leaves out what is below its level, which can change", () => {
    const { log, lines, levels } = recorded();
    log.debug("a");
    log.setLevel("debug");
    log.debug("b");
    log.setLevel("error");
    log.warn("c");
    expect(lines).toHaveLength(1);
    expect(log.level()).toBe("error");
    expect(levels).toEqual(["debug"]); // told of what was written, not of what was asked
  });

  test("shows no secret: not by name, not inside a text, not inside an object or an error", () => {
    const { log, lines } = recorded();
    const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    const secret = "hunter2";
    const named: Record<string, unknown> = {
      ...{ token: secret, apiKey: secret, clientSecret: secret, Authorization: secret, payload: { secret }, anything: { secret } },
      ...{ detail: `bad ${jwt}`, header: `Authorization: Bearer ${secret}`, basic: `Basic ${btoa(secret)}` },
      ...{ address: `redis://default:${secret}@10.0.0.7:6379/0`, database: `postgres://nexus:${secret}@db/nexus` },
    };
    log.info("x", named);
    log.info("x", { url: `http://a/ws?token=${secret}&x=${secret}`, entries: [{ secret }] });
    log.error("x", { error: new Error(`failed with ${jwt}`, { cause: new Error(`?key=${secret}`) }) });
    const all = lines.join("");
    expect(all).not.toContain(secret);
    expect(all).not.toContain(btoa(secret));
    expect(all).not.toContain(jwt.slice(0, 20));
    expect(all).toContain("redis://[redacted]@10.0.0.7:6379/0");
    expect(all).toContain("failed with");
  });

  test("stays one bounded line whatever the fields are", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (fields) => {
        const { log, lines } = recorded();
        log.info("event", fields);
        expect(lines).toHaveLength(1);
        expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1);
        expect(JSON.parse(lines[0] ?? "")).toMatchObject({ event: "event", level: "info" });
      }),
    );
    const { log, lines } = recorded();
    log.info("event", { reason: "x".repeat(100_000), entries: Array.from({ length: 1000 }, (_, i) => i) });
    expect(lines[0]?.length).toBeLessThan(1500);
  });

  test("takes the events, levels and fields of its catalogue only", () => {
    const lines: string[] = [];
    const log = createLineLog<typeof TYPED>({ level: "debug", now: () => 0, write: (line) => lines.push(line) });
    log.info("a.happened", { tenant: "acme" });
    log.debug("b.happened");
    log.warn("b.happened");
    // Here the compiler is what is tested: each line below must not compile, or the check of types fails.
    // @ts-expect-error no such event
    log.info("c.happened");
    // @ts-expect-error not at this level
    log.error("a.happened");
    // @ts-expect-error no such field
    log.info("a.happened", { user: "u" });
    expect(lines).toHaveLength(6); // the compiler judges, not the process that is in trouble
  });
});
