// Why: a line must be readable by machines and must not be able to hold what nobody may read.
import { describe, expect, test } from "bun:test";
import { createLog } from "@nexus/server/adapters/log.ts";
import fc from "fast-check";

function recorded() {
  const lines: string[] = [];
  const log = createLog({ level: "info", clock: { now: () => 0 }, write: (line) => lines.push(line) });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? "{}") as Record<string, unknown> };
}

describe("a log", () => {
  test("writes one JSON line with time, level, event and fields", () => {
    const { log, lines } = recorded();
    log.info("session.closed", { tenant: "acme", code: 4000, list: ["a", 1], gone: undefined });
    expect(lines).toEqual([
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"session.closed","tenant":"acme","code":4000,"list":["a",1]}\n',
    ]);
  });

  test("leaves out what is below its level, which can change", () => {
    const { log, lines } = recorded();
    log.debug("a");
    log.setLevel("debug");
    log.debug("b");
    log.setLevel("error");
    log.warn("c");
    expect(lines).toHaveLength(1);
    expect(log.level()).toBe("error");
  });

  test("shows no secret: not by name, not inside a text, not inside an object or an error", () => {
    const { log, lines } = recorded();
    const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    const secret = "hunter2";
    log.info("x", {
      token: secret,
      apiKey: secret,
      clientSecret: secret,
      Authorization: secret,
      payload: { secret },
      anything: { secret },
    });
    log.info("x", { url: `http://a/ws?token=${secret}&x=${secret}`, detail: `bad ${jwt}`, list: [{ secret }] });
    log.error("x", { error: new Error(`failed with ${jwt}`, { cause: new Error(`?key=${secret}`) }) });
    const all = lines.join("");
    expect(all).not.toContain(secret);
    expect(all).not.toContain(jwt.slice(0, 20));
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
    log.info("event", { text: "x".repeat(100_000), list: Array.from({ length: 1000 }, (_, i) => i) });
    expect(lines[0]?.length).toBeLessThan(1500);
  });
});
