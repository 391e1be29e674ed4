// Why: what a socket is told is decoded, never believed: nearly right frames, text that is no frame, bytes that are no text.
// A session answers, or ends with a code of the contract; the process, and the others, do not notice.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { CLIENT_FRAMES } from "@nexus/protocol/frames.ts";
import fc from "fast-check";
import { OPCODE, type RawFrame, RawSocket } from "../conformance/raw-socket.ts";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { CANARY, junk, mutated } from "../support/mutate.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Frames in one run: fewer than a session may have refused. */
const FRAMES = 25;
const GOOD: Readonly<Record<keyof typeof CLIENT_FRAMES, unknown>> = {
  Subscribe: { type: "Subscribe", id: "1", payload: { channels: ["news", { name: "kept", since: { epoch: "abc", offset: 3 } }] } },
  Unsubscribe: { type: "Unsubscribe", id: 2, payload: { channels: ["news"] } },
  Ping: { type: "Ping", id: "3" },
  Ack: { type: "Ack", payload: { notification_id: "0190b2f0-0000-7000-8000-000000000000" } },
  Resume: { type: "Resume", payload: { cursor: "AQ" } },
  Refresh: { type: "Refresh", payload: { token: "a.b.c" } },
  Publish: { type: "Publish", payload: { channel: "open", event_type: "x", payload: { n: 1 } } },
};
const cumulative = { type: "Ack", payload: { up_to: { epoch: "abc", offset: 7 } } };

const said = (value: unknown): RawFrame => ({ opcode: OPCODE.text, payload: JSON.stringify(value) ?? "undefined" });
const frame: fc.Arbitrary<RawFrame> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(...Object.values(GOOD), cumulative)
      .chain(mutated)
      .map(said),
  },
  { weight: 1, arbitrary: fc.constantFrom(...Object.values(GOOD), cumulative).map(said) },
  { weight: 1, arbitrary: junk.map(said) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme" }).map((payload) => ({ opcode: OPCODE.text, payload })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((payload) => ({ opcode: OPCODE.binary, payload })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "",
        "{",
        "[".repeat(30_000),
        '{"type":'.repeat(3000),
        '{"type":"Ping","type":"Subscribe"}',
        '{"__proto__":{"type":"Ping"}}',
        '{"type":"Ping","id":"\\ud800"}',
        '{"type":"Ping"}\n{"type":"Ping"}',
        `{"type":"${CANARY}"}`,
        "\ufeff{}",
      )
      .map((payload) => ({ opcode: OPCODE.text, payload })),
  },
);
/** Bytes a library would not send: wrong opcodes and bits, text that is no UTF-8. The session ends; which code, Autobahn judges. */
const broken: fc.Arbitrary<RawFrame> = fc.record({
  opcode: fc.integer({ min: 0, max: 15 }),
  payload: fc.uint8Array({ maxLength: 200 }),
  fin: fc.boolean(),
  reserved: fc.integer({ min: 0, max: 7 }),
});

let server: TestServer;
beforeAll(() => {
  server = startServer({
    limits: { framesPerSecond: 0 },
    quotas: { connectionsPerUser: 1000 },
    channels: [
      { match: "open", publish: "Claim", history: { size: 3, ttlSeconds: 60 } },
      { match: "kept", history: { size: 3, ttlSeconds: 60 } },
    ],
  });
});
afterAll(() => server[Symbol.asyncDispose]()); // throws when a line at level error was logged

const open = () =>
  RawSocket.open(`${server.wsUrl}?token=${server.token("ann", { channels: ["*"] })}`, { "Sec-WebSocket-Protocol": "nexus.v1.json" });
const textOf = (socket: RawSocket) => socket.seen.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => payload.toString());

test(
  "frames that are nearly right are answered one by one, and none is repeated",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: FRAMES, maxLength: FRAMES }), async (frames) => {
        await using socket = await open();
        socket.send([...frames, said({ type: "Ping", id: "the-last" })]);
        await eventually("the last answer", () => socket.isEnded || textOf(socket).some((one) => one.includes('"the-last"')), {
          intervalMs: 1,
        });
        const errors = textOf(socket).filter((one) => one.startsWith('{"type":"error"'));
        // An id is the client's own to recognise its answer by: it does come back.
        for (const one of errors) expect(JSON.stringify({ ...(JSON.parse(one) as object), id: undefined })).not.toContain(CANARY);
        if (!socket.isEnded) return;
        const codes = socket.seen.filter(({ opcode }) => opcode === OPCODE.close).map(({ payload }) => payload.readUInt16BE(0));
        expect([[1009], [4506], [4502]]).toContainEqual(codes);
      }),
      fuzzSettings(FRAMES),
    );
  },
  fuzzTimeoutMs(30),
);

test(
  "bits and bytes at random end their own session at the worst",
  async () => {
    await using bystander = await open();
    let asked = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(broken, { minLength: 5, maxLength: 20 }), fc.integer({ min: 1, max: 50 }), async (frames, chop) => {
        await using socket = await open();
        socket.send(frames, chop);
        const id = `bystander-${asked++}`;
        bystander.send([said({ type: "Ping", id })]);
        await eventually("the bystander's answer", () => textOf(bystander).some((one) => one.includes(id)), { intervalMs: 1 });
        bystander.seen.length = 0;
      }),
      fuzzSettings(5),
    );
  },
  fuzzTimeoutMs(30),
);

test("left nothing behind", async () => {
  const { sessions } = server.app.node;
  await eventually("every session to be gone", () => sessions.count() === 0);
  expect([sessions.users(), sessions.channels()]).toEqual([0, 0]);
  expect(sessions.load()).toEqual({ subscriptions: 0, queuedBytes: 0, slowSessions: 0 });
  expect(server.metrics.count("sessionOpened", "websocket")).toBe(server.metrics.count("sessionClosed", "websocket"));
});
