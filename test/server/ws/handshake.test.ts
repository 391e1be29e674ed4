// Why: who gets a socket, in which dialect, and what everybody else is told.
import { expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { startServer, TENANT } from "../../support/server.ts";
import { WsClient } from "../../support/ws-client.ts";

const FULL = "nexus.v1.json";

test("a client that offers nexus.v1.json is told who it is and where its streams stand", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  expect(client.answer.status).toBe(101);
  expect(client.answer.headers.get("sec-websocket-protocol")).toBe(FULL);
  const connected = await client.next("connected");
  expect(connected).toMatchObject({ user_id: "ann", tenant_id: TENANT, heartbeat_seconds: 30, max_frame_bytes: 65536 });
  const { epoch } = await server.engine.store.top({ kind: "inbox", tenant: TENANT, user: "ann" });
  expect(connected.streams).toEqual([
    { stream: "user", epoch, offset: 0, outcome: "fresh" },
    { stream: "broadcast", epoch: "0", offset: 0, outcome: "fresh" },
  ]);
});

test("a client that offers nothing hears nothing until it asks, and no subprotocol is answered", async () => {
  await using server = startServer();
  await using client = await server.connect("ann", { protocols: [] });
  expect(client.answer.headers.has("sec-websocket-protocol")).toBe(false);
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames).toEqual([]);
});

test.each([[["unknown.v9"]], [["unknown.v9", "another"]]])("an unknown offer %p is answered without a subprotocol", async (protocols) => {
  await using server = startServer();
  await using client = await server.connect("ann", { protocols });
  expect(client.answer.status).toBe(101);
  expect(client.answer.headers.has("sec-websocket-protocol")).toBe(false);
});

test("a token in a subprotocol is accepted and never echoed, whatever the order of the offers", async () => {
  await using server = startServer();
  const offer = `nexus.token.${server.token("ann")}`;
  for (const protocols of [[offer], [offer, FULL], [FULL, offer]]) {
    await using client = await WsClient.connect(server.wsUrl, { protocols });
    expect(client.answer.status).toBe(101);
    expect(client.answer.headers.get("sec-websocket-protocol")).toBe(protocols.includes(FULL) ? FULL : undefined);
  }
});

test("a token in the Authorization header is accepted", async () => {
  await using server = startServer();
  await using client = await WsClient.connect(server.wsUrl, {
    protocols: [FULL],
    headers: { Authorization: `Bearer ${server.token("ann")}` },
  });
  expect(await client.next("connected")).toMatchObject({ user_id: "ann" });
});

test("?token= wins over the header and the subprotocol", async () => {
  await using server = startServer();
  const headers = { Authorization: `Bearer ${server.token("bob")}` };
  const protocols = [FULL, `nexus.token.${server.token("cat")}`];
  await using client = await WsClient.connect(`${server.wsUrl}?token=${server.token("ann")}`, { protocols, headers });
  expect(await client.next("connected")).toMatchObject({ user_id: "ann" });
});

test.each([
  ["missing", ""],
  ["garbage", "?token=not.a.jwt"],
  ["empty", "?token="],
])("a %s token is 401 before the upgrade", async (_, query) => {
  await using server = startServer();
  await using client = await WsClient.connect(server.wsUrl + query);
  expect(client.answer.status).toBe(401);
  expect(client.answer.headers.get("content-type")).toBe("application/problem+json");
  expect(JSON.parse(client.answer.body)).toMatchObject({ code: "unauthorized", error: { code: "UNAUTHORIZED" } });
  expect(server.app.node.sessions.count()).toBe(0);
});

test("an expired token is 401", async () => {
  await using server = startServer();
  await using client = await server.connect("ann", { claims: { exp: Math.floor(Date.now() / 1000) - 10 } });
  expect(client.answer.status).toBe(401);
});

test("a token of a tenant nobody declared is 401, of a suspended one 403", async () => {
  await using server = startServer();
  await using stranger = await server.connect("ann", { claims: { tenant_id: "nobody" } });
  expect(stranger.answer.status).toBe(401);
  server.setTenant({ suspended: true });
  await using suspended = await server.connect("ann");
  expect(suspended.answer.status).toBe(403);
  expect(JSON.parse(suspended.answer.body)).toMatchObject({ code: "tenant_suspended" });
});

test("an address over its upgrades a minute gets 429 and Retry-After, before its token is looked at", async () => {
  await using server = startServer({ limits: { upgradesPerMinutePerAddress: 2 } });
  for (const expected of [401, 401, 429]) {
    await using client = await WsClient.connect(`${server.wsUrl}?token=wrong`);
    expect(client.answer.status).toBe(expected);
    if (expected !== 429) continue;
    expect(client.answer.headers.get("retry-after")).toBe("60");
    expect(JSON.parse(client.answer.body)).toMatchObject({ error: { code: "RATE_LIMITED" }, retry_after_seconds: 60 });
  }
});

test("a full node answers 503 and Retry-After, and has room again when somebody leaves", async () => {
  await using server = startServer({ limits: { connectionsPerPod: 1 } });
  {
    await using _first = await server.connect("ann");
    await using second = await server.connect("bob");
    expect(second.answer.status).toBe(503);
    expect(Number(second.answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(JSON.parse(second.answer.body)).toMatchObject({ error: { code: "NODE_FULL" } });
  }
  await eventually("the place to be free", () => server.app.node.sessions.count() === 0);
  await using third = await server.connect("bob");
  expect(third.answer.status).toBe(101);
});

test("a draining node answers 503 and Retry-After", async () => {
  await using server = startServer();
  server.app.node.refuseSessions();
  await using client = await server.connect("ann");
  expect(client.answer.status).toBe(503);
  expect(client.answer.headers.has("retry-after")).toBe(true);
  expect(JSON.parse(client.answer.body)).toMatchObject({ code: "shutting_down" });
});

test("only the tenant's origins may connect from a browser; clients without an origin are no browsers", async () => {
  await using server = startServer({ allowedOrigins: ["https://app.example.com"] });
  const status = async (headers: Record<string, string>) => {
    await using client = await server.connect("ann", { headers });
    return client.answer.status;
  };
  expect(await status({ Origin: "https://evil.example.com" })).toBe(403);
  expect(await status({ Origin: "https://APP.example.com" })).toBe(101);
  expect(await status({})).toBe(101);
});

test("a plain GET of /ws is told to upgrade", async () => {
  await using server = startServer();
  const answer = await fetch(`${server.app.url}/ws?token=${server.token("ann")}`);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ code: "invalid_header" });
});

test("over a user's session limit the upgrade succeeds, one error says so, and the close is terminal", async () => {
  await using server = startServer({ quotas: { connectionsPerUser: 1 } });
  await using first = await server.connect("ann");
  await first.next("connected");
  await using second = await server.connect("ann");
  expect(second.answer.status).toBe(101);
  expect(await second.ending()).toEqual({ code: 4505, reason: "Session limit reached" });
  expect(second.frames).toEqual([{ type: "error", code: "CONNECTION_LIMIT", message: "This user has too many sessions", retry: false }]);
  expect(server.metrics.count("refused", "connection_limit")).toBe(1);
  await using other = await server.connect("bob");
  await other.next("connected");
});

test("over the tenant's session limit likewise, and a place that is given back is free", async () => {
  await using server = startServer({ quotas: { connections: 1 } });
  {
    await using first = await server.connect("ann");
    await first.next("connected");
    await using second = await server.connect("bob");
    expect((await second.ending()).code).toBe(4505);
  }
  await eventually("the first session to be gone", () => server.app.node.sessions.count() === 0);
  await using third = await server.connect("bob");
  await third.next("connected");
});

test("permessage-deflate is negotiated with those who offer it, and small frames stay as they are", async () => {
  await using server = startServer();
  await using plain = await server.connect("ann");
  expect(plain.answer.headers.has("sec-websocket-extensions")).toBe(false);
  await using client = await server.connect("ann", { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } });
  expect(client.answer.headers.get("sec-websocket-extensions")).toContain("permessage-deflate");
  await client.next("connected");
  await client.ask({ type: "Ping" }, "pong");
});
