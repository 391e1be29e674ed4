// Why: what the server itself does with what Autobahn|Testsuite sends: its rules, not an echo, and on any machine. A frame that
// is legal is answered and the session goes on, an illegal one ends it with the code that RFC 6455 names.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import { fragments, OPCODE, type RawFrame, RawSocket, sized } from "./raw-socket.ts";

const { continuation, text, binary, close, ping, pong } = OPCODE;
const PING = '{"type":"Ping"}';
const PONG = '{"type":"pong"}';

const inJson = (bytes: Uint8Array) => Buffer.concat([Buffer.from('{"type":"Ping","x":"'), bytes, Buffer.from('"}')]);
const closing = (code: number, reason: string | Uint8Array = "") => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return { opcode: close, payload: Buffer.concat([head, Buffer.from(reason)]) };
};
let server: TestServer;
beforeAll(() => {
  server = startServer({ quotas: { connectionsPerUser: 1000 }, limits: { framesPerSecond: 0 } });
});
afterAll(() => server[Symbol.asyncDispose]());

const open = (headers: Readonly<Record<string, string>> = {}) => RawSocket.open(`${server.wsUrl}?token=${server.token("ann")}`, headers);

/** Every frame sent is answered by these texts, in order, and the session goes on: one more Ping gets its pong. */
async function answered(frames: readonly RawFrame[], texts: readonly string[], chop?: number): Promise<void> {
  await using socket = await open();
  socket.send(frames, chop);
  socket.send([{ opcode: text, payload: PING }]);
  await socket.frame(texts.length);
  const got = socket.seen.map((frame) => [frame.opcode, frame.fin, frame.reserved, frame.payload.toString()]);
  expect(got).toEqual([...texts, PONG].map((payload) => [text, true, 0, payload]));
}

/** The session ends with this code, and nothing that came after the offence was answered. */
async function ended(frames: readonly RawFrame[], code: number, before: readonly number[] = []): Promise<void> {
  await using socket = await open();
  socket.send([...frames, { opcode: text, payload: PING }]);
  expect((await socket.closed()).code).toBe(code);
  expect(socket.seen.map(({ opcode }) => opcode)).toEqual([...before, ...(code === 1006 ? [] : [close])]);
}

describe("framing", () => {
  test.each([15, 124, 125, 126, 127, 128, 65_535, 65_536])("a text frame of %p bytes is answered", (bytes) =>
    answered([{ opcode: text, payload: sized(bytes) }], [PONG]),
  );
  test.each([1, 7, 997])("a frame that arrives %p bytes at a time is one frame", (chop) =>
    answered([{ opcode: text, payload: sized(chop === 1 ? 300 : 5000) }], [PONG], chop),
  );
  test("frames that arrive together are answered one by one, in order", () =>
    answered(
      Array.from({ length: 20 }, (_, id) => ({ opcode: text, payload: `{"type":"Ping","id":${id}}` })),
      Array.from({ length: 20 }, (_, id) => `{"type":"pong","id":${id}}`),
    ));
  test.each([0, 1, 126, 65_536])("a binary frame of %p bytes is refused with an error, and the session stays", async (bytes) => {
    await using socket = await open();
    socket.send([{ opcode: binary, payload: Buffer.alloc(bytes, 0xfe) }]);
    expect(JSON.parse((await socket.frame(0)).payload.toString())).toMatchObject({ type: "error", code: "UNSUPPORTED_FORMAT" });
    socket.send([{ opcode: text, payload: PING }]);
    expect((await socket.frame(1)).payload.toString()).toBe(PONG);
  });
  test("an empty text frame is no frame of ours, and the session stays", async () => {
    await using socket = await open();
    socket.send([{ opcode: text }]);
    expect(JSON.parse((await socket.frame(0)).payload.toString())).toMatchObject({ code: "INVALID_MESSAGE" });
  });
  test("a byte over the limit closes with 1009, in one frame and in fragments", async () => {
    await ended([{ opcode: text, payload: sized(65_537) }], 1009);
    await ended(fragments(sized(65_537), 10_000), 1009);
  });
  test("a frame that nobody masked closes with 1002", () => ended([{ opcode: text, payload: PING, masked: false }], 1002));
});

describe("control frames", () => {
  test.each(["", "hello", "\u0000\u00ff\n", "x".repeat(125)])("a ping comes back as a pong with the same %p", async (payload) => {
    await using socket = await open();
    socket.send([{ opcode: ping, payload }]);
    expect(await socket.frame(0)).toMatchObject({ opcode: pong, fin: true, payload: Buffer.from(payload) });
  });
  test("ten pings bring ten pongs, in order", async () => {
    await using socket = await open();
    socket.send(Array.from({ length: 10 }, (_, at) => ({ opcode: ping, payload: `p${at}` })));
    await socket.frame(9);
    expect(socket.seen.map(({ payload }) => payload.toString())).toEqual(Array.from({ length: 10 }, (_, at) => `p${at}`));
  });
  test("a pong nobody asked for is ignored", () => answered([{ opcode: pong, payload: "unasked" }, { opcode: pong }], []));
  test.each([ping, pong, close])("opcode %p with 126 bytes closes with 1002", (opcode) =>
    ended([{ opcode, payload: Buffer.alloc(126, 0x20) }], 1002),
  );
  test.each([ping, pong, close])("opcode %p in fragments closes with 1002", (opcode) => ended([{ opcode, fin: false }], 1002));
});

describe("reserved bits and opcodes", () => {
  test.each([1, 2, 3, 4, 5, 6, 7])("reserved bits %p close with 1002, whatever the frame", async (reserved) => {
    for (const opcode of [text, binary, ping, pong, close])
      await ended([{ opcode, payload: opcode === close ? "" : PING, reserved }], 1002);
  });
  test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])("opcode %p closes with 1002, with a payload and without", async (opcode) => {
    await ended([{ opcode }], 1002);
    await ended([{ opcode, payload: PING }], 1002);
  });
});

describe("fragmentation", () => {
  test.each([1, 2, 7, 1000])("a message in fragments of %p bytes is one message", (size) => answered(fragments(sized(2000), size), [PONG]));
  test("empty fragments count for nothing", () =>
    answered([{ opcode: text, fin: false }, { opcode: continuation, payload: PING, fin: false }, { opcode: continuation }], [PONG]));
  test("a ping between fragments is answered before the message", async () => {
    await using socket = await open();
    socket.send(fragments(PING, 5, [{ opcode: ping, payload: "now" }]));
    await socket.frame(2);
    expect(socket.seen.map(({ opcode }) => opcode)).toEqual([pong, pong, text]);
  });
  test("a message inside another, a continuation of nothing, and an end of nothing close with 1002", async () => {
    await ended(
      [
        { opcode: text, payload: "{", fin: false },
        { opcode: text, payload: PING },
      ],
      1002,
    );
    await ended(
      [
        { opcode: text, payload: "{", fin: false },
        { opcode: binary, payload: PING },
      ],
      1002,
    );
    await ended([{ opcode: continuation, payload: PING, fin: false }], 1002);
    await ended([{ opcode: continuation, payload: PING }], 1002);
  });
});

/** From RFC 3629 sections 3 and 4, by what is wrong with them. */
const BAD_UTF8: readonly (readonly [string, readonly number[]])[] = [
  ["a continuation byte alone", [0x80]],
  ["the last continuation byte alone", [0xbf]],
  ["two bytes, one missing", [0xc3]],
  ["three bytes, one missing", [0xe2, 0x82]],
  ["four bytes, one missing", [0xf0, 0x9f, 0x8e]],
  ["a start inside a character", [0xe2, 0xc3, 0xa9]],
  ["an overlong slash in two bytes", [0xc0, 0xaf]],
  ["an overlong slash in three bytes", [0xe0, 0x80, 0xaf]],
  ["an overlong slash in four bytes", [0xf0, 0x80, 0x80, 0xaf]],
  ["the highest overlong in three bytes", [0xe0, 0x9f, 0xbf]],
  ["the highest overlong in four bytes", [0xf0, 0x8f, 0xbf, 0xbf]],
  ["the first surrogate", [0xed, 0xa0, 0x80]],
  ["the last surrogate", [0xed, 0xbf, 0xbf]],
  ["a pair of surrogates", [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]],
  ["above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ["five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ["six bytes", [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]],
  ["0xFE", [0xfe]],
  ["0xFF", [0xff]],
];

describe("UTF-8", () => {
  test.each(["κόσμε", "é", "\u007f\u0080\u07ff\u0800", "\ud7ff\ue000\ufffd\uffff", "\u{10000}\u{10ffff}", "🎈".repeat(500)])(
    "%p is legal, whole and cut anywhere",
    async (word) => {
      const message = inJson(Buffer.from(word));
      await answered([{ opcode: text, payload: message }], [PONG]);
      for (const size of [1, 2, 3]) await answered(fragments(message, size), [PONG]);
    },
  );
  test.each(BAD_UTF8)("%s closes with 1007, whole and in fragments", async (_, bytes) => {
    const message = inJson(Buffer.from(bytes));
    await ended([{ opcode: text, payload: message }], 1007);
    await ended(fragments(message, 1), 1007);
    await ended([{ opcode: text, payload: message, fin: false }, { opcode: continuation }], 1007);
  });
  test("the same bytes in a binary frame are no concern of UTF-8", async () => {
    await using socket = await open();
    for (const [, bytes] of BAD_UTF8) socket.send([{ opcode: binary, payload: Buffer.from(bytes) }]);
    await socket.frame(BAD_UTF8.length - 1);
    for (const { payload } of socket.seen) expect(JSON.parse(payload.toString())).toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  });
});

describe("closing", () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])("code %p comes back", (code) =>
    ended([closing(code, "bye")], code),
  );
  test("a close without a code is answered", async () => {
    await using socket = await open();
    socket.send([{ opcode: close }]);
    expect([1000, 1005]).toContain((await socket.closed()).code);
  });
  test.each([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535])("code %p is none: 1002", (code) =>
    ended([closing(code)], 1002),
  );
  test("a close of one byte is 1002", () => ended([{ opcode: close, payload: "x" }], 1002));
  test("a reason of 123 bytes is legal, one that is no UTF-8 is 1007", async () => {
    await ended([closing(1000, "r".repeat(123))], 1000);
    await ended([closing(1000, Buffer.from([0xc3, 0x28]))], 1007);
  });
  test("what comes after a close is not looked at", () => ended([closing(1000), closing(1001), { opcode: 3 }, { opcode: ping }], 1000));
  test("a close inside a fragmented message ends it", () => ended([{ opcode: text, payload: "{", fin: false }, closing(1000)], 1000));
  test("a close after a message: the message is answered first", async () => {
    await using socket = await open();
    socket.send([{ opcode: text, payload: PING }, closing(1000)]);
    await socket.closed();
    expect(socket.seen.map(({ opcode }) => opcode)).toEqual([text, close]);
  });
});
