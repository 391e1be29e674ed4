// Why: the operator's catalogue is held against its source, as the server's is: no row without a line, at its levels, with its fields.
import { describe, expect, test } from "bun:test";
import { OPERATOR_EVENTS } from "@nexus/operator/loop/log-events.ts";
import type { LogRow } from "@nexus/protocol/log-line.ts";
import { logCalls, wrongRows } from "../../support/log-calls.ts";

const rows = Object.entries<LogRow>(OPERATOR_EVENTS);
/** What the pusher tells by itself, through `logPush`. `push.taken` is written like any other line. */
const isPush = (event: string): boolean => event.startsWith("push.") && event !== "push.taken";

describe("the operator's catalogue", () => {
  test("has a line in the code for every row, at its levels and with its fields", async () => {
    const paths = (await Array.fromAsync(new Bun.Glob("**/*.ts").scan("operator/src"))).filter((path) => !path.includes("log-events"));
    const sources = await Promise.all(paths.map(async (path) => ({ path, source: await Bun.file(`operator/src/${path}`).text() })));
    const others = Object.fromEntries(rows.filter(([event]) => !isPush(event)));
    expect(wrongRows(others, logCalls(sources))).toEqual([]);
  });

  test("has a row for every event of a push but the usual one, with its fields; only a failure is a warning", async () => {
    const file = await Bun.file("operator/src/loop/push-ports.ts").text();
    const source = file.slice(file.indexOf("export type PushEvent"), file.indexOf("export type PushObserver"));
    const members = [...source.matchAll(/\|\s*\{\s*readonly kind: "([a-z]+)";([^}]*)\}/g)].map(([, kind = "", rest = ""]) => ({
      event: `push.${kind}`,
      fields: [...rest.matchAll(/readonly (\w+):/g)].map(([, field = ""]) => field).sort(),
    }));
    const told = members.filter(({ event }) => event !== "push.pushed");
    expect(members.length).toBe(told.length + 1);
    const byEvent = (a: { readonly event: string }, b: { readonly event: string }) => (a.event < b.event ? -1 : 1);
    const written = rows
      .filter(([event]) => isPush(event))
      .map(([event, { fields }]) => ({ event, fields: [...fields].sort() as string[] }));
    expect(written.sort(byEvent)).toEqual(told.sort(byEvent));
    for (const [event, { levels }] of rows)
      if (isPush(event)) expect([event, levels]).toEqual([event, [event === "push.failed" ? "warn" : "info"]]);
  });

  test("says what to do about everything that is an error", () => {
    const silent = rows.filter(([, { levels, action }]) => levels.includes("error") && action === "").map(([event]) => event);
    expect(silent).toEqual(["operator.stop_failed"]); // the Lease runs out by itself
  });
});
