// Why: a level that somebody forgot to turn back fills a disk; one that goes back over a later wish hides what is looked for.
import { expect, test } from "bun:test";
import type { LogLevel } from "@nexus/protocol/config.ts";
import { createLineLog } from "@nexus/protocol/log-line.ts";
import type { LogEvents } from "@nexus/server/core/log-events.ts";
import { createLogLevels, unheldTimer } from "@nexus/server/core/log-level.ts";

const MINUTE = 60_000;

function levels(usual: LogLevel = "info") {
  const said: string[] = [];
  const told: LogLevel[] = [];
  const timers = new Map<number, { readonly run: () => void; readonly ms: number }>();
  let made = 0;
  const log = createLineLog<LogEvents>({ level: usual, now: () => 0, write: (line) => said.push(line) });
  const all = createLogLevels({
    ...{ log, usual: () => usual, tell: (level) => told.push(level) },
    after(run, ms) {
      const id = made++;
      timers.set(id, { run, ms });
      return () => void timers.delete(id);
    },
  });
  /** The one that waits goes off. */
  const ring = () => {
    const [first] = timers;
    if (!first) throw new Error("nothing waits");
    timers.delete(first[0]);
    first[1].run();
    return first[1].ms;
  };
  return {
    all,
    log,
    told,
    timers,
    ring,
    changes: () => said.map((line) => JSON.parse(line)).map(({ from, to, fromMinutes }) => [from, to, fromMinutes]),
  };
}

test("a level for a while goes back by itself, and other processes hear of both", () => {
  const { all, log, told, ring, changes } = levels();
  all.set("debug", 10);
  expect(log.level()).toBe("debug");
  expect(ring()).toBe(10 * MINUTE);
  expect(log.level()).toBe("info");
  expect(told).toEqual(["debug", "info"]);
  expect(changes()).toEqual([
    ["info", "debug", 10],
    ["debug", "info", 0],
  ]); // the way back was written while it was still heard
});

test("a later wish wins: the earlier one does not end it, and a lasting one is not ended at all", () => {
  const { all, log, timers, ring } = levels("warn");
  all.set("debug", 5);
  all.set("info", 30);
  expect([...timers.values()].map(({ ms }) => ms)).toEqual([30 * MINUTE]);
  all.set("debug");
  expect(timers.size).toBe(0);
  all.set("error", 1);
  ring();
  expect(log.level()).toBe("warn");
  all.set("debug", 1);
  all.stop();
  expect([timers.size, log.level()]).toEqual([0, "debug"]);
});

test("a timer that is taken back does not go off", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  unheldTimer(() => resolve("taken back"), 1)();
  unheldTimer(() => resolve("the other"), 2);
  const held = setTimeout(() => undefined, 1000); // neither keeps a process alive
  expect(await promise).toBe("the other");
  clearTimeout(held);
});
