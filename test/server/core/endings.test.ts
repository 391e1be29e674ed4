// Why: an ended connection says its code when it can and is cut when it cannot, so that nobody holds buffers by not reading.
import { expect, test } from "bun:test";
import { Endings, LAST_WORDS_MS } from "@nexus/server/core/endings.ts";
import { Session } from "@nexus/server/core/session.ts";

function connection(buffered: number) {
  const done: string[] = [];
  const state = { buffered };
  const outlet = {
    send: () => 1,
    close: (code: number, reason: string) => void done.push(`close ${code} ${reason}`),
    terminate: () => void done.push("terminate"),
    cork: (callback: () => void) => callback(),
    getBufferedAmount: () => state.buffered,
    pause: () => undefined,
    resume: () => undefined,
    ping: () => 1,
  };
  const identity = { tenant: "acme", user: "ann", roles: [], channels: [] };
  const session = new Session({ sessionId: "s", identity, transport: "websocket", full: true, connectedAt: 0 });
  return { done, state, session, ending: { outlet, code: 4002, reason: "slow" } };
}

test("a connection that buffers nothing is closed at once", () => {
  const endings = new Endings();
  const { session, ending, done } = connection(0);
  endings.close(session, ending, 0);
  expect([done, endings.size]).toEqual([["close 4002 slow"], 0]);
});

test("one that buffers is closed once it drained, and never cut afterwards", () => {
  const endings = new Endings();
  const { session, ending, done, state } = connection(100);
  endings.close(session, ending, 0);
  endings.drained(session);
  expect(done).toEqual([]);
  state.buffered = 0;
  endings.drained(session);
  endings.tick(LAST_WORDS_MS);
  expect([done, endings.size]).toEqual([["close 4002 slow"], 0]);
});

test("one that does not drain in time is cut, no earlier", () => {
  const endings = new Endings();
  const { session, ending, done } = connection(100);
  endings.close(session, ending, 5);
  endings.tick(LAST_WORDS_MS + 4);
  expect(done).toEqual([]);
  endings.tick(LAST_WORDS_MS + 5);
  expect([done, endings.size]).toEqual([["terminate"], 0]);
});

test("one that went by itself is forgotten", () => {
  const endings = new Endings();
  const { session, ending, done } = connection(100);
  endings.close(session, ending, 0);
  endings.gone(session);
  endings.tick(LAST_WORDS_MS);
  expect([done, endings.size]).toEqual([[], 0]);
});
