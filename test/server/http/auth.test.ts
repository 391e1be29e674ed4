// Why: what one address may do before anybody knows who it is, and what a browser may read, over real requests.

import { describe, expect, test } from "bun:test";
import type { BundleEntry, TenantIssuer } from "@nexus/protocol/bundle.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { providerKey } from "../../support/jwks.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const KEY = "key-of-acme";
const PROXIED = { NEXUS_HTTP_TRUSTED_PROXIES: "127.0.0.0/8, ::1" };
type Limits = Parameters<typeof clusterEntry>[0];

const entries = (
  limits: NonNullable<Limits>["limits"] = {},
  issuers: readonly TenantIssuer[] = [secretIssuer(TOKEN_SECRET)],
): BundleEntry[] => [
  clusterEntry({ limits: { upgradesPerMinutePerAddress: 0, ...limits } }),
  tenantEntry("acme", { api_keys: [apiKey("backend", KEY)], issuers: [...issuers] }),
  tenantEntry("picky", { api_keys: [apiKey("backend", "key-of-picky")], allowed_origins: ["https://App.example"] }),
];

/** One request from `address`, as a trusted proxy would pass it on. */
const from = (real: RealServer, key = "") => {
  const rest = restOf(real.url, key);
  return (address: string, method: string, path: string, headers: Readonly<Record<string, string>> = {}) =>
    rest(method, path, { headers: { ...headers, "x-forwarded-for": address } });
};
const CHANNELS = "/api/v1/channels";
const TICKETS = "/api/v1/tickets";

describe("requests without a key", () => {
  test("are limited per address, over all of them together, and say when to come back", async () => {
    await using real = await startRealServer({ entries: entries({ requestsPerSecond: 1, requestBurst: 4 }), env: PROXIED });
    const ask = from(real);
    const seen = [
      await ask("203.0.113.7", "GET", "/health"),
      await ask("203.0.113.7", "GET", "/openapi.json"),
      await ask("203.0.113.7", "POST", TICKETS, { authorization: `Bearer ${await token("ann")}` }),
      await ask("203.0.113.7", "GET", "/health"),
    ];
    expect(seen.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    for (const [method, path] of [
      ["GET", "/health"],
      ["GET", "/openapi.json"],
      ["POST", TICKETS],
    ] as const) {
      // On a slow machine one a second goes through.
      const refused = await eventually("it is refused", async () => {
        const answer = await ask("203.0.113.7", method, path);
        return answer.status === 429 && answer;
      });
      expectProblem(refused, "rate_limited");
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(refused.body).toMatchObject({ retry_after_seconds: Number(refused.headers.get("retry-after")) });
    }
    expect((await ask("203.0.113.8", "GET", "/health")).status).toBe(200);
  });

  test("say which header a key goes into when it was put into the usual one", async () => {
    await using real = await startRealServer({ entries: entries(), env: PROXIED });
    const refused = await from(real)("203.0.113.7", "GET", CHANNELS, { authorization: `Bearer ${KEY}` });
    expectProblem(refused, "unauthorized");
    expect(refused.body.detail).toStartWith("X-API-Key is missing; Authorization is for tokens of people");
  });

  test("of one IPv6 network count together; a key from there is not held up", async () => {
    await using real = await startRealServer({ entries: entries({ requestsPerSecond: 1, requestBurst: 2 }), env: PROXIED });
    const ask = from(real);
    expect((await ask("2001:db8::1", "GET", "/health")).status).toBe(200);
    expect((await ask("2001:db8::2", "GET", "/health")).status).toBe(200);
    expect((await ask("2001:db8::3", "GET", "/health")).status).toBe(429);
    expect((await ask("2001:db8:0:1::1", "GET", "/health")).status).toBe(200);
    expect((await from(real, KEY)("2001:db8::3", "GET", CHANNELS)).status).toBe(200);
  });

  test("come from the peer where no proxy is trusted, whatever a header says", async () => {
    await using real = await startRealServer({ entries: entries({ requestsPerSecond: 1, requestBurst: 2 }) });
    const ask = from(real);
    const seen = [];
    for (const address of ["203.0.113.1", "203.0.113.2", "203.0.113.3"]) seen.push((await ask(address, "GET", "/health")).status);
    expect(seen).toEqual([200, 200, 429]);
  });

  test("have no limit where requests have none", async () => {
    await using real = await startRealServer({ entries: entries({ requestsPerSecond: 0, requestBurst: 1 }) });
    const ask = from(real);
    for (let at = 0; at < 50; at++) expect((await ask("203.0.113.7", "GET", "/health")).status).toBe(200);
  });
});

describe("failed attempts", () => {
  test("of keys, tokens and tickets share a limit; good credentials from the same address are let in", async () => {
    await using real = await startRealServer({ entries: entries(), env: PROXIED });
    const address = "203.0.113.7";
    const wrongKey = from(real, "wrong");
    const noKey = from(real);
    const attempts = [
      () => wrongKey(address, "GET", CHANNELS),
      () => noKey(address, "POST", TICKETS, { authorization: "Bearer wrong" }),
      () => noKey(address, "GET", "/sse?ticket=wrong"),
      () => noKey(address, "GET", "/sse?token=wrong"),
    ];
    for (let at = 0; at < 20; at++) expect((await attempts[at % attempts.length]?.())?.status).toBe(401);
    for (const attempt of attempts) {
      const refused = await attempt();
      expectProblem(refused, "rate_limited");
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect((await from(real, KEY)(address, "GET", CHANNELS)).status).toBe(200);
    expect((await noKey(address, "POST", TICKETS, { authorization: `Bearer ${await token("ann")}` })).status).toBe(200);
    expect((await wrongKey("203.0.113.8", "GET", CHANNELS)).status).toBe(401);
  });
});

test("connection attempts over /ws and /sse share one limit per address", async () => {
  await using real = await startRealServer({ entries: entries({ upgradesPerMinutePerAddress: 3 }), env: PROXIED });
  const ask = from(real);
  const upgrade = {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
  expect((await ask("203.0.113.7", "GET", "/sse?token=wrong")).status).toBe(401);
  expect((await ask("203.0.113.7", "GET", "/ws?token=wrong", upgrade)).status).toBe(401);
  expect((await ask("203.0.113.7", "GET", "/sse?token=wrong")).status).toBe(401);
  for (const path of ["/sse?token=wrong", "/ws?token=wrong"]) {
    const refused = await ask("203.0.113.7", "GET", path, upgrade);
    expectProblem(refused, "rate_limited");
    expect(refused.headers.get("retry-after")).toBe("60");
  }
  expect((await ask("203.0.113.8", "GET", "/sse?token=wrong")).status).toBe(401);
});

describe("an issuer whose keys cannot be had", () => {
  const jwks: TenantIssuer = {
    ...{ name: "idp", audiences: [], algorithms: ["ES256"], clock_skew_seconds: 0 },
    key: { type: "jwks", url: "https://127.0.0.1:1/keys" },
  };

  test.each([
    ["refused_address", false],
    ["connect", true],
  ])("is 503 and Retry-After on every edge, told once in the log, and counted as %s", async (outcome, jwksPrivateNetworks) => {
    await using real = await startRealServer({ entries: entries({ jwksPrivateNetworks }, [jwks]), env: PROXIED });
    const good = await providerKey("a").sign({ sub: "ann", tenant_id: "acme", exp: Math.floor(Date.now() / 1000) + 60 });
    const ask = from(real);
    for (let at = 0; at < 10; at++) {
      for (const [method, path] of [
        ["POST", TICKETS],
        ["GET", "/sse"],
      ] as const) {
        const answer = await ask("203.0.113.7", method, path, { authorization: `Bearer ${good}` });
        expectProblem(answer, "issuer_unavailable");
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      }
    }
    expect(real.lines.filter(({ event }) => event === "jwks.failed")).toMatchObject([{ level: "warn", host: "127.0.0.1:1", outcome }]);
    const metrics = await (await fetch(`${real.opsUrl}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`nexus_jwks_fetches_total\\{outcome="${outcome}"\\} [1-3]\\n`));
    expect(metrics).toMatch(/nexus_jwks_outage_seconds [0-9.e-]+\n/);
    expect(metrics).not.toMatch(/nexus_jwks_outage_seconds 0\n/);
  });
});

describe("browsers", () => {
  test("may ask first, without a key, for every header the contract knows", async () => {
    await using real = await startRealServer({ entries: entries() });
    for (const [path, method] of [
      ["/api/v1/notifications/send", "POST"],
      [TICKETS, "POST"],
      ["/sse", "GET"],
      ["/api/v1/templates/x", "DELETE"],
    ] as const) {
      const answer = await fetch(`${real.url}${path}`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": method, "access-control-request-headers": "x-api-key" },
      });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
      expect(answer.headers.get("access-control-allow-methods")?.split(", ")).toContain(method);
      const allowed = answer.headers.get("access-control-allow-headers")?.toLowerCase().split(", ");
      for (const header of [
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
        "traceparent",
        "x-api-key",
        "x-tenant-id",
      ]) {
        expect(allowed).toContain(header);
      }
    }
  });

  test("read answers of a tenant with origins from those only, however they are written", async () => {
    await using real = await startRealServer({ entries: entries() });
    const allowedFor = async (origin: string, key = "key-of-picky") => {
      const { headers } = await restOf(real.url, key)("GET", CHANNELS, { headers: { origin } });
      return [headers.get("access-control-allow-origin"), headers.get("vary")];
    };
    expect(await allowedFor("https://app.EXAMPLE")).toEqual(["https://app.EXAMPLE", "Origin"]);
    expect(await allowedFor("https://evil.example")).toEqual([null, "Origin"]);
    expect(await allowedFor("https://evil.example", KEY)).toEqual(["*", null]);
  });
});
