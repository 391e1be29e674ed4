// Why: frames are cheap to send. What is allowed waits its turn and is answered, all of it and in order; what is not ends
// the session; and whatever they asked for is given back.
import { expect, test } from "bun:test";
import { OPCODE, type RawFrame } from "../conformance/raw-socket.ts";
import { eventually } from "../support/eventually.ts";
import { KEY, startTarget } from "./target.ts";

const MANY = 100_000;
const text = (value: unknown): RawFrame => ({ opcode: OPCODE.text, payload: typeof value === "string" ? value : JSON.stringify(value) });

test("100,000 tiny frames in one go are read at the rate and all answered in order; others are answered meanwhile", async () => {
  await using target = await startTarget({ limits: { framesPerSecond: 30_000 } });
  await using bystander = await target.connect("bob");
  await using hasty = await target.raw("ann");
  hasty.send(Array.from({ length: MANY }, (_, id) => text(`{"type":"Ping","id":${id}}`)));
  for (let n = 0; n < 20; n++) await bystander.ask({ type: "Ping" }, "pong");
  await eventually("all answers", () => hasty.seen.length === MANY || hasty.isEnded, { timeoutMs: 30_000 });
  expect(hasty.isEnded).toBe(false);
  const wrong = hasty.seen.findIndex(({ payload }, id) => payload.toString() !== `{"type":"pong","id":${id}}`);
  expect(wrong).toBe(-1);
  await Promise.all([hasty, bystander].map((client) => client[Symbol.asyncDispose]()));
  await target.deserted();
}, 60_000);

test.each([
  ["empty", ""],
  ["nonsense", "nonsense"],
  ["binary", undefined],
])(
  "100,000 frames that are %s end the session with 4506, and the rest of them costs nothing",
  async (_, payload) => {
    await using target = await startTarget();
    await using bystander = await target.connect("bob");
    await using attacker = await target.raw("ann");
    const frame: RawFrame = payload === undefined ? { opcode: OPCODE.binary, payload: "x" } : text(payload);
    attacker.send(Array.from({ length: MANY }, () => frame));
    expect((await attacker.closed()).code).toBe(4506);
    await bystander.ask({ type: "Ping" }, "pong");
    expect(attacker.seen.filter(({ opcode }) => opcode === OPCODE.text).length).toBe(31);
    await bystander[Symbol.asyncDispose]();
    await target.deserted();
  },
  30_000,
);

test("10,000 times subscribe and unsubscribe are answered and leave nothing, in the directory neither", async () => {
  await using target = await startTarget({ limits: { framesPerSecond: 0 } });
  await using attacker = await target.raw("ann");
  const pairs = Array.from({ length: 5000 }, (_, n) => `c${n % 700}`);
  const frames = pairs.flatMap((name) => ["Subscribe", "Unsubscribe"].map((type) => text({ type, payload: { channels: [name] } })));
  attacker.send(frames);
  await eventually("all answers", () => attacker.seen.length === frames.length || attacker.isEnded, { timeoutMs: 30_000 });
  expect(attacker.isEnded).toBe(false);
  expect(attacker.seen.filter(({ payload }) => payload.includes('"error"')).length).toBe(0);
  expect(target.node.sessions.channels()).toBe(0);
  expect(target.node.sessions.load().subscriptions).toBe(0);
  const listed = await fetch(`${target.url}/api/v1/channels`, { headers: { "x-api-key": KEY } });
  expect(await listed.json()).toMatchObject({ channels: [] });
  await attacker[Symbol.asyncDispose]();
  await target.deserted();
}, 60_000);

test("a client that goes away in the middle of its flood leaves nothing", async () => {
  await using target = await startTarget();
  for (let n = 0; n < 10; n++) {
    await using attacker = await target.raw(`user-${n}`);
    attacker.send(Array.from({ length: 10_000 }, (_, id) => text({ type: "Subscribe", payload: { channels: [`c${id % 40}`] } })));
    await attacker.frame(10);
  }
  await target.deserted();
}, 60_000);

test("a frame that names more channels than any session may hold is refused unread, and repeated is a flood", async () => {
  await using target = await startTarget();
  await using attacker = await target.raw("ann");
  const names = (count: number, name = "!") =>
    text({ type: "Subscribe", payload: { channels: Array.from({ length: count }, () => name) } });
  const answer = async (at: number) => JSON.parse((await attacker.frame(at)).payload.toString()) as unknown; // the server's frames are JSON
  attacker.send([names(1000), names(1001), names(1000, "a"), names(16_000, "a")]);
  expect(await answer(0)).toMatchObject({ type: "error", code: "SUBSCRIPTION_ERROR", message: expect.stringContaining("999 more") });
  expect(await answer(1)).toMatchObject({ type: "error", code: "SUBSCRIPTION_ERROR", message: expect.stringContaining("1000 channels") });
  expect(await answer(2)).toMatchObject({ type: "subscribed" });
  expect(await answer(3)).toMatchObject({ type: "error", code: "SUBSCRIPTION_ERROR" });
  expect(target.node.sessions.load().subscriptions).toBe(1);
  attacker.send(Array.from({ length: 40 }, () => names(1)));
  expect((await attacker.closed()).code).toBe(4506);
  await target.deserted();
});

test("a session that may hold more than a thousand may name them in one frame", async () => {
  await using target = await startTarget({ subscriptionsPerConnection: 2000 });
  await using client = await target.connect("ann");
  const channels = Array.from({ length: 2000 }, (_, n) => `c${n}`);
  expect((await client.ask({ type: "Subscribe", payload: { channels } }, "subscribed")).payload).toEqual(channels);
  await client[Symbol.asyncDispose]();
  await target.deserted();
});
