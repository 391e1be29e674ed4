// Why: the client against the real server: what one promises the other must understand.
import { expect, test } from "bun:test";
import { NexusClient } from "@nexus/client/client.ts";
import type { SocketLike } from "@nexus/client/connection.ts";
import type { Gap, Notification } from "@nexus/client/events.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { rejection } from "./rejection.ts";

const clientOf = (server: TestServer, token: string | (() => string) = server.token("ada")) =>
  new NexusClient({ url: server.app.url, token, backoff: { baseMs: 10, maxMs: 50 } });

test("subscribes, receives on channel and inbox, acknowledges, unsubscribes", async () => {
  await using server = startServer();
  const client = clientOf(server);
  const all: Notification[] = [];
  const orders: Notification[] = [];
  client.on("notification", (one) => void all.push(one));
  await client.connect();
  const state = await client.subscribe("orders.1", (one) => void orders.push(one));
  expect(state).toMatchObject({ stream: "channel:orders.1", outcome: "fresh" });
  await server.publish({ kind: "channel", channel: "orders.1" });
  const { id } = await server.publish({ kind: "user", user: "ada" });
  await eventually("both arrive", () => all.length === 2);
  expect(orders.map(({ stream }) => stream)).toEqual(["channel:orders.1"]);
  await client.ack(id);
  expect(await rejection(client.ack("0197f2a0-0000-7000-8000-000000000000"))).toMatchObject({ code: "INVALID_ACK" });
  await client.unsubscribe("orders.1");
  expect((await server.publish({ kind: "channel", channel: "orders.1" })).deliveredTo).toBe(0);
  client.close();
});

test("a refused name rejects its own call, the good ones go on", async () => {
  await using server = startServer();
  const client = clientOf(server);
  const good = client.subscribe("fine", () => undefined);
  const bad = rejection(client.subscribe("not fine!", () => undefined));
  await client.connect();
  expect(await good).toMatchObject({ stream: "channel:fine" });
  expect(await bad).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
  client.close();
});

test("comes back by itself when the node shuts it out, with what it missed; of what keeps nothing it hears so", async () => {
  await using server = startServer({ channels: [{ match: "orders.*", history: { size: 10, ttlSeconds: 60 } }] });
  const client = clientOf(server);
  const got: unknown[] = [];
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  await client.connect();
  await client.subscribe("orders.1", ({ payload }) => void got.push(payload));
  await client.subscribe("live", () => undefined);
  const away = Promise.withResolvers<void>();
  client.on("state", ({ state }) => state === "disconnected" && away.resolve());
  server.app.node.sessions.shutdown(1, () => 0);
  await away.promise;
  await server.publish({ kind: "channel", channel: "orders.1" }, { event_type: "t", payload: { n: 1 } });
  await eventually("what was missed arrives", () => got.length === 1);
  await server.publish({ kind: "channel", channel: "orders.1" }, { event_type: "t", payload: { n: 2 } });
  await eventually("live again", () => got.length === 2);
  expect(got).toEqual([{ n: 1 }, { n: 2 }]);
  expect(gaps.map(({ stream, reason }) => [stream, reason])).toEqual([
    ["broadcast", "not_kept"],
    ["channel:live", "not_kept"],
  ]);
  client.close();
});

test("what was sent while away arrives from the inbox", async () => {
  await using server = startServer();
  await server.publish({ kind: "user", user: "ada" }, { event_type: "t", payload: "kept" });
  const client = clientOf(server);
  const got: unknown[] = [];
  client.on("notification", ({ payload }) => void got.push(payload));
  await client.connect();
  await eventually("it arrives", () => got.length === 1);
  expect(got).toEqual(["kept"]);
  client.close();
});

test("a session over the user's limit is told so and stays away", async () => {
  await using server = startServer({ quotas: { connectionsPerUser: 1 } });
  const first = clientOf(server);
  await first.connect();
  const second = clientOf(server);
  const errors: string[] = [];
  second.on("error", ({ code }) => void errors.push(code));
  expect(await rejection(second.connect())).toMatchObject({ name: "NexusError" });
  expect(errors).toEqual(["CONNECTION_LIMIT"]);
  first.close();
});

test("asking why a handshake was refused takes nothing away from the inbox", async () => {
  await using server = startServer();
  const { id } = await server.publish({ kind: "user", user: "ada" });
  let attempts = 0;
  const client = new NexusClient({
    url: server.app.url,
    token: server.token("ada"),
    backoff: { baseMs: 10, maxMs: 50 },
    // The first attempt meets a port that nobody listens on; the question behind it reaches the server.
    openSocket: (url, protocols) => new WebSocket(attempts++ === 0 ? "ws://127.0.0.1:9/ws" : url, [...protocols]) as SocketLike,
  });
  const got: string[] = [];
  const gaps: Gap[] = [];
  client.on("notification", (one) => got.push(one.id));
  client.on("gap", (gap) => gaps.push(gap));
  await client.connect();
  await eventually("it arrives", () => got.length > 0);
  expect(got).toEqual([id]);
  expect(gaps).toEqual([]);
  expect(attempts).toBe(2);
  client.close();
});
