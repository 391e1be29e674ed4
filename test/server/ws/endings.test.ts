// Why: every way a session ends, with its close code; and what a client that does not read can and cannot cause.
import { expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import type { WsClient } from "../../support/ws-client.ts";

const subscribe = (...channels: string[]) => ({ type: "Subscribe", payload: { channels } });
const payloads = (client: WsClient) => client.frames.filter((frame) => frame.type === "notification").map((frame) => frame.payload);

test("an idle session gets heartbeats and pings, and stays while it answers the pings", async () => {
  await using server = startServer({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
  await using client = await server.connect("ann");
  for (let i = 0; i < 4; i++) expect(await client.next("heartbeat")).toEqual({ type: "heartbeat" });
  expect(client.pings).toBeGreaterThanOrEqual(3);
  expect(client.closed).toBeUndefined();
}, 30_000);

test("a session that answers nothing for staleSeconds is closed with 4003", async () => {
  await using server = startServer({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
  await using client = await server.connect("ann");
  client.answersPings = false;
  expect(await client.ending(6000)).toMatchObject({ code: 4003 });
}, 30_000);

test("a token that runs out ends the live session with 4502", async () => {
  await using server = startServer();
  await using client = await server.connect("ann", { claims: { exp: Math.floor(Date.now() / 1000) + 3 } });
  await client.next("connected");
  expect(await client.ending()).toMatchObject({ code: 4502, reason: "Token expired" });
});

test.each([
  ["suspended", { suspended: true }],
  ["removed", undefined],
] as const)("a tenant that is %s ends its sessions with 4504", async (_, change) => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.next("connected");
  server.setTenant(change);
  expect(await client.ending()).toMatchObject({ code: 4504 });
  expect(server.app.node.sessions.count()).toBe(0);
});

test("a change of the tenant's other settings ends nothing", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.next("connected");
  server.setTenant({ allowed_origins: ["https://other.example.com"] });
  await client.ask({ type: "Ping" }, "pong");
});

test("shutdown tells a session when to come back, then closes with 4000; those not chosen stay", async () => {
  await using server = startServer();
  await using ann = await server.connect("ann");
  await using bob = await server.connect("bob", { protocols: [] });
  await ann.next("connected");
  await bob.ask({ type: "Ping" }, "pong");
  expect(server.app.node.sessions.shutdown(1, () => 7)).toBe(1);
  const first = await eventually("one to be closed", () => [ann, bob].find((client) => client.closed));
  const second = first === ann ? bob : ann;
  await second.ask({ type: "Ping" }, "pong");
  expect(server.app.node.sessions.shutdown(10, () => 9)).toBe(1);
  for (const [client, seconds] of [
    [first, 7],
    [second, 9],
  ] as const) {
    expect(await client.ending()).toEqual({ code: 4000, reason: "Node is draining" });
    expect(client.frames).toEqual([{ type: "shutdown", reason: "Server shutting down", reconnect_after_seconds: seconds }]);
  }
  expect(server.app.node.sessions.count()).toBe(0);
});

test("a session that is gone leaves nothing behind", async () => {
  await using server = startServer();
  {
    await using client = await server.connect("ann");
    await client.ask(subscribe("a", "b"), "subscribed");
    expect(server.app.node.sessions.users()).toBe(1);
    expect(server.app.node.sessions.channels()).toBe(2);
  }
  await eventually("the session to be gone", () => server.app.node.sessions.count() === 0);
  expect(server.app.node.sessions.users()).toBe(0);
  expect(server.app.node.sessions.channels()).toBe(0);
  expect((await server.publish({ kind: "channel", channel: "a" })).deliveredTo).toBe(0);
  expect(server.metrics.count("sessionOpened", "websocket")).toBe(1);
  expect(server.metrics.count("sessionClosed", "websocket")).toBe(1);
});

/** Publishes until the client's kernel buffers and queue are more than full. */
async function flood(server: TestServer, channel: string, count: number, priorityOf: (n: number) => "Low" | "High" = () => "High") {
  const text = "x".repeat(50_000);
  for (let n = 0; n < count; n++) {
    await server.publish({ kind: "channel", channel }, { event_type: "e", payload: { n, text }, priority: priorityOf(n) });
    if (n % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
  }
}
const SMALL = { limits: { sendQueueBytes: 200_000 } };
const MANY = 400; // 20 MB: more than kernel buffers on loopback take

test("slowConsumer Disconnect closes a session that does not read with 4002, and nobody else", async () => {
  await using server = startServer(SMALL);
  await using slow = await server.connect("ann");
  await using quick = await server.connect("bob");
  await slow.ask(subscribe("a"), "subscribed");
  await quick.ask(subscribe("a"), "subscribed");
  slow.stopReading();
  await flood(server, "a", MANY);
  await eventually("all of it at the one who reads", () => payloads(quick).length === MANY, { timeoutMs: 20_000 });
  slow.startReading();
  expect(await slow.ending(20_000)).toMatchObject({ code: 4002 });
  expect(server.metrics.count("dropped", "slow_consumer")).toBeGreaterThan(0);
}, 30_000);

test("slowConsumer DropOldest drops low priority first and tells the gap before what is left", async () => {
  // Room for several beside what the connection buffers itself: where only one fits, the last one stays alone.
  await using server = startServer({ limits: { sendQueueBytes: 1_000_000 }, channels: [{ match: "a", slowConsumer: "DropOldest" }] });
  await using client = await server.connect("ann");
  await client.ask(subscribe("a"), "subscribed");
  client.stopReading();
  await flood(server, "a", MANY, (n) => (n === MANY - 3 || n === MANY - 1 ? "High" : "Low"));
  client.startReading();
  const seen = () => payloads(client).map((payload) => (payload as { n: number }).n);
  await eventually("the last one", () => seen().includes(MANY - 1), { timeoutMs: 20_000 });
  const numbers = seen();
  expect(numbers.length).toBeLessThan(MANY);
  expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
  expect(numbers).toContain(MANY - 3);
  const gapAt = client.frames.findIndex((frame) => frame.type === "gap");
  expect(client.frames[gapAt]).toMatchObject({ stream: "channel:a", reason: "slow_consumer", epoch: expect.any(String) });
  expect(gapAt).toBeLessThan(client.frames.findIndex((frame) => (frame.payload as { n?: number } | undefined)?.n === MANY - 1));
  expect(server.metrics.count("dropped", "slow_consumer")).toBe(MANY - numbers.length);
  await client.ask({ type: "Ping" }, "pong");
}, 30_000);

test("slowConsumer DropOldest tells an Ara client no gap: its dialect has none", async () => {
  await using server = startServer({ ...SMALL, channels: [{ match: "a", slowConsumer: "DropOldest" }] });
  await using client = await server.connect("ann", { protocols: [] });
  await client.ask(subscribe("a"), "subscribed");
  client.stopReading();
  await flood(server, "a", MANY);
  client.startReading();
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames.some((frame) => frame.type === "gap")).toBe(false);
  expect(payloads(client).length).toBeLessThan(MANY);
}, 30_000);

test("slowConsumer LatestOnly keeps the newest", async () => {
  await using server = startServer({ ...SMALL, channels: [{ match: "a", slowConsumer: "LatestOnly" }] });
  await using client = await server.connect("ann");
  await client.ask(subscribe("a"), "subscribed");
  client.stopReading();
  await flood(server, "a", MANY);
  client.startReading();
  await eventually("the last one", () => payloads(client).some((payload) => (payload as { n: number }).n === MANY - 1), {
    timeoutMs: 20_000,
  });
  expect(payloads(client).length).toBeLessThan(MANY);
  expect(client.frames.some((frame) => frame.type === "gap")).toBe(false);
}, 30_000);
