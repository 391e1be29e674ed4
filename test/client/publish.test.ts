// Why: a caller of publish() decides by its outcome whether to say it again. "Not sent", "refused" and "nobody knows" are
// three different things, and each must be told as what it is.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/server.ts";
import { clientOf } from "./recorded-client.ts";
import { rejection } from "./rejection.ts";
import { CONNECTED, scriptedServer } from "./scripted-server.ts";

const RULES = [{ match: "talk.*", publish: "Claim" as const }];

test("reaches those who listen, and answers the server's id and count", async () => {
  await using server = startServer({ channels: RULES });
  using bob = clientOf(server.app.url, { token: server.token("bob") });
  await bob.client.connect();
  await bob.client.subscribe("talk.a", () => undefined);
  using ann = clientOf(server.app.url, { token: server.token("ann", { channels: ["talk.*"] }) });
  await ann.client.connect();
  const answer = await ann.client.publish("talk.a", "said", null, { priority: "High", ttl: 60, correlationId: "c-1" });
  expect(answer.deliveredTo).toBe(1);
  await eventually("heard", () => bob.events.notification.length === 1);
  expect(bob.events.notification[0]).toMatchObject({
    id: answer.notificationId,
    event_type: "said",
    payload: null,
    metadata: { source: "websocket", priority: "High", ttl: 60, correlation_id: "c-1" },
  });
});

test("a refusal rejects with the server's code and is no event", async () => {
  await using server = startServer({ channels: RULES, limits: { frameBytes: 2048 }, quotas: { payloadBytes: 256 } });
  using ann = clientOf(server.app.url, { token: server.token("ann", { channels: ["talk.*"] }) });
  await ann.client.connect();
  expect(await rejection(ann.client.publish("plain", "said", 1))).toMatchObject({ name: "NexusError", code: "FORBIDDEN" });
  expect(await rejection(ann.client.publish("no name", "said", 1))).toMatchObject({ code: "VALIDATION_ERROR" });
  expect(await rejection(ann.client.publish("talk.a", "said", "x".repeat(300)))).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  // The server closes for good what sends it too large a frame: it is not sent.
  expect(await rejection(ann.client.publish("talk.a", "said", "é".repeat(1500)))).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  expect(ann.client.state).toBe("connected");
  expect(ann.events.error).toEqual([]);
});

test("the trace it is part of goes along", async () => {
  await using server = scriptedServer();
  using one = clientOf(server.url);
  await one.client.connect();
  const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "vendor=a" };
  const answer = one.client.publish("a", "t", 1, trace);
  const peer = await server.peer(0);
  const { id, payload } = await peer.next("Publish");
  expect(payload).toEqual({ channel: "a", event_type: "t", payload: 1, ...trace });
  peer.send({ type: "published", id, notification_id: "n", delivered_to: 0 });
  expect(await answer).toEqual({ notificationId: "n", deliveredTo: 0 });
});

test("while there is no connection nothing is sent, and that is said", async () => {
  await using server = scriptedServer();
  using one = clientOf(server.url);
  expect(await rejection(one.client.publish("a", "t", 1))).toMatchObject({ code: "NOT_SENT", retry: true });
  await one.client.connect();
  one.client.close();
  expect(await rejection(one.client.publish("a", "t", 1))).toMatchObject({ code: "CLOSED" });
  expect((await server.peer(0)).sent).toEqual([]);
});

test("a connection that ends before the answer leaves it open, and the next one does not send it again", async () => {
  await using server = scriptedServer();
  using one = clientOf(server.url);
  await one.client.connect();
  const outcome = rejection(one.client.publish("a", "t", 1));
  const first = await server.peer(0);
  await first.next("Publish");
  first.close(4000);
  expect(await outcome).toMatchObject({ code: "UNANSWERED", retry: false });
  const second = await server.peer(1);
  await eventually("connected again", () => one.events.connected.length === 2);
  second.send({ type: "heartbeat" });
  await second.next("Ping");
  expect(second.sent).toEqual([]);
});

test("calls that wait for an answer are bounded, and one too many is not sent", async () => {
  await using server = scriptedServer({ greet: (peer) => peer.send(CONNECTED) });
  using one = clientOf(server.url, { pendingAcks: 1 });
  await one.client.connect();
  const waiting = rejection(one.client.publish("a", "t", 1));
  expect(await rejection(one.client.publish("a", "t", 2))).toMatchObject({ code: "BUFFER_FULL", retry: true });
  one.client.close();
  expect(await waiting).toMatchObject({ code: "CLOSED" });
  const peer = await server.peer(0);
  await eventually("the server saw the end", () => peer.isClosed);
  expect(peer.sent.map(({ payload }) => payload?.payload)).toEqual([1]);
});

test("a payload that is no JSON rejects and harms nothing", async () => {
  await using server = scriptedServer();
  using one = clientOf(server.url);
  await one.client.connect();
  expect(await rejection(one.client.publish("a", "t", 1n))).toBeInstanceOf(TypeError);
  expect(one.client.state).toBe("connected");
});
