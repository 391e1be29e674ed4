// Why: compression is what a hostile client would reach for: small bytes that grow, bits where none may be. What is
// negotiated, what is compressed, and how each offence ends, bit by bit.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { startServer, type TestServer } from "../support/server.ts";
import { fragments, OPCODE, type RawFrame, RawSocket, sized } from "./raw-socket.ts";

const { continuation, text, ping } = OPCODE;
const PING = '{"type":"Ping"}';
const PONG = '{"type":"pong"}';

let server: TestServer;
beforeAll(() => {
  server = startServer({ quotas: { connectionsPerUser: 1000 }, limits: { framesPerSecond: 0 } });
});
afterAll(() => server[Symbol.asyncDispose]());

const open = (headers: Readonly<Record<string, string>> = {}) => RawSocket.open(`${server.wsUrl}?token=${server.token("ann")}`, headers);

/** RFC 7692 section 7.2.1: a flushed block, without its last four bytes. */
const deflated = (message: string | Uint8Array) => deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflated = (payload: Buffer) =>
  inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
const RSV1 = 4;
const compressed = (message: string | Uint8Array): RawFrame => ({ opcode: text, payload: deflated(message), reserved: RSV1 });

describe("compression", () => {
  const offer = (extensions: string) => open({ "Sec-WebSocket-Extensions": extensions });

  test.each([
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=9, permessage-deflate",
  ])("%p is accepted, without a window that outlives a message", async (extensions) => {
    await using socket = await offer(extensions);
    expect(socket.headers.get("sec-websocket-extensions")).toBe(
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    );
  });

  test.each([
    "x-other",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=99",
    "permessage-deflate; nonsense",
    "permessage-deflate=1",
  ])("%p is answered without an extension, and the session goes on", async (extensions) => {
    await using socket = await offer(extensions);
    expect(socket.headers.has("sec-websocket-extensions")).toBe(false);
    socket.send([{ opcode: text, payload: PING }]);
    expect((await socket.frame(0)).payload.toString()).toBe(PONG);
  });

  test("frames may be compressed or not, one by one, and be cut anywhere", async () => {
    await using socket = await offer("permessage-deflate");
    const { payload = "" } = compressed(sized(3000));
    const cut = fragments(payload, 7).map((frame, at) => (at === 0 ? { ...frame, reserved: RSV1 } : frame));
    socket.send([compressed(PING), { opcode: text, payload: PING }, ...cut]);
    await socket.frame(2);
    expect(socket.seen.map((frame) => frame.payload.toString())).toEqual([PONG, PONG, PONG]);
  });

  test("large frames come compressed, small ones do not, and without an offer none does", async () => {
    await using asked = await offer("permessage-deflate");
    await using plain = await open();
    for (const socket of [asked, plain]) socket.send([{ opcode: text, payload: PING }]);
    await Promise.all([asked.frame(0), plain.frame(0)]);
    const long = "abc ".repeat(5000);
    for (const payload of ["short", long]) await server.publish({ kind: "user", user: "ann" }, { event_type: "x", payload });
    const [small, large] = [await asked.frame(1), await asked.frame(2)];
    expect([small.reserved, large.reserved]).toEqual([0, RSV1]);
    expect(JSON.parse(inflated(large.payload))).toMatchObject({ payload: long });
    expect(large.payload.length).toBeLessThan(1000);
    expect((await plain.frame(2)).reserved).toBe(0);
  });

  test.each([
    ["what is not compressed, but says so", 1007, [{ opcode: text, payload: Buffer.from([0xff, 0xfe, 0xfd]), reserved: RSV1 }]],
    ["what is no UTF-8 when unpacked", 1007, [compressed(Buffer.from([0xc3, 0x28]))]],
    ["a byte over the limit when unpacked", 1009, [compressed(sized(65_537))]],
    ["64 MiB in 64 KiB", 1009, [compressed(Buffer.alloc(64 * 1024 * 1024, 0x20))]],
    [
      "the bit on a continuation",
      1002,
      [
        { ...compressed(PING), fin: false },
        { ...compressed(PING), opcode: continuation },
      ],
    ],
    ["the bit on a ping", 1002, [{ opcode: ping, payload: "x", reserved: RSV1 }]],
    ["another reserved bit", 1002, [{ ...compressed(PING), reserved: 6 }]],
  ] as const)("%s closes with its code", async (_, code, frames) => {
    await using socket = await offer("permessage-deflate");
    socket.send(frames);
    expect((await socket.closed()).code).toBe(code);
    expect(socket.seen.length).toBe(1);
  });
});
