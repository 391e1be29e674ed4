// Why: a token becomes a ticket and the ticket a session, once, with the same rights: over real requests and sockets.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import type { Identity } from "@nexus/server/core/ports.ts";
import { ticketHandlers } from "@nexus/server/http/tickets.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { Listener } from "../../support/listener.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const issuers = [secretIssuer(TOKEN_SECRET)];
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 } }),
  tenantEntry("acme", { api_keys: [apiKey("all", "key-of-acme")], issuers }),
  tenantEntry("shut", { suspended: true, issuers }),
  tenantEntry("picky", { issuers, allowed_origins: ["https://app.example"] }),
];
const PATH = "/api/v1/tickets";
const FULL = ["nexus.v1.json"];

let real: RealServer;
let rest: Rest;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "");
});
afterAll(() => real[Symbol.asyncDispose]());

const bearer = async (user: string, claims: Readonly<Record<string, unknown>> = {}) => ({
  authorization: `Bearer ${await token(user, claims)}`,
});
const buy = async (headers: Readonly<Record<string, string>>, body?: unknown) => rest("POST", PATH, { headers, body, shape: PATH });
const socketUrl = (ticket: unknown) => `${real.url.replace("http", "ws")}/ws?ticket=${ticket}`;

describe("a ticket", () => {
  test("is short-lived, opaque and not to be kept on the way", async () => {
    const jwt = await token("ann");
    const answer = await buy({ authorization: `Bearer ${jwt}` });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body).sort()).toEqual(["expires_in_seconds", "ticket"]);
    expect(answer.body.expires_in_seconds).toBe(30);
    expect(answer.body.ticket).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(jwt).not.toContain(String(answer.body.ticket));
  });

  test("opens one session, as whoever bought it", async () => {
    const { body } = await buy(await bearer("ann"));
    await using listener = await Listener.open(socketUrl(body.ticket), FULL);
    expect(await listener.next("connected")).toMatchObject({ user_id: "ann", tenant_id: "acme" });
    const again = await fetch(socketUrl(body.ticket).replace("ws:", "http:"), {
      headers: {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
      },
    });
    expect(again.status).toBe(401);
  });

  test("opens one event stream too", async () => {
    const { body } = await buy(await bearer("ann", { roles: ["ops"] }));
    const address = `${real.url}/sse?ticket=${body.ticket}`;
    const leave = new AbortController();
    const stream = await fetch(address, { signal: leave.signal });
    expect([stream.status, stream.headers.get("content-type")?.split(";")[0]]).toEqual([200, "text/event-stream"]);
    expect((await fetch(address)).status).toBe(401);
    leave.abort();
  });

  test("does not outlive its token", async () => {
    const now = Math.floor(Date.now() / 1000);
    const { body } = await buy(await bearer("ann", { exp: now + 20 }));
    expect(Number(body.expires_in_seconds)).toBeWithin(17, 21); // a slow machine may take its time
  });

  test("is not bought with a ticket", async () => {
    const { body } = await buy(await bearer("ann"));
    expectProblem(await rest("POST", `${PATH}?ticket=${body.ticket}`, { shape: PATH }), "unauthorized");
    await using listener = await Listener.open(socketUrl(body.ticket), FULL);
    await listener.next("connected");
  });
});

describe("the request", () => {
  test("may carry the token in the query, which wins, and any body or none", async () => {
    const inQuery = await rest("POST", `${PATH}?token=${await token("bob")}`, { headers: await bearer("ann"), shape: PATH });
    await using listener = await Listener.open(socketUrl(inQuery.body.ticket), FULL);
    expect(await listener.next("connected")).toMatchObject({ user_id: "bob" });
    for (const body of [{}, { unknown: 1 }, "text", null]) expect((await buy(await bearer("ann"), body)).status).toBe(200);
    const raw = await fetch(`${real.url}${PATH}`, { method: "POST", headers: await bearer("ann"), body: "{no json" });
    expect(raw.status).toBe(200);
  });

  test("without a good token is 401 and says what would be accepted; an API key is none", async () => {
    const wrong = [{}, { authorization: "Bearer x.y.z" }, { authorization: "Basic YTpi" }, { "x-api-key": "key-of-acme" }];
    for (const headers of wrong) {
      const answer = await buy(headers);
      expectProblem(answer, "unauthorized");
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
    }
    expectProblem(await buy(await bearer("ann", { exp: 1_700_000_000 })), "unauthorized");
    expectProblem(await buy(await bearer("ann", { tenant_id: "nobody" })), "unauthorized");
  });

  test("of a suspended tenant is refused", async () => {
    expectProblem(await buy(await bearer("ann", { tenant_id: "shut" })), "tenant_suspended");
  });

  test("comes from the tenant's pages only, where it names them", async () => {
    const claims = { tenant_id: "picky" };
    const allowed = await buy({ ...(await bearer("ann", claims)), origin: "https://app.example" });
    expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([200, "https://app.example"]);
    const foreign = await buy({ ...(await bearer("ann", claims)), origin: "https://evil.example" });
    expectProblem(foreign, "forbidden");
    expect([foreign.headers.get("access-control-allow-origin"), foreign.headers.get("vary")]).toEqual([null, "Origin"]);
    expect((await buy(await bearer("ann", claims))).status).toBe(200);
    expect((await buy({ ...(await bearer("ann")), origin: "https://any.example" })).headers.get("access-control-allow-origin")).toBe("*");
  });

  test("by GET is 405", async () => {
    expectProblem(await rest("GET", PATH, { headers: await bearer("ann") }), "method_not_allowed");
  });
});

describe("the life of a ticket", () => {
  const operation = OPERATIONS.find(({ id }) => id === "createTicket");
  async function bought(leftMs: number | undefined) {
    const clock = manualServerClock();
    const engine = createMemoryEngine({ clock, ids: systemIds, maxBytes: 1_000_000 });
    const { createTicket } = ticketHandlers({ engine, clock });
    if (!operation || !createTicket) throw new Error("createTicket is not served");
    const identity: Identity = { tenant: "acme", user: "ann", roles: ["ops"], channels: ["a.*"] };
    const own = leftMs === undefined ? identity : { ...identity, expiresAt: clock.now() + leftMs };
    const outcome = await createTicket({ operation, identity: own, params: {}, request: new Request("http://test/") });
    return { clock, engine, own, outcome };
  }
  const ticketOf = (body: string) => String((JSON.parse(body) as { ticket: unknown }).ticket); // our own answer

  test("is the rest of its token's where that is shorter", async () => {
    const { clock, engine, outcome } = await bought(12_500);
    if ("code" in outcome) throw new Error(outcome.code);
    expect(JSON.parse(outcome.body)).toMatchObject({ expires_in_seconds: 12 });
    clock.advance(12_500);
    expect(await engine.tickets.redeem(ticketOf(outcome.body))).toBeUndefined();
  });

  test("is thirty seconds for a token that lives longer, or for ever", async () => {
    for (const left of [3_600_000, undefined]) {
      const { clock, engine, own, outcome } = await bought(left);
      if ("code" in outcome) throw new Error(outcome.code);
      clock.advance(29_999);
      expect(await engine.tickets.redeem(ticketOf(outcome.body))).toEqual(own);
    }
  });

  test("is nothing in the last second of a token", async () => {
    expect((await bought(999)).outcome).toMatchObject({ code: "token_expired" });
    expect((await bought(1000)).outcome).toMatchObject({ kind: "answer" });
  });
});
