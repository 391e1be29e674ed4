// Why: a message is gathered before anybody can judge it, so what is gathered has to be bounded where it is gathered. A
// client that announces much, never ends, or packs much into little is told 1009, and has cost nothing.
import { expect, test } from "bun:test";
import { constants, deflateRawSync } from "node:zlib";
import { fragments, OPCODE, sized } from "../conformance/raw-socket.ts";
import { startTarget } from "./target.ts";

const LIMIT = 65_536;
const RSV1 = 4;

/** The first bytes of a masked text frame of that length: what anybody can say for free. */
function announced(length: number): Uint8Array {
  const head = Buffer.alloc(14);
  head[0] = 0x81;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

test("frames announced larger than is gathered are refused at their head: nothing of them is waited for", async () => {
  await using target = await startTarget();
  for (const length of [2 * LIMIT + 1, 1_000_000, 16_777_216, 2 ** 40]) {
    await using stranger = await target.upgraded("ann");
    stranger.say(announced(length));
    await stranger.ended();
    expect([length, stranger.heard.includes("\x03\xf1")]).toEqual([length, true]);
  }
  await target.deserted();
});

test("a 1 MB frame closes with 1009, and the others do not notice", async () => {
  await using target = await startTarget();
  await using bystander = await target.connect("bob");
  for (let n = 0; n < 20; n++) {
    await using attacker = await target.raw("ann");
    attacker.send([{ opcode: OPCODE.text, payload: sized(1_000_000) }]);
    expect((await attacker.closed()).code).toBe(1009);
  }
  expect(await target.metric('nexus_sessions_closed_total{transport="websocket",code="1009"}')).toBe(20);
  await bystander.ask({ type: "Ping" }, "pong");
  await bystander[Symbol.asyncDispose]();
  await target.deserted();
});

test("a message in fragments that never ends closes with 1009 when it passes the bound, also between pings", async () => {
  await using target = await startTarget();
  for (const between of [[], [{ opcode: OPCODE.ping, payload: "still here" }]]) {
    await using attacker = await target.raw("ann");
    const [first, ...rest] = fragments(sized(4 * LIMIT), 1000, between);
    attacker.send([first ?? { opcode: OPCODE.text, fin: false }, ...rest.slice(0, -1)]);
    expect((await attacker.closed()).code).toBe(1009);
  }
  await target.deserted();
});

test("many sessions that hold back the end of a message hold at most what is gathered for each", async () => {
  await using target = await startTarget();
  const attackers = await Promise.all(Array.from({ length: 20 }, (_, n) => target.upgraded(`held-${n}`)));
  for (const attacker of attackers) {
    attacker.say(announced(2 * LIMIT));
    attacker.say(Buffer.alloc(2 * LIMIT - 1, 0x78));
  }
  await using bystander = await target.connect("bob");
  await bystander.ask({ type: "Ping" }, "pong");
  expect(target.node.sessions.count()).toBe(21);
  for (const attacker of attackers) attacker.say("x"); // now it is whole, and over what a frame may have
  for (const attacker of attackers) {
    await attacker.ended();
    expect(attacker.heard).toContain("\x03\xf1");
  }
  expect(await target.metric('nexus_refusals_total{code="frame_too_large"}')).toBe(20);
  await bystander[Symbol.asyncDispose]();
  await target.deserted();
});

test("a decompression bomb closes with 1009 before it is unpacked", async () => {
  await using target = await startTarget();
  const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024, 0x20), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  expect(bomb.length).toBeLessThan(2 * LIMIT);
  for (let n = 0; n < 10; n++) {
    await using attacker = await target.raw("ann", { "Sec-WebSocket-Extensions": "permessage-deflate" });
    attacker.send([{ opcode: OPCODE.text, payload: bomb, reserved: RSV1 }]);
    expect((await attacker.closed()).code).toBe(1009);
  }
  await target.deserted();
});

test("limits.frameBytes is live in both directions, for sessions that are open already", async () => {
  await using target = await startTarget();
  await using early = await target.connect("ann");
  await early.next("connected");
  target.setLimits({ frameBytes: 1_048_576 });
  await early.ask(sized(1_000_000), "pong");
  await using late = await target.connect("bob");
  await late.ask(sized(1_000_000), "pong");
  target.setLimits({ frameBytes: 2048 });
  await early.ask(sized(2048), "pong");
  early.send(sized(2049));
  expect((await early.ending()).code).toBe(1009);
  late.send(sized(1_000_000));
  expect((await late.ending()).code).toBe(1009);
  await target.deserted();
});
