// Why: SSE carries the same session as a WebSocket: what a browser's EventSource and its proxies rely on, event by event.
import { expect, test } from "bun:test";
import { decodeCursor, streamHash } from "@nexus/protocol/cursor.ts";
import { eventually } from "../../support/eventually.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import { SseClient } from "../../support/sse-client.ts";

const listen = (server: TestServer, user: string, query = "", headers: Record<string, string> = {}) =>
  SseClient.connect(`${server.app.url}/sse?token=${server.token(user)}${query}`, headers);
const KEPT = [{ match: "kept.*", history: { size: 10, ttlSeconds: 60 } }];

test("a stream opens with headers for proxies, a connected event with a cursor, and a jittered retry", async () => {
  await using server = startServer({ delivery: { reconnectJitterSeconds: 4 } });
  await using client = await listen(server, "ann");
  expect([client.status, client.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(client.headers.get("cache-control")).toBe("no-cache, no-transform");
  expect(client.headers.get("x-accel-buffering")).toBe("no");
  expect(client.headers.get("access-control-allow-origin")).toBe("*");
  const connected = await client.next("connected");
  expect(connected.data).toMatchObject({ type: "connected", user_id: "ann", tenant_id: "acme" });
  expect(connected.retryMs).toBeGreaterThanOrEqual(1000);
  expect(connected.retryMs).toBeLessThanOrEqual(5000);
  expect(decodeCursor(connected.id ?? "")?.has(streamHash("user"))).toBe(true);
});

test("what came while nobody listened is sent, then what comes live, each with the cursor behind it", async () => {
  await using server = startServer({ channels: KEPT });
  const first = await server.publish({ kind: "user", user: "ann" });
  await using client = await listen(server, "ann", "&channels=kept.a,live");
  expect((await client.next("notification")).data).toMatchObject({ type: "notification", id: first.id, stream: "user", offset: 1 });
  expect((await client.next("subscribed")).data).toMatchObject({ payload: ["kept.a", "live"] });
  const second = await server.publish({ kind: "channel", channel: "kept.a" });
  expect(second.deliveredTo).toBe(1);
  const got = await client.next("notification");
  expect(got.data).toMatchObject({ id: second.id, stream: "channel:kept.a", offset: 1 });
  const cursor = decodeCursor(got.id ?? "");
  expect(cursor?.get(streamHash("channel:kept.a"))?.offset).toBe(1);
  expect(cursor?.get(streamHash("user"))?.offset).toBe(1);
  expect(cursor?.has(streamHash("channel:live"))).toBe(false);
  await server.publish({ kind: "channel", channel: "live" });
  expect((await client.next("notification")).id).toBeUndefined();
});

test("Last-Event-ID brings back what was missed on every stream, and says so", async () => {
  await using server = startServer({ channels: KEPT });
  let cursor: string;
  {
    await using client = await listen(server, "ann", "&channels=kept.a");
    await client.next("subscribed");
    cursor = client.lastEventId;
  }
  const missed = [await server.publish({ kind: "channel", channel: "kept.a" }), await server.publish({ kind: "user", user: "ann" })];
  await using client = await listen(server, "ann", "&channels=kept.a", { "last-event-id": cursor });
  expect((await client.next("connected")).data.streams).toMatchObject([{ stream: "user", outcome: "recovered" }, {}]);
  expect((await client.next("subscribed")).data.streams).toMatchObject([{ stream: "channel:kept.a", outcome: "recovered", offset: 0 }]);
  const got = [await client.next("notification"), await client.next("notification")];
  expect(got.map(({ data }) => data.id).sort()).toEqual(missed.map(({ id }) => id).sort());
});

test("?cursor= is for clients that cannot set the header, which wins", async () => {
  await using server = startServer();
  let cursor: string;
  {
    await using client = await listen(server, "ann");
    cursor = (await client.next("connected")).id ?? "";
  }
  const { id } = await server.publish({ kind: "user", user: "ann" });
  await using client = await listen(server, "ann", `&cursor=${cursor}`);
  expect((await client.next("notification")).data.id).toBe(id);
});

test("a cursor that says nothing is told: nothing counts as recovered, and the stream goes on", async () => {
  await using server = startServer();
  await using client = await listen(server, "ann", "", { "last-event-id": "garbage!" });
  const { data } = await client.next("connected");
  expect(data.streams).toMatchObject([{ outcome: "not_recovered", reason: "unverifiable" }, { outcome: "not_recovered" }]);
  expect((await client.next("error")).data).toMatchObject({ code: "INVALID_CURSOR" });
  await server.publish({ kind: "user", user: "ann" });
  await client.next("notification");
});

test("bad channel names are one error event, the good ones are subscribed", async () => {
  await using server = startServer();
  await using client = await listen(server, "ann", `&channels=good,${encodeURIComponent("bad name")}`);
  expect((await client.next("subscribed")).data).toMatchObject({ payload: ["good"] });
  expect((await client.next("error")).data).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
});

test("heartbeats are events with a timestamp beside a comment for proxies", async () => {
  await using server = startServer({ delivery: { heartbeatSeconds: 1 } });
  await using client = await listen(server, "ann");
  const { data } = await client.next("heartbeat");
  expect(Number.isNaN(Date.parse(String(data.timestamp)))).toBe(false);
  expect(client.comments).toBeGreaterThan(0);
});

test("no token is 401; a browser that comes back by itself with one that never works again is told 204", async () => {
  await using server = startServer();
  await using none = await SseClient.connect(`${server.app.url}/sse`);
  expect([none.status, JSON.parse(none.body).error.code]).toEqual([401, "UNAUTHORIZED"]);
  const url = `${server.app.url}/sse?token=${server.token("ann", { exp: Math.floor(Date.now() / 1000) - 10 })}`;
  await using expired = await SseClient.connect(url);
  expect(expired.status).toBe(401);
  await using again = await SseClient.connect(url, { "last-event-id": "AQ" });
  expect([again.status, again.body]).toEqual([204, ""]);
});

test("over the user's limit, WebSocket and SSE together, it is 429 CONNECTION_LIMIT, and a place given back is free", async () => {
  await using server = startServer({ quotas: { connectionsPerUser: 2 } });
  await using socket = await server.connect("ann");
  await socket.next("connected");
  {
    await using first = await listen(server, "ann");
    await first.next("connected");
    await using second = await listen(server, "ann");
    expect([second.status, JSON.parse(second.body).error.code]).toEqual([429, "CONNECTION_LIMIT"]);
  }
  await eventually("the place to be free", () => server.app.node.sessions.count() === 1 || undefined);
  await using third = await listen(server, "ann");
  expect(third.status).toBe(200);
});

test("a draining node answers 503 and Retry-After; open streams are told shutdown with a retry and end", async () => {
  await using server = startServer();
  await using client = await listen(server, "ann");
  await client.next("connected");
  server.app.node.refuseSessions();
  await using refused = await listen(server, "bob");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  server.app.node.sessions.shutdown(10, () => 2.5);
  const shutdown = await client.next("shutdown");
  expect([shutdown.data.reconnect_after_seconds, shutdown.retryMs]).toEqual([2.5, 2500]);
  await client.ending();
});

test("a token that runs out ends the stream with an error that says so", async () => {
  await using server = startServer();
  const token = server.token("ann", { exp: Math.floor(Date.now() / 1000) + 3 });
  await using client = await SseClient.connect(`${server.app.url}/sse?token=${token}`);
  await client.next("connected");
  expect((await client.next("error")).data).toMatchObject({ code: "UNAUTHORIZED", retry: false });
  await client.ending();
  expect(server.app.node.sessions.count()).toBe(0);
});

test("an origin the tenant does not allow is 403, one that it allows is named in the answer", async () => {
  await using server = startServer({ allowedOrigins: ["https://app.example"] });
  await using bad = await listen(server, "ann", "", { origin: "https://evil.example" });
  expect(bad.status).toBe(403);
  await using good = await listen(server, "ann", "", { origin: "https://app.example" });
  expect(good.headers.get("access-control-allow-origin")).toBe("https://app.example");
});

test("a client that is gone leaves nothing behind", async () => {
  await using server = startServer();
  {
    await using client = await listen(server, "ann", "&channels=a");
    await client.next("subscribed");
  }
  await eventually("the session to be gone", () => server.app.node.sessions.count() === 0 || undefined);
  expect((await server.publish({ kind: "channel", channel: "a" })).deliveredTo).toBe(0);
});
