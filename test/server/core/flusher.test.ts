// Why: when frames leave: at once on an idle node, gathered under load, never to a session that buffers.
import { expect, test } from "bun:test";
import { Fan } from "@nexus/server/core/fan.ts";
import { Flusher } from "@nexus/server/core/flusher.ts";
import type { Frame } from "@nexus/server/core/frame.ts";
import { Marks } from "@nexus/server/core/marks.ts";
import { Session } from "@nexus/server/core/session.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";

const inbox = new Fan({ kind: "inbox", tenant: "acme", user: "ann" });

/** `workMs`: how long one write takes. `answers`: what the connection says to the next writes, else "written". */
function bench({ workMs = 0, limit = 1000 } = {}) {
  const clock = manualServerClock();
  const metrics = recordingMetrics();
  const deferred: { run: () => void; ms: number }[] = [];
  const defer = (run: () => void, ms: number) => void deferred.push({ run, ms });
  const stored: number[] = [];
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const marks = new Marks({ store: { setMark: async (_, { offset }) => void stored.push(offset) }, log, defer: () => undefined, metrics });
  const ended: string[] = [];
  const flusher = new Flusher({
    clock,
    metrics,
    defer,
    marks,
    sendQueueBytes: () => limit,
    end: (session, code) => {
      ended.push(code);
      session.ended = true;
    },
  });
  const connection = { sent: [] as string[], answers: [] as number[], buffered: 0, corks: 0 };
  const session = new Session({
    sessionId: "s",
    identity: { tenant: "acme", user: "ann", roles: [], channels: [] },
    transport: "websocket",
    full: true,
    connectedAt: 0,
  });
  session.outlet = {
    send: (text) => {
      clock.advance(workMs);
      const answer = connection.answers.shift() ?? text.length;
      if (answer !== 0) connection.sent.push(text);
      if (answer < 0) connection.buffered += text.length;
      return answer;
    },
    close: () => undefined,
    terminate: () => undefined,
    cork: (callback) => {
      connection.corks++;
      callback();
    },
    getBufferedAmount: () => connection.buffered,
    pause: () => undefined,
    resume: () => undefined,
    ping: () => 1,
  };
  return { clock, metrics, deferred, flusher, session, connection, stored, marks, ended };
}

function frame(text: string, change: Partial<NonNullable<Frame["entry"]>> = {}): Frame {
  const entry = {
    fan: inbox,
    id: text,
    position: undefined,
    rank: 1,
    policy: "Disconnect" as const,
    occurredAt: 0,
    expiresAt: Number.POSITIVE_INFINITY,
    marks: false,
  };
  return { type: "notification", text, bytes: text.length, entry: { ...entry, ...change } };
}

test("an idle node writes at the end of the turn, several frames of a session corked", () => {
  const { flusher, session, connection, deferred } = bench();
  flusher.enqueue(session, frame("a"));
  flusher.enqueue(session, frame("b"));
  expect(connection.sent).toEqual([]);
  expect(deferred.map(({ ms }) => ms)).toEqual([0]);
  deferred[0]?.run();
  expect(connection).toMatchObject({ sent: ["a", "b"], corks: 1 });
});

test("while flushing takes most of the time the window grows to 2 ms, and is gone when it does not", () => {
  const { flusher, session, deferred, clock } = bench({ workMs: 5 });
  const windows: number[] = [];
  const once = (idleMs: number) => {
    clock.advance(idleMs);
    flusher.enqueue(session, frame("x"));
    const next = deferred.shift();
    windows.push(next?.ms ?? -1);
    next?.run();
  };
  for (let i = 0; i < 4; i++) once(1);
  once(1000);
  once(1000);
  expect(windows).toEqual([0, 0, 1, 2, 2, 0]); // each window follows from the pass before it
});

test("a Critical entry ends the window at once, with what came before it", () => {
  const { flusher, session, connection } = bench();
  flusher.enqueue(session, frame("before"));
  const critical = frame("critical", { rank: 3 });
  flusher.enqueue(session, critical);
  flusher.urge(critical);
  expect(connection.sent).toEqual(["before", "critical"]);
});

test("after -1 nothing more is written until the connection drained; nothing is lost or doubled", () => {
  const { flusher, session, connection, deferred } = bench();
  connection.answers = [1, -1];
  for (const text of ["a", "b", "c"]) flusher.enqueue(session, frame(text));
  deferred[0]?.run();
  flusher.enqueue(session, frame("d"));
  flusher.drained(session);
  expect(connection.sent).toEqual(["a", "b"]);
  connection.buffered = 0;
  flusher.drained(session);
  expect(connection.sent).toEqual(["a", "b", "c", "d"]);
});

test("a frame answered with 0 was not taken: it is sent again, and moves no mark until then", async () => {
  const { flusher, session, connection, deferred, marks, stored } = bench();
  connection.answers = [0];
  flusher.enqueue(session, frame("a", { marks: true, position: { epoch: "e", offset: 4 } }));
  deferred[0]?.run();
  await marks.flush();
  expect([connection.sent, stored]).toEqual([[], []]);
  flusher.drained(session);
  await marks.flush();
  expect([connection.sent, stored]).toEqual([["a"], [4]]);
});

test("an entry whose time is over is not written, and counted", () => {
  const { flusher, session, connection, deferred, clock, metrics } = bench();
  flusher.enqueue(session, frame("late", { expiresAt: clock.now() + 10 }));
  flusher.enqueue(session, frame("good"));
  clock.advance(10);
  deferred[0]?.run();
  expect(connection.sent).toEqual(["good"]);
  expect(metrics.count("dropped", "expired")).toBe(1);
});

test("what the connection buffers counts against the limit; over it the session ends", () => {
  const { flusher, session, connection, deferred, ended, metrics } = bench({ limit: 100 });
  connection.answers = [-1];
  flusher.enqueue(session, frame("x".repeat(60)));
  deferred[0]?.run();
  flusher.enqueue(session, frame("y".repeat(40)));
  expect(ended).toEqual([]);
  flusher.enqueue(session, frame("z"));
  expect(ended).toEqual(["slow_consumer"]);
  expect(metrics.count("dropped", "slow_consumer")).toBe(2);
});

test("a session that reads may get a frame larger than the limit", () => {
  const { flusher, session, connection, ended } = bench({ limit: 10 });
  flusher.reply(session, frame("x".repeat(60)));
  expect([connection.sent.length, ended.length]).toEqual([1, 0]);
});
