// Why: what each client frame is answered with, and that nothing a client sends breaks its session or the server.
import { expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { startServer, TENANT } from "../../support/server.ts";

const subscribe = (...channels: unknown[]) => ({ type: "Subscribe", payload: { channels } });

test("Subscribe confirms the names in request order and says where each stream stands", async () => {
  await using server = startServer({ channels: [{ match: "kept.*", history: { size: 10, ttlSeconds: 60 } }] });
  await server.publish({ kind: "channel", channel: "kept.a" });
  await using client = await server.connect("ann");
  const answer = await client.ask({ ...subscribe("live", "kept.a"), id: "s1" }, "subscribed");
  const { epoch } = await server.engine.store.top({ kind: "channel", tenant: TENANT, channel: "kept.a" });
  expect(answer).toEqual({
    type: "subscribed",
    payload: ["live", "kept.a"],
    id: "s1",
    streams: [
      { stream: "channel:live", epoch: "0", offset: 0, outcome: "fresh" },
      { stream: "channel:kept.a", epoch, offset: 1, outcome: "fresh" },
    ],
  });
});

test("Subscribe is partial: the good names first, then one error for all bad ones", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.next("connected");
  client.send({ ...subscribe("good", "bad name", "älso.góod", "", "x".repeat(65)), id: 7 });
  expect(await client.next("subscribed")).toMatchObject({ payload: ["good", "älso.góod"], id: 7 });
  const error = await client.next("error");
  expect(error).toMatchObject({ code: "SUBSCRIPTION_ERROR", id: 7, retry: false, field: "/payload/channels/1" });
  expect(String(error.message)).toContain("and 2 more");
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames).toEqual([]);
});

test("Subscribe with bad names only answers only the error", async () => {
  await using server = startServer();
  await using client = await server.connect("ann", { protocols: [] });
  await client.ask(subscribe("bad name"), "error");
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames).toEqual([]);
});

test("a name already held is confirmed again and counts once", async () => {
  await using server = startServer({ quotas: { subscriptionsPerConnection: 2 } });
  await using client = await server.connect("ann");
  await client.ask(subscribe("a", "a"), "subscribed");
  expect((await client.ask(subscribe("a", "b"), "subscribed")).payload).toEqual(["a", "b"]);
  await server.publish({ kind: "channel", channel: "a" });
  await client.next("notification");
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames.filter((frame) => frame.type === "notification")).toEqual([]);
});

test("names over the limit of channels are refused, a name given back makes room", async () => {
  await using server = startServer({ quotas: { subscriptionsPerConnection: 2 } });
  await using client = await server.connect("ann");
  client.send(subscribe("a", "b", "c"));
  expect((await client.next("subscribed")).payload).toEqual(["a", "b"]);
  expect(await client.next("error")).toMatchObject({ code: "SUBSCRIPTION_ERROR", field: "/payload/channels/2" });
  await client.ask({ type: "Unsubscribe", payload: { channels: ["a"] } }, "unsubscribed");
  expect((await client.ask(subscribe("c"), "subscribed")).payload).toEqual(["c"]);
});

test("a Claim rule lets in whose token names the channel, and nobody else", async () => {
  await using server = startServer({ channels: [{ match: "orders.*", subscribe: "Claim" }] });
  await using named = await server.connect("ann", { claims: { channels: ["orders.eu.*"] } });
  expect((await named.ask(subscribe("orders.eu.1", "free"), "subscribed")).payload).toEqual(["orders.eu.1", "free"]);
  expect(await named.ask(subscribe("orders.us.1"), "error")).toMatchObject({ code: "FORBIDDEN" });
  await using other = await server.connect("bob");
  expect(await other.ask(subscribe("orders.eu.1"), "error")).toMatchObject({ code: "FORBIDDEN" });
  expect((await server.publish({ kind: "channel", channel: "orders.eu.1" })).deliveredTo).toBe(1);
});

test("Unsubscribe confirms every name, also those never held, and ends delivery", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await client.ask(subscribe("a"), "subscribed");
  const answer = await client.ask({ type: "Unsubscribe", id: "u", payload: { channels: ["a", "never held", "a"] } }, "unsubscribed");
  expect(answer).toEqual({ type: "unsubscribed", payload: ["a", "never held", "a"], id: "u" });
  expect((await server.publish({ kind: "channel", channel: "a" })).deliveredTo).toBe(0);
});

test("Ping answers pong and echoes its id", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  expect(await client.ask({ type: "Ping" }, "pong")).toEqual({ type: "pong" });
  expect(await client.ask({ type: "Ping", id: "p-1" }, "pong")).toEqual({ type: "pong", id: "p-1" });
});

test("Ack by id answers acked; unknown ids and other users' are the same INVALID_ACK", async () => {
  await using server = startServer();
  await using ann = await server.connect("ann");
  await using bob = await server.connect("bob");
  const { id } = await server.publish({ kind: "user", user: "ann" });
  await ann.next("notification");
  const ack = { type: "Ack", id: 1, payload: { notification_id: id } };
  expect(await ann.ask(ack, "acked")).toEqual({ type: "acked", notification_id: id, id: 1 });
  const foreign = await bob.ask(ack, "error");
  const unknown = await bob.ask({ ...ack, payload: { notification_id: "no-such" } }, "error");
  expect(foreign).toEqual(unknown);
  expect(foreign).toMatchObject({ code: "INVALID_ACK", id: 1 });
});

test("Ack up to a place answers acked; a place of another epoch or beyond the top is INVALID_ACK", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  await server.publish({ kind: "user", user: "ann" });
  const { epoch } = await server.engine.store.top({ kind: "inbox", tenant: TENANT, user: "ann" });
  const ack = (place: unknown) => ({ type: "Ack", payload: { up_to: place } });
  expect(await client.ask(ack({ epoch, offset: 1 }), "acked")).toEqual({ type: "acked", up_to: { epoch, offset: 1 } });
  expect(await client.ask(ack({ epoch, offset: 2 }), "error")).toMatchObject({ code: "INVALID_ACK" });
  expect(await client.ask(ack({ epoch: "other", offset: 1 }), "error")).toMatchObject({ code: "INVALID_ACK" });
});

test.each([
  ["no JSON", "{"],
  ["a number", "42"],
  ["a list", "[]"],
  ["null", "null"],
  ["no type", "{}"],
  ["an unknown type", '{"type":"Nope"}'],
  ["a type in another case", '{"type":"subscribe","payload":{"channels":[]}}'],
  ["an inherited name as type", '{"type":"constructor"}'],
  ["no payload", '{"type":"Subscribe"}'],
  ["channels that are no list", '{"type":"Subscribe","payload":{"channels":"a"}}'],
  ["a channel that is no name", '{"type":"Subscribe","payload":{"channels":["a",5]}}'],
  ["an Ack of nothing", '{"type":"Ack","payload":{}}'],
  ["an offset below zero", '{"type":"Ack","payload":{"up_to":{"epoch":"a","offset":-1}}}'],
  ["nesting without end", `{"type":"Ping","x":${"[".repeat(500)}`],
])("%s is INVALID_MESSAGE and the session stays", async (_, text) => {
  await using server = startServer();
  await using client = await server.connect("ann");
  expect(await client.ask(text, "error")).toMatchObject({ code: "INVALID_MESSAGE", retry: false });
  await client.ask({ type: "Ping" }, "pong");
  expect(server.metrics.count("refused", "invalid_message")).toBe(1);
});

test("a refused frame's id is echoed, its content never", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  const error = await client.ask({ type: "Subscribe", id: "x9", payload: { channels: { secret: "hunter2" } } }, "error");
  expect(error).toMatchObject({ id: "x9", field: "/payload/channels" });
  expect(JSON.stringify(error)).not.toContain("hunter2");
});

test("unknown members of a frame are ignored", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  expect(await client.ask({ ...subscribe("a"), extra: { a: 1 }, payload: { channels: ["a"], more: true } }, "subscribed")).toMatchObject({
    payload: ["a"],
  });
});

test("a binary frame is UNSUPPORTED_FORMAT and the session stays", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  client.binary(new TextEncoder().encode('{"type":"Ping"}'));
  expect(await client.next("error")).toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  await client.ask({ type: "Ping" }, "pong");
});

test("a frame over the size limit closes with 1009, one of exactly the limit does not", async () => {
  await using server = startServer({ limits: { frameBytes: 1024 } });
  await using client = await server.connect("ann");
  const padded = (bytes: number) => {
    const empty = JSON.stringify({ type: "Ping", x: "" });
    return JSON.stringify({ type: "Ping", x: "x".repeat(bytes - empty.length) });
  };
  await client.ask(padded(1024), "pong");
  client.send(padded(1025));
  expect((await client.ending()).code).toBe(1009);
});

test("a client that keeps sending what is refused is closed with 4506", async () => {
  await using server = startServer({ limits: { framesPerSecond: 0 } });
  await using client = await server.connect("ann");
  for (let i = 0; i < 40; i++) client.send("nonsense");
  expect(await client.ending()).toMatchObject({ code: 4506 });
  expect(client.frames.filter((frame) => frame.type === "error").length).toBe(31);
  await eventually("the session to be gone", () => server.app.node.sessions.count() === 0);
});

test("unknown acknowledgements are no flood", async () => {
  await using server = startServer({ limits: { framesPerSecond: 0 } });
  await using client = await server.connect("ann");
  for (let i = 0; i < 60; i++) client.send({ type: "Ack", payload: { notification_id: `n${i}` } });
  await client.ask({ type: "Ping" }, "pong");
});

test("frames over the rate wait, none is lost, and they are answered in order", async () => {
  await using server = startServer({ limits: { framesPerSecond: 20 } });
  await using client = await server.connect("ann");
  await client.next("connected");
  const startedAt = performance.now();
  for (let i = 0; i < 40; i++) client.send({ type: "Ping", id: i });
  await eventually("all answers", () => client.frames.length === 40, { timeoutMs: 8000 });
  expect(client.frames.map((frame) => frame.id)).toEqual([...Array(40).keys()]);
  expect(performance.now() - startedAt).toBeGreaterThan(700); // 20 at once, 20 more at 20 a second
});
