// Why: the REST contract as a backend meets it: real requests against the real server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FAILURES, type FailureCode } from "@nexus/protocol/failures.ts";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { apiKey, clusterEntry, platformKey, secretIssuer, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";

const KEY = "key-of-acme";
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, bodyBytes: 2048 }, platform_keys: [platformKey("root", "platform-key")] }),
  tenantEntry("default"),
  tenantEntry("acme", {
    api_keys: [apiKey("backend", KEY), apiKey("reader", "key-that-reads", ["read"])],
    issuers: [secretIssuer("a secret of some length")],
  }),
  tenantEntry("shut", { suspended: true, api_keys: [apiKey("backend", "key-of-shut")] }),
  tenantEntry("picky", { api_keys: [apiKey("backend", "key-of-picky")], allowed_origins: ["https://app.example"] }),
  templateEntry("acme", "welcome", { variables: [{ name: "name", type: "string", required: true }] }),
];

let real: RealServer;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
});
afterAll(() => real[Symbol.asyncDispose]());

type Sent = { readonly headers?: Record<string, string>; readonly body?: unknown; readonly raw?: string | Blob; readonly method?: string };

async function call(path: string, { headers = {}, body, raw, method = "POST" }: Sent = {}) {
  const text = raw ?? (body === undefined ? null : JSON.stringify(body));
  const answer = await fetch(`${real.url}${path}`, {
    method,
    headers: { "content-type": "application/json", "x-api-key": KEY, ...headers },
    ...(method === "GET" || text === null ? {} : { body: text }),
  });
  const content = await answer.text();
  // Every answer of this port is a JSON object.
  return { status: answer.status, headers: answer.headers, body: (content === "" ? {} : JSON.parse(content)) as Record<string, unknown> };
}
const SEND = "/api/v1/notifications/send";
const good = { target_user_id: "ada", event_type: "greeting", payload: { text: "hi" } };

function expectProblem(answer: Awaited<ReturnType<typeof call>>, code: FailureCode) {
  const { status, wire, title } = FAILURES[code];
  expect(answer.body).toMatchObject({ type: `urn:nexus:problem:${code}`, code, status, title, error: { code: wire } });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
}

describe("publishing", () => {
  test("send answers in Ara's shape and says that the inbox keeps it", async () => {
    const { status, body } = await call(SEND, { body: good });
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(["delivered_to", "failed", "notification_id", "queued", "success", "timestamp"]);
    expect(body).toMatchObject({ success: false, delivered_to: 0, failed: 0, queued: true });
    expect(body.notification_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
    expect(body.timestamp).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  test("channel repeats the channel, broadcast takes an audience", async () => {
    expect((await call("/api/v1/notifications/channel", { body: { channel: "news", ...good } })).body).toMatchObject({ channel: "news" });
    const audience = { type: "Roles", value: ["admin"] };
    expect((await call("/api/v1/notifications/broadcast", { body: { ...good, audience } })).status).toBe(200);
  });

  test("null is a payload, unknown members are ignored, a charset is fine", async () => {
    const sent = { body: { ...good, payload: null, whatever: 1 }, headers: { "content-type": "application/json; charset=UTF-8" } };
    expect((await call(SEND, sent)).status).toBe(200);
  });

  test("a template wins over content", async () => {
    const body = { ...good, template_id: "welcome", variables: { name: "Ada" } };
    expect((await call(SEND, { body })).status).toBe(200);
    const unknown = await call(SEND, { body: { ...body, template_id: "none" } });
    expectProblem(unknown, "unknown_template");
    expect(unknown.body.errors).toEqual([{ pointer: "/template_id", detail: "names no template of the tenant" }]);
    const missing = await call(SEND, { body: { ...body, variables: {} } });
    expectProblem(missing, "validation_error");
    expect(missing.body.errors).toEqual([{ pointer: "/variables/name", detail: "is required by the template" }]);
  });

  test("the same Idempotency-Key answers the same, another body is refused", async () => {
    const headers = { "idempotency-key": "order-1" };
    const first = await call(SEND, { body: good, headers });
    const again = await call(SEND, { body: good, headers });
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
    expectProblem(await call(SEND, { body: { ...good, payload: 2 }, headers }), "idempotency_conflict");
    expectProblem(await call(SEND, { body: good, headers: { "idempotency-key": "x".repeat(256) } }), "invalid_header");
  });
});

describe("keys", () => {
  const refusals: readonly (readonly [string, Record<string, string>, FailureCode])[] = [
    ["no key", { "x-api-key": "" }, "unauthorized"],
    ["an unknown key", { "x-api-key": "nope" }, "unauthorized"],
    ["another tenant than the key's", { "x-tenant-id": "other" }, "tenant_access_denied"],
    ["a key without the scope", { "x-api-key": "key-that-reads" }, "forbidden"],
    ["a suspended tenant", { "x-api-key": "key-of-shut" }, "tenant_suspended"],
    ["a malformed tenant id", { "x-api-key": "platform-key", "x-tenant-id": "no spaces" }, "invalid_header"],
    ["a tenant nobody declared", { "x-api-key": "platform-key", "x-tenant-id": "ghost" }, "not_found"],
  ];
  test.each(refusals)("refuses %s", async (_, headers, code) => {
    expectProblem(await call(SEND, { body: good, headers }), code);
  });

  test("a 401 says what would be accepted", async () => {
    expect((await call(SEND, { body: good, headers: { "x-api-key": "nope" } })).headers.get("www-authenticate")).toContain("ApiKey");
  });

  test("a tenant key may repeat its tenant; a platform key acts for any, or for default", async () => {
    expect((await call(SEND, { body: good, headers: { "x-tenant-id": "acme" } })).status).toBe(200);
    expect((await call(SEND, { body: good, headers: { "x-api-key": "platform-key", "x-tenant-id": "acme" } })).status).toBe(200);
    expect((await call(SEND, { body: good, headers: { "x-api-key": "platform-key" } })).status).toBe(200);
  });
});

describe("bodies", () => {
  test("are refused by type, encoding, size, JSON, depth and shape, in that order", async () => {
    const type = { "content-type": "text/plain" };
    expectProblem(await call(SEND, { raw: "x".repeat(4096), headers: type }), "unsupported_media_type");
    expectProblem(await call(SEND, { body: good, headers: { "content-encoding": "gzip" } }), "unsupported_media_type");
    expectProblem(
      await call(SEND, { body: good, headers: { "content-type": "application/json; charset=latin1" } }),
      "unsupported_media_type",
    );
    expectProblem(await call(SEND, { raw: "x".repeat(2049) }), "payload_too_large");
    expectProblem(await call(SEND, { raw: "{" }), "invalid_json");
    const empty = await call(SEND, { raw: "" });
    expectProblem(empty, "invalid_json");
    expect(empty.body.detail).toBe("The body is empty");
    expectProblem(await call(SEND, { raw: `${"[".repeat(65)}${"]".repeat(65)}` }), "validation_error");
    expectProblem(await call(SEND, { raw: "[]" }), "validation_error");
  });

  test("that come in chunks are held to the same limit", async () => {
    const chunks = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(1024).fill(0x20));
      },
    });
    const answer = await fetch(`${real.url}${SEND}`, {
      method: "POST",
      body: chunks,
      headers: { "content-type": "application/json", "x-api-key": KEY },
    });
    expect(answer.status).toBe(413);
  });

  test("pointers name every wrong member and never its value", async () => {
    const secret = "do-not-show";
    const body = { target_user_id: 7, event_type: secret.repeat(40), payload: {}, priority: secret, ttl: -1, variables: [secret] };
    const answer = await call(SEND, { body });
    expectProblem(answer, "validation_error");
    const errors = answer.body.errors as { pointer: string }[]; // the shape of every problem of this port
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual(["/event_type", "/priority", "/target_user_id", "/ttl", "/variables"]);
    expect(JSON.stringify(answer.body)).not.toContain(secret);
  });

  test("missing content and illegal targets are named", async () => {
    const without = await call(SEND, { body: { target_user_id: "ada" } });
    expectProblem(without, "validation_error");
    expect(without.body.errors).toMatchObject([{ pointer: "/event_type" }]);
    expectProblem(await call("/api/v1/notifications/channel", { body: { ...good, channel: "no spaces" } }), "validation_error");
  });
});

describe("every path", () => {
  const filled = (path: string) => path.replace(/\{\w+\}/g, "x1");
  test.each(OPERATIONS.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    "%s is routed",
    async (_, { method, path, auth }) => {
      const token = await sessionToken();
      const headers = { "x-api-key": "platform-key", ...(auth === "session" ? { authorization: `Bearer ${token}` } : {}) };
      const answer = await call(filled(path), { method, body: {}, headers });
      expect([200, 201, 204, 404, 422]).toContain(answer.status);
      if (auth === "public") return;
      const nobody = await call(filled(path), { method, body: {}, headers: { "x-api-key": "nobody", "x-forwarded-for": path } });
      expect([401, 429]).toContain(nobody.status);
    },
  );

  test("an unknown path is 404, a wrong method 405 with Allow, HEAD and OPTIONS are answered", async () => {
    expectProblem(await call("/api/v1/nothing", { method: "GET" }), "not_found");
    const wrong = await call("/api/v1/templates", { method: "DELETE" });
    expectProblem(wrong, "method_not_allowed");
    expect(wrong.headers.get("allow")).toBe("POST, GET, HEAD, OPTIONS");
    const head = await call("/health", { method: "HEAD" });
    expect([head.status, head.body]).toEqual([200, {}]);
    expect((await call("/stats", { method: "OPTIONS" })).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  });

  test("a host of three letters finds its way", async () => {
    for (const host of ["nx", "api", "a", "abc:80"]) {
      expect((await call(SEND, { body: good, headers: { host } })).status).toBe(200);
    }
  });

  test("health is public and counts", async () => {
    const { status, body } = await call("/health", { method: "GET", headers: { "x-api-key": "" } });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: "healthy",
      redis: { status: "disabled", connected: false },
      connections: { total: 0, unique_users: 0, channels_count: 0 },
      queue: { enabled: true, backend: "memory" },
      cluster: { enabled: false, server_id: expect.any(String) },
    });
    expect(Object.keys(body)).toContain("uptime_seconds");
  });
});

describe("headers", () => {
  test("X-Request-ID is taken when it is legal, made when not", async () => {
    expect((await call(SEND, { body: good, headers: { "x-request-id": "abc-1" } })).headers.get("x-request-id")).toBe("abc-1");
    const { headers } = await call(SEND, { body: good, headers: { "x-request-id": "x".repeat(129) } });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("anyone may read answers of a tenant without origins, only the named ones of a tenant with", async () => {
    const origin = async (key: string, from: string) => {
      const { headers } = await call(SEND, { body: good, headers: { "x-api-key": key, origin: from } });
      return [headers.get("access-control-allow-origin"), headers.get("vary")];
    };
    expect(await origin(KEY, "https://any.example")).toEqual(["*", null]);
    expect(await origin("key-of-picky", "https://app.example")).toEqual(["https://app.example", "Origin"]);
    expect(await origin("key-of-picky", "https://evil.example")).toEqual([null, "Origin"]);
  });

  test("a preflight needs no key", async () => {
    const headers = { "x-api-key": "", origin: "https://any.example", "access-control-request-method": "POST" };
    const answer = await call(SEND, { method: "OPTIONS", headers });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
    expect(answer.headers.get("access-control-allow-headers")).toContain("X-API-Key");
  });

  test("limits show what is left and refuse with Retry-After", async () => {
    await using limited = await startRealServer({
      entries: [
        clusterEntry({ limits: { requestsPerSecond: 1, requestBurst: 2 } }),
        tenantEntry("acme", { api_keys: [apiKey("backend", KEY)] }),
      ],
    });
    const send = () =>
      fetch(`${limited.url}${SEND}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": KEY },
        body: JSON.stringify(good),
      });
    const first = await send();
    expect([first.status, first.headers.get("x-ratelimit-limit"), first.headers.get("x-ratelimit-remaining")]).toEqual([200, "1", "1"]);
    expect(Number(first.headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now());
    await send();
    const third = await send();
    expect([third.status, third.headers.get("retry-after"), third.headers.get("x-ratelimit-remaining")]).toEqual([429, "1", "0"]);
    expect(await third.json()).toMatchObject({ code: "rate_limited", retry_after_seconds: 1, error: { code: "RATE_LIMITED" } });
  });

  test("an address that keeps failing is told to wait, and its good keys still work", async () => {
    await using fresh = await startRealServer({ entries: [clusterEntry(), tenantEntry("acme", { api_keys: [apiKey("backend", KEY)] })] });
    const send = (key: string) =>
      fetch(`${fresh.url}${SEND}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify(good),
      });
    const statuses: number[] = [];
    for (let i = 0; i < 25; i++) statuses.push((await send("wrong")).status);
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
    expect((await send(KEY)).status).toBe(200);
  });

  test("with tenancy Single header and key all mean default", async () => {
    await using single = await startRealServer({
      entries: [clusterEntry({ tenancy: "Single", platform_keys: [platformKey("root", "platform-key")] }), tenantEntry("default")],
    });
    const answer = await fetch(`${single.url}${SEND}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": "platform-key", "x-tenant-id": "not a legal id" },
      body: JSON.stringify(good),
    });
    expect(answer.status).toBe(200);
  });
});

async function sessionToken(): Promise<string> {
  const { SignJWT } = await import("jose");
  const secret = new TextEncoder().encode("a secret of some length");
  return new SignJWT({ tenant_id: "acme" }).setProtectedHeader({ alg: "HS256" }).setSubject("ada").setExpirationTime("5m").sign(secret);
}
