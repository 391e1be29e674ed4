// Why: whatever a stranger sends is answered as the stranger's mistake, for every operation of the contract: never a 5xx,
// never a line about a failure of ours, never the refused value in the answer, and nothing stays behind.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import fc from "fast-check";
import { apiKey, clusterEntry, platformKey, secretIssuer, templateEntry, tenantEntry } from "../support/bundle-entries.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { CANARY, junk, mutated } from "../support/mutate.ts";
import { type RealServer, startRealServer } from "../support/real-server.ts";
import { TOKEN_SECRET, token } from "../support/rest.ts";

const KEY = "key-of-acme";
const PLATFORM = "key-of-the-platform";
const content = { event_type: "test", payload: { n: 1 }, priority: "High", ttl: 60, metadata: { a: "b" } };
const byTemplate = { template_id: "welcome", variables: { name: "Ann" }, locale: "de-CH" };
const variables = [{ name: "name", type: "string", required: false }];
const template = { id: "mine", event_type: "test", payload_template: { text: "{{name}}" }, variables, default_ttl: 60 };
const liquid = { ...template, id: "other", engine: "Liquid", payload_template: { text: "{% for a in b %}{{a | upcase}}{% endfor %}" } };

/** Bodies that are taken, by operation; garbage starts from them. */
const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  "POST /api/v1/notifications/send": [
    { target_user_id: "ann", ...content },
    { target_user_id: "ann", ...byTemplate },
  ],
  "POST /api/v1/notifications/send-to-users": [{ target_user_ids: ["ann", "bob"], ...content }],
  "POST /api/v1/notifications/broadcast": [{ audience: { type: "Roles", value: ["admin"] }, ...content }],
  "POST /api/v1/notifications/channel": [{ channel: "news", ...content, correlation_id: "c" }],
  "POST /api/v1/notifications/channels": [{ channels: ["news", "sports"], ...content }],
  "POST /api/v1/notifications/batch": [
    {
      notifications: [
        { target: { type: "user", value: "ann" }, ...content },
        { target: { type: "channels", value: ["news"] }, ...byTemplate },
        { target: { type: "broadcast" }, ...content },
      ],
      options: { stop_on_error: true, deduplicate: true },
    },
  ],
  "POST /api/v1/templates": [template, liquid],
  "PUT /api/v1/templates/{id}": [template],
  "POST /api/v1/templates/{id}/preview": [{ variables: { name: "Ann" }, locale: "de" }],
};

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("welcome", "ann", "news", "acme", "..", "%", "%zz", "%00", "%ed%a0%80", "a/b", "1", "*", `${CANARY}`, CANARY.repeat(50)),
);
/** Lone surrogates have no form in an address: what cannot be written is sent as a bad escape. */
const escaped = (value: string): string => {
  try {
    return encodeURIComponent(value);
  } catch {
    return "%ed%a0%80";
  }
};
const segment = fc.oneof(text.map(escaped), fc.constantFrom("%", "%zz", "%C0%AF", "%ed%a0%80"));
const query = fc
  .array(fc.tuple(fc.oneof(fc.constantFrom("limit", "before", "user_id", "unread_only", "token", "page", "status"), text), text), {
    maxLength: 4,
  })
  .map((pairs) => pairs.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join("&"));
const headerText = fc.string({ maxLength: 40 }).map((value) => value.replace(/[^\x20-\x7e]/g, "?"));
const raw = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => bytes.slice().buffer),
  fc.constantFrom("{", '{"a":', "nul", `"${CANARY}`, "[".repeat(100_000), "{}{}", "\ufeff{}", '{"__proto__":{"isAdmin":true}}'),
);

let real: RealServer;
let jwt: string;
beforeAll(async () => {
  real = await startRealServer({
    entries: [
      clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 }, platform_keys: [platformKey("root", PLATFORM)] }),
      tenantEntry("acme", { api_keys: [apiKey("backend", KEY)], issuers: [secretIssuer(TOKEN_SECRET)] }),
      templateEntry("acme", "welcome", { variables: [{ name: "name", type: "string", required: true }] }),
    ],
  });
  jwt = await token("ann");
});
afterAll(() => real[Symbol.asyncDispose]()); // throws when a line at level error was logged

type Asked = {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

async function ask({ method, path, body, headers = {} }: Asked): Promise<void> {
  const answer = await fetch(`${real.url}${path}`, {
    method,
    headers: { "x-api-key": KEY, authorization: `Bearer ${jwt}`, "content-type": "application/json", ...headers },
    ...(body === undefined || method === "GET" ? {} : { body: body as string }), // text or bytes, by the generators below
    signal: AbortSignal.timeout(10_000),
  });
  const said = await answer.text();
  expect(answer.status).toBeLessThan(500);
  if (answer.status < 400) return;
  expect(JSON.parse(said)).toMatchObject({ status: answer.status, error: { code: expect.any(String) } });
  expect(said).not.toContain(CANARY);
}

const timeoutMs = fuzzTimeoutMs(30);
const per = { stepsPerRun: OPERATIONS.length };

test("what garbage is made from is good", async () => {
  for (const [name, bodies] of Object.entries(GOOD)) {
    const [method = "", path = ""] = name.split(" ");
    for (const body of bodies) {
      const made = method === "PUT" ? "mine" : "welcome";
      const answer = await fetch(`${real.url}${path.replace("{id}", made)}`, {
        method,
        headers: { "x-api-key": KEY, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      // 409: of the templates, the first stays.
      expect([200, 201, 409], `${name}: ${await answer.text()}`).toContain(answer.status);
    }
  }
});

describe("garbage", () => {
  test(
    "in a body that was nearly right, for every operation that takes one",
    async () => {
      const withBody = OPERATIONS.filter((operation) => "body" in operation);
      for (const { method, path } of withBody) expect(GOOD[`${method} ${path}`], `a good body of ${method} ${path}`).toBeDefined();
      const one = fc.constantFrom(...withBody).chain(({ method, path }) =>
        fc.record({
          method: fc.constant(method),
          path: fc.constant(path.replace("{id}", "welcome")),
          body: fc.oneof(
            {
              weight: 4,
              arbitrary: fc
                .constantFrom(...(GOOD[`${method} ${path}`] ?? []))
                .chain(mutated)
                .map((value) => JSON.stringify(value)),
            },
            { weight: 1, arbitrary: raw },
            { weight: 1, arbitrary: junk.map((value) => JSON.stringify(value)) },
          ),
        }),
      );
      await fc.assert(fc.asyncProperty(one, ask), fuzzSettings());
    },
    timeoutMs,
  );

  test(
    "in paths and queries, for every operation",
    async () => {
      const all = fc.tuple(...OPERATIONS.map(() => fc.tuple(segment, query)));
      const run = async (asked: readonly (readonly [string, string])[]) => {
        for (const [at, { method, path }] of OPERATIONS.entries()) {
          const [part, search] = asked[at] ?? ["", ""];
          await ask({ method, path: `${path.replace(/\{\w+\}/g, part)}?${search}`, body: "{}" });
        }
      };
      await fc.assert(fc.asyncProperty(all, run), fuzzSettings(per.stepsPerRun));
    },
    timeoutMs,
  );

  test(
    "in headers",
    async () => {
      const headers = fc.record(
        {
          "x-api-key": headerText,
          authorization: fc.oneof(
            headerText,
            headerText.map((value) => `Bearer ${value}`),
          ),
          "x-tenant-id": headerText,
          "idempotency-key": fc.oneof(headerText, fc.constant(CANARY.repeat(100))),
          "content-type": fc.oneof(fc.constant("application/json; charset=latin1"), headerText),
          "content-encoding": fc.constantFrom("gzip", "zstd", "identity", CANARY),
          "x-request-id": headerText,
          "x-forwarded-for": fc.oneof(
            headerText,
            fc.constantFrom("::1", "1.2.3.4, ::ffff:1.2.3.4", ",,,", "999.1.1.1", "[::1]:80", "unknown"),
          ),
          "if-unmodified-since": headerText,
          "accept-language": headerText,
        },
        { requiredKeys: [] },
      );
      const one = fc.record({
        method: fc.constant("POST"),
        path: fc.constantFrom("/api/v1/notifications/send", "/api/v1/templates/welcome/preview", "/api/v1/tickets", "/nowhere"),
        body: fc.constant(JSON.stringify({ target_user_id: "ann", ...content })),
        headers,
      });
      const acts = fc.record({ asked: one, asPlatform: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(acts, ({ asked, asPlatform }) =>
          ask(asPlatform ? { ...asked, headers: { ...asked.headers, "x-api-key": PLATFORM } } : asked),
        ),
        fuzzSettings(),
      );
    },
    timeoutMs,
  );

  test("left nothing behind", () => {
    const { sessions } = real.server.node;
    expect([sessions.count(), sessions.users(), sessions.channels()]).toEqual([0, 0, 0]);
    expect(sessions.load()).toEqual({ subscriptions: 0, queuedBytes: 0, slowSessions: 0 });
    expect(real.server.live.counts()).toEqual({ tenants: 1, templates: 1, rejected: 0 });
  });
});
