// Why: who gets a socket, in which dialect, and what everybody else is told.
import { describe, expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createJwks, type Jwks } from "@nexus/server/adapters/jwks.ts";
import { createJwksFetch } from "@nexus/server/adapters/jwks-fetch.ts";
import type { Identity } from "@nexus/server/core/ports.ts";
import { eventually } from "../../support/eventually.ts";
import { keySetText, providerKey } from "../../support/jwks.ts";
import { startJwksServer } from "../../support/jwks-server.ts";
import { startServer, TENANT, type TestServer } from "../../support/server.ts";
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

describe("a ticket", () => {
  const identity = (user: string, change: Partial<Identity> = {}): Identity => ({
    ...{ tenant: TENANT, user, roles: [], channels: [] },
    ...change,
  });
  const open = (server: TestServer, query: string, headers: Record<string, string> = {}) =>
    WsClient.connect(`${server.wsUrl}?${query}`, { protocols: [FULL], headers });

  test("opens one session; the second that brings it is 401, like one that brings nonsense", async () => {
    await using server = startServer();
    const ticket = await server.engine.tickets.issue(identity("ann"), 30_000);
    await using first = await open(server, `ticket=${ticket}`);
    expect(await first.next("connected")).toMatchObject({ user_id: "ann", tenant_id: TENANT });
    for (const used of [ticket, "nonsense"]) {
      await using second = await open(server, `ticket=${used}`);
      expect(second.answer.status).toBe(401);
      expect(JSON.parse(second.answer.body)).toMatchObject({ detail: "The ticket is unknown, used or too old" });
    }
  });

  test("is left alone where a token is given, wherever that is, and wins over an empty one", async () => {
    await using server = startServer();
    const ticket = await server.engine.tickets.issue(identity("ann"), 30_000);
    const bob = server.token("bob");
    await using byQuery = await open(server, `token=${bob}&ticket=${ticket}`);
    expect(await byQuery.next("connected")).toMatchObject({ user_id: "bob" });
    await using byHeader = await open(server, `ticket=${ticket}`, { Authorization: `Bearer ${bob}` });
    expect(await byHeader.next("connected")).toMatchObject({ user_id: "bob" });
    await using wrong = await open(server, `token=wrong&ticket=${ticket}`);
    expect(wrong.answer.status).toBe(401);
    await using empty = await open(server, `token=&ticket=${ticket}`);
    expect(await empty.next("connected")).toMatchObject({ user_id: "ann" });
  });

  test("is not used up by a node that has no room, nor looked at over the address's rate", async () => {
    await using server = startServer({ limits: { connectionsPerPod: 1, upgradesPerMinutePerAddress: 3 } });
    const ticket = await server.engine.tickets.issue(identity("ann"), 30_000);
    {
      await using _full = await server.connect("bob");
      await using refused = await open(server, `ticket=${ticket}`);
      expect(refused.answer.status).toBe(503);
    }
    await eventually("the place to be free", () => server.app.node.sessions.count() === 0);
    await using taken = await open(server, `ticket=${ticket}`);
    expect(taken.answer.status).toBe(101);
    const other = await server.engine.tickets.issue(identity("ann"), 30_000);
    await using tooMany = await open(server, `ticket=${other}`);
    expect(tooMany.answer.status).toBe(429);
    expect(await server.engine.tickets.redeem(other)).toMatchObject({ user: "ann" });
  });

  test("is no way around the tenant: suspension, origin, and the end of the token it was bought with", async () => {
    await using server = startServer({ allowedOrigins: ["https://app.example.com"] });
    const status = async (holder: Identity, headers: Record<string, string> = {}) => {
      await using client = await open(server, `ticket=${await server.engine.tickets.issue(holder, 30_000)}`, headers);
      return client.answer.status;
    };
    expect(await status(identity("ann"), { Origin: "https://evil.example.com" })).toBe(403);
    expect(await status(identity("ann", { expiresAt: Date.now() - 1 }))).toBe(401);
    expect(await status(identity("ann", { tenant: "nobody" }))).toBe(401);
    expect(await status(identity("ann", { expiresAt: Date.now() + 60_000 }), { Origin: "https://app.example.com" })).toBe(101);
    server.setTenant({ suspended: true });
    expect(await status(identity("ann"))).toBe(403);
  });
});

describe("an address", () => {
  const behind = (server: TestServer, forwarded: string) =>
    WsClient.connect(`${server.wsUrl}?token=${server.token("ann")}`, { headers: { "X-Forwarded-For": forwarded } });
  const statusOf = async (server: TestServer, forwarded: string) => {
    await using client = await behind(server, forwarded);
    return client.answer.status;
  };

  test("is what a trusted proxy says; IPv6 counts by /64", async () => {
    await using server = startServer({ limits: { upgradesPerMinutePerAddress: 1 }, trustedProxies: ["127.0.0.0/8"] });
    expect(await statusOf(server, "203.0.113.7")).toBe(101);
    expect(await statusOf(server, "203.0.113.8")).toBe(101);
    expect(await statusOf(server, "203.0.113.7")).toBe(429);
    expect(await statusOf(server, "198.51.100.1, 203.0.113.7")).toBe(429);
    expect(await statusOf(server, "2001:db8:0:1::1")).toBe(101);
    expect(await statusOf(server, "[2001:db8:0:1:ffff::2]:4711")).toBe(429);
    expect(await statusOf(server, "2001:db8:0:2::1")).toBe(101);
  });

  test("is the peer's where no proxy is trusted", async () => {
    await using server = startServer({ limits: { upgradesPerMinutePerAddress: 1 } });
    expect(await statusOf(server, "203.0.113.7")).toBe(101);
    expect(await statusOf(server, "203.0.113.8")).toBe(429);
  });

  test("that keeps failing is told to slow down even where upgrades have no limit", async () => {
    await using server = startServer();
    const seen: number[] = [];
    for (let at = 0; at < 22; at++) {
      await using client = await WsClient.connect(`${server.wsUrl}?token=wrong`);
      seen.push(client.answer.status);
    }
    expect(seen.slice(0, 20)).toEqual(Array(20).fill(401));
    expect(seen.at(-1)).toBe(429);
    await using good = await server.connect("ann");
    expect(good.answer.status).toBe(101);
  });
});

describe("an issuer with a key set, over TLS", () => {
  const issuerAt = (url: string) => [
    { name: "idp", audiences: [], algorithms: ["ES256" as const], key: { type: "jwks" as const, url }, clock_skew_seconds: 0 },
  ];
  const claims = () => ({ sub: "ann", tenant_id: TENANT, exp: Math.floor(Date.now() / 1000) + 600 });
  const keySets = (ca: string): Jwks =>
    createJwks({
      fetch: createJwksFetch({ allowPrivate: () => true, resolve: async () => [{ address: "127.0.0.1" }], ca }),
      ...{ clock: systemClock, random: Math.random, log: { info: () => undefined, warn: () => undefined }, fetched: () => undefined },
    });

  test("lets its users in, those of a key that came later too, and nobody else", async () => {
    const [first, second] = [providerKey("first"), providerKey("second")];
    let keys = [first];
    await using issuer = await startJwksServer(() => new Response(keySetText(keys)));
    await using server = startServer({ jwks: keySets(issuer.ca) });
    server.setTenant({ issuers: issuerAt(issuer.url()) });
    const status = async (token: string) => {
      await using client = await WsClient.connect(`${server.wsUrl}?token=${token}`);
      return client.answer.status;
    };
    expect(await status(await first.sign(claims()))).toBe(101);
    keys = [first, second];
    expect(await status(await second.sign(claims()))).toBe(101);
    expect(await status(await first.sign(claims()))).toBe(101);
    expect(await status(await providerKey("first").sign(claims()))).toBe(401);
    expect(await status(await providerKey("third").sign(claims()))).toBe(401);
    expect(issuer.hosts.length).toBe(2);
  });

  test("that cannot be reached is 503 and Retry-After: a valid user must come back", async () => {
    await using server = startServer();
    server.setTenant({ issuers: issuerAt("https://id.example/keys") });
    await using client = await WsClient.connect(`${server.wsUrl}?token=${await providerKey("a").sign(claims())}`);
    expect(client.answer.status).toBe(503);
    expect(Number(client.answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(JSON.parse(client.answer.body)).toMatchObject({ code: "issuer_unavailable", error: { code: "ISSUER_UNAVAILABLE" } });
    expect(server.metrics.count("refused", "issuer_unavailable")).toBe(1);
  });
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
