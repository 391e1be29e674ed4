// Why: whoever looks for a cause at night turns the level up, and forgets to turn it down.
import { expect, test } from "bun:test";
import { startLocalPort } from "@nexus/operator/kube/local-port.ts";
import { createOperatorLog, LogLevels, logPush } from "@nexus/operator/kube/log.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

function setup() {
  const clock = new ManualClock();
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const log = createOperatorLog({
    level: "warn",
    clock,
    write: (line) => lines.push(JSON.parse(line)),
    onLine: (level) => counted.push(level),
  });
  const levels = new LogLevels(log, clock);
  const port = startLocalPort(0, levels);
  const put = async (body: string) => {
    const answer = await fetch(`http://127.0.0.1:${port.port}/log-level`, { method: "PUT", body });
    return { status: answer.status, text: await answer.text() };
  };
  return { clock, lines, counted, log, levels, put, port, [Symbol.asyncDispose]: () => port.stop() };
}

test("a level that is asked for by HTTP holds from the next line on, and says so", async () => {
  await using it = setup();
  it.log.info("operator.stopping", { signal: "SIGTERM" });
  expect(it.lines).toEqual([]);
  expect(await it.put('{"level":"info"}')).toEqual({ status: 200, text: '{"level":"info"}' });
  it.log.info("operator.stopping", { signal: "SIGTERM" });
  expect(it.lines.map(({ event, from, to }) => [event, from, to])).toEqual([
    ["log.level_changed", "warn", "info"],
    ["operator.stopping", undefined, undefined],
  ]);
  expect(it.counted).toEqual(["info", "info"]);
  expect(await (await fetch(`http://127.0.0.1:${it.port.port}/log-level`)).json()).toEqual({ level: "info" });
});

test("with minutes it goes back by itself; a second change begins anew", async () => {
  await using it = setup();
  await it.put('{"level":"debug","minutes":10}');
  await it.clock.advance(9 * 60_000);
  await it.put('{"level":"info","minutes":10}');
  await it.clock.advance(9 * 60_000);
  expect(it.levels.level()).toBe("info");
  await it.clock.advance(60_000);
  expect(it.levels.level()).toBe("warn");
  expect(it.clock.pending).toBe(0);
  expect(it.lines.map(({ from, to, fromMinutes }) => [from, to, fromMinutes])).toEqual([
    ["warn", "debug", 10],
    ["debug", "info", 10],
    ["info", "warn", 0],
  ]);
});

test.each([
  ["no JSON", "debug"],
  ["another level", '{"level":"trace"}'],
  ["no level", "{}"],
  ["minutes that are none", '{"level":"debug","minutes":0}'],
  ["a day and more", '{"level":"debug","minutes":1441}'],
  ["something else besides", '{"level":"debug","tenant":"acme"}'],
])("a wrong body changes nothing and is told what would be right: %s", async (_what, body) => {
  await using it = setup();
  const { status, text } = await it.put(body);
  expect([status, it.levels.level()]).toEqual([400, "warn"]);
  expect(text).toContain("debug, info, warn, error");
});

test("a body that is far too large is refused, and only this path and these methods are served", async () => {
  await using it = setup();
  expect((await it.put(" ".repeat(2_000))).status).toBe(413);
  const url = `http://127.0.0.1:${it.port.port}`;
  expect((await fetch(`${url}/metrics`)).status).toBe(404);
  expect((await fetch(`${url}/log-level`, { method: "POST", body: '{"level":"debug"}' })).status).toBe(404);
  expect(it.levels.level()).toBe("warn");
});

test("of what happens to pods only a push that failed is a warning, and no credential is in a line", async () => {
  await using it = setup();
  logPush(it.log, "push.failed", { cluster: "shop/main", pod: "a", error: "Bearer abcdefgh refused", retryInMs: 5 });
  logPush(it.log, "push.stale", { cluster: "shop/main", pod: "a", raised: true });
  expect(it.lines).toHaveLength(1);
  expect(it.lines[0]).toMatchObject({ level: "warn", event: "push.failed", pod: "a" });
  expect(JSON.stringify(it.lines)).not.toContain("abcdefgh");
});
