// Why: who receives what, in which order and shape, and what waits for those who were away.
import { expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { startServer, TENANT, type TestServer } from "../../support/server.ts";
import type { WsClient } from "../../support/ws-client.ts";

const subscribe = (...channels: string[]) => ({ type: "Subscribe", payload: { channels } });
const payloads = (client: WsClient) => client.frames.filter((frame) => frame.type === "notification").map((frame) => frame.payload);
/** Everything sent before is there: a pong comes after it. */
const settled = async (client: WsClient) => {
  await client.ask({ type: "Ping" }, "pong");
  return payloads(client);
};
const say = (server: TestServer, user: string, n: number) => server.publish({ kind: "user", user }, { event_type: "said", payload: n });

test("a notification carries id, time, type, payload, metadata and its place", async () => {
  await using server = startServer();
  await using client = await server.connect("ann", { protocols: [] });
  await client.ask({ type: "Ping" }, "pong");
  const payload = { text: 'quotes " and 日本語', list: [1, null, { a: true }] };
  const { id, deliveredTo } = await server.publish(
    { kind: "user", user: "ann" },
    { event_type: "order.shipped", payload, priority: "High", ttl: 60, correlation_id: "c-1" },
  );
  expect(deliveredTo).toBe(1);
  const frame = await client.next("notification");
  expect(frame).toEqual({
    type: "notification",
    id,
    occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    event_type: "order.shipped",
    payload,
    metadata: { source: "http-api", priority: "High", ttl: 60, correlation_id: "c-1" },
    stream: "user",
    offset: 1,
  });
});

test("a user's notification reaches every device of that user and nobody else", async () => {
  await using server = startServer();
  await using phone = await server.connect("ann");
  await using laptop = await server.connect("ann");
  await using other = await server.connect("bob");
  await Promise.all([phone, laptop, other].map((client) => client.next("connected")));
  expect(await say(server, "ann", 1)).toMatchObject({ deliveredTo: 2, queued: false });
  expect(await settled(phone)).toEqual([1]);
  expect(await settled(laptop)).toEqual([1]);
  expect(await settled(other)).toEqual([]);
});

test("a channel without history has no offsets; one with history counts", async () => {
  await using server = startServer({ channels: [{ match: "kept", history: { size: 5, ttlSeconds: 60 } }] });
  await using client = await server.connect("ann");
  await client.ask(subscribe("live", "kept"), "subscribed");
  await server.publish({ kind: "channel", channel: "live" });
  const live = await client.next("notification");
  expect(live.stream).toBe("channel:live");
  expect("offset" in live).toBe(false);
  await server.publish({ kind: "channel", channel: "kept" });
  expect(await client.next("notification")).toMatchObject({ stream: "channel:kept", offset: 1 });
});

test("entries of a stream arrive in the order they were published", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.ask(subscribe("a"), "subscribed");
  const priorities = ["Low", "Normal", "High", "Critical"] as const;
  for (let n = 0; n < 200; n++) {
    await server.publish({ kind: "channel", channel: "a" }, { event_type: "n", payload: n, priority: priorities[n % 4] ?? "Normal" });
  }
  expect(await settled(client)).toEqual([...Array(200).keys()]);
});

test.each([
  [{ type: "All" as const }, ["ann", "bob", "cat"]],
  [{ type: "Roles" as const, value: "admin" }, ["ann"]],
  [{ type: "Users" as const, value: ["bob", "zoe"] }, ["bob"]],
  [{ type: "Channels" as const, value: ["news"] }, ["cat"]],
])("a broadcast to %p reaches %p, and delivered_to counts exactly those", async (audience, expected) => {
  await using server = startServer();
  await using ann = await server.connect("ann", { claims: { roles: ["admin"] } });
  await using bob = await server.connect("bob");
  await using cat = await server.connect("cat");
  await Promise.all([ann, bob].map((client) => client.next("connected")));
  await cat.ask(subscribe("news"), "subscribed");
  expect((await server.publish({ kind: "broadcast", audience })).deliveredTo).toBe(expected.length);
  const reached = [];
  for (const [name, client] of Object.entries({ ann, bob, cat })) if ((await settled(client)).length > 0) reached.push(name);
  expect(reached).toEqual(expected);
});

test("tenants never hear each other", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.ask(subscribe("a"), "subscribed");
  const outcome = await server.app.node.publisher.publish({
    tenant: "other",
    target: { kind: "channel", channel: "a" },
    content: { event_type: "e", payload: 1 },
    source: "test",
  });
  expect(outcome).toMatchObject({ code: "not_found" });
  expect(await settled(client)).toEqual([]);
});

test("who was away gets what was missed, in order and once, and the mark has moved", async () => {
  await using server = startServer();
  expect(await say(server, "ann", 1)).toMatchObject({ deliveredTo: 0, queued: true });
  await say(server, "ann", 2);
  {
    await using client = await server.connect("ann");
    const connected = await client.next("connected");
    expect(connected.streams).toContainEqual(expect.objectContaining({ stream: "user", offset: 0 }));
    await say(server, "ann", 3);
    await eventually("three notifications", () => payloads(client).length === 3);
    expect(await settled(client)).toEqual([1, 2, 3]);
  }
  await using again = await server.connect("ann");
  expect(await again.next("connected")).toMatchObject({
    streams: expect.arrayContaining([expect.objectContaining({ stream: "user", offset: 3 })]),
  });
  expect(await settled(again)).toEqual([]);
});

test("an Ara client is sent what it missed too, after nothing else", async () => {
  await using server = startServer();
  await say(server, "ann", 1);
  await using client = await server.connect("ann", { protocols: [] });
  const first = await client.next("notification");
  expect(first.payload).toBe(1);
});

test("an inbox keeps as many entries as the quota says, and none when it says none", async () => {
  await using server = startServer({ quotas: { inbox: { messages: 2 } } });
  for (const n of [1, 2, 3]) await say(server, "ann", n);
  await using client = await server.connect("ann");
  await eventually("the kept ones", () => payloads(client).length === 2);
  expect(await settled(client)).toEqual([2, 3]);
  await using none = startServer({ quotas: { inbox: { messages: 0 } } });
  expect(await say(none, "ann", 1)).toMatchObject({ deliveredTo: 0, queued: false });
});

test("an entry whose ttl has run out is not sent to who comes later", async () => {
  await using server = startServer();
  await server.publish({ kind: "user", user: "ann" }, { event_type: "e", payload: "short", ttl: 1 });
  await server.publish({ kind: "user", user: "ann" }, { event_type: "e", payload: "long", ttl: 1000 });
  const inbox = { kind: "inbox", tenant: TENANT, user: "ann" } as const;
  await eventually("the short one to expire", async () => (await server.engine.store.unread(inbox)).entries.length === 1);
  await using client = await server.connect("ann");
  expect((await client.next("notification")).payload).toBe("long");
});

test("ttl 0 is never delivered and nobody counts as reached", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.next("connected");
  const outcome = await server.publish({ kind: "user", user: "ann" }, { event_type: "e", payload: 1, ttl: 0 });
  expect(outcome).toMatchObject({ deliveredTo: 0, queued: false });
  expect(await settled(client)).toEqual([]);
});

test("in Acked mode what was not acknowledged is sent again, what was is not", async () => {
  await using server = startServer({ quotas: { inbox: { mode: "Acked" } } });
  const ids: string[] = [];
  for (const n of [1, 2, 3]) ids.push((await say(server, "ann", n)).id);
  {
    await using client = await server.connect("ann");
    await eventually("all three", () => payloads(client).length === 3);
    await client.ask({ type: "Ack", payload: { notification_id: ids[1] } }, "acked");
  }
  {
    await using client = await server.connect("ann");
    await eventually("the two that are left", () => payloads(client).length === 2);
    expect(await settled(client)).toEqual([1, 3]);
    const { epoch } = await server.engine.store.top({ kind: "inbox", tenant: TENANT, user: "ann" });
    await client.ask({ type: "Ack", payload: { up_to: { epoch, offset: 3 } } }, "acked");
  }
  await using client = await server.connect("ann");
  expect(await settled(client)).toEqual([]);
});

test("a client whose inbox holds more than its queue may gets all of it, at its own pace", async () => {
  await using server = startServer({ limits: { sendQueueBytes: 16384 }, quotas: { inbox: { messages: 300 }, payloadBytes: 65536 } });
  const text = "x".repeat(60_000);
  for (let n = 0; n < 150; n++) await server.publish({ kind: "user", user: "ann" }, { event_type: "e", payload: { n, text } });
  await using client = await server.connect("ann");
  client.stopReading();
  await server.publish({ kind: "user", user: "bob" }); // a turn of the loop: the server has met the full buffers by now
  client.startReading();
  await eventually("all of it", () => payloads(client).length === 150, { timeoutMs: 20_000 });
  expect(client.closed).toBeUndefined();
});

test("deliveries and their latency are counted", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.next("connected");
  await say(server, "ann", 1);
  await client.next("notification");
  expect(server.metrics.count("delivered", "websocket")).toBe(1);
  expect(server.metrics.count("deliveryLatency")).toBe(1);
  expect(server.metrics.count("published", "inbox published")).toBe(1);
});
