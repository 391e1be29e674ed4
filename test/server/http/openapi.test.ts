// Why: the document is what other people generate clients from. It has to be OpenAPI by the judgement of tools nobody here
// wrote, and to say what the server does: no route too few, none too many, no answer it does not describe.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LISTEN_ENDPOINTS, OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { type Contract, contractOf, type Document } from "../../support/openapi.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";

const KEY = "key-of-acme";
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 50, requestBurst: 500 } }),
  tenantEntry("acme", {
    api_keys: [apiKey("backend", KEY), apiKey("reader", "key-that-reads", ["read"])],
    issuers: [secretIssuer("a secret of some length")],
  }),
];

let real: RealServer;
let text: string;
let document: Document;
let contract: Contract;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  text = await (await fetch(`${real.url}/openapi.json`)).text();
  document = JSON.parse(text) as Document; // the validator below judges what it is
  contract = contractOf(document);
});
afterAll(() => real[Symbol.asyncDispose]());

/** `GET /api/v1/channels/{name}` for every operation of the document. */
const described = () =>
  Object.entries(document.paths).flatMap(([path, item]) => Object.keys(item).map((verb) => `${verb.toUpperCase()} ${path}`));

describe("the document", () => {
  test("is OpenAPI 3.1 by its JSON Schema", async () => {
    expect(document.openapi).toStartWith("3.1.");
    expect(await new Validator().validate(JSON.parse(text))).toEqual({ valid: true });
  });

  test("has nothing to complain about for a strict linter", async () => {
    const config = await createConfig({ extends: ["recommended-strict"] });
    const found = await lintFromString({ source: text, absoluteRef: "openapi.json", config });
    // A socket opens with 101, which the rule does not know.
    const problems = found.filter(
      ({ ruleId, location }) => !(ruleId === "operation-2xx-response" && location[0]?.pointer === "#/paths/~1ws/get/responses"),
    );
    expect(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer})`)).toEqual([]);
  });

  test("describes every route of the contract, and no other", () => {
    const declared = [...OPERATIONS, ...LISTEN_ENDPOINTS].map(({ method, path }) => `${method} ${path}`);
    expect(described().sort()).toEqual([...declared].sort());
  });

  test("names the methods the server says each path has", async () => {
    for (const [path, item] of Object.entries(document.paths).filter(([path]) => path !== "/ws")) {
      const answer = await fetch(`${real.url}${path.replace(/\{\w+\}/g, "1")}`, { method: "OPTIONS" });
      const allowed = (answer.headers.get("allow") ?? "").split(", ").filter((method) => !["HEAD", "OPTIONS"].includes(method));
      const promised = Object.keys(item).map((verb) => verb.toUpperCase());
      expect({ path, allowed: allowed.sort() }).toEqual({ path, allowed: promised.sort() });
    }
  });

  test("a path is not taken for a value in another one's braces", async () => {
    const headers = { "x-api-key": KEY };
    const answer = await fetch(`${real.url}/api/v1/notifications/send`, { headers });
    expect({ status: answer.status, allow: answer.headers.get("allow") }).toEqual({ status: 405, allow: "POST, OPTIONS" });
    expect((await fetch(`${real.url}/api/v1/notifications/send`, { method: "HEAD", headers })).status).toBe(405);
  });

  test("describes the answer of every operation to a caller without a key", async () => {
    for (const route of described()) {
      const [method = "", path = ""] = route.split(" ");
      const response = await fetch(`${real.url}${path.replace(/\{\w+\}/g, "1")}`, { method });
      expect({ route, failed: response.status === 500 }).toEqual({ route, failed: false });
      expect({ route, problems: await contract.problemsOf({ method, path, response }) }).toEqual({ route, problems: [] });
    }
  });

  test("holds no trace of how the schemas were written", () => {
    expect(text).not.toContain("TypeBox");
    expect(text).not.toContain('"$id"');
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(["Audience", "Priority", "Problem", "PublishResult"]));
  });
});

describe("real answers are what the document promises", () => {
  const event = { event_type: "greeting", payload: { text: "hi" } };
  const calls: readonly (readonly [string, string, string, RequestInit, number])[] = [
    ["a send", "POST", "/api/v1/notifications/send", { body: JSON.stringify({ target_user_id: "ada", ...event }) }, 200],
    ["a channel", "POST", "/api/v1/notifications/channel", { body: JSON.stringify({ channel: "news", ...event }) }, 200],
    ["a broadcast", "POST", "/api/v1/notifications/broadcast", { body: JSON.stringify(event) }, 200],
    ["no JSON", "POST", "/api/v1/notifications/send", { body: "{" }, 400],
    ["a key without the right", "POST", "/api/v1/notifications/send", { body: "{}", headers: { "x-api-key": "key-that-reads" } }, 403],
    ["too much", "POST", "/api/v1/notifications/send", { body: " ".repeat(70_000) }, 413],
    ["another type", "POST", "/api/v1/notifications/send", { body: "{}", headers: { "content-type": "text/plain" } }, 415],
    ["a wrong shape", "POST", "/api/v1/notifications/channel", { body: JSON.stringify({ channel: 7 }) }, 422],
    ["health", "GET", "/health", {}, 200],
    ["the document", "GET", "/openapi.json", {}, 200],
  ];
  test.each(calls)("%s", async (_what, method, path, { body = null, headers = {} }, status) => {
    const sent = { "content-type": "application/json", "x-api-key": KEY, ...headers };
    const response = await fetch(`${real.url}${path}`, { method, body, headers: sent });
    expect(response.status).toBe(status);
    expect(await contract.problemsOf({ method, path, response })).toEqual([]);
  });
});

describe("how it is served", () => {
  test("needs no key, is fresh for a while, and is not sent twice to those who have it", async () => {
    const first = await fetch(`${real.url}/openapi.json`);
    const etag = first.headers.get("etag") ?? "";
    expect(first.headers.get("content-type")).toBe("application/json");
    expect(first.headers.get("cache-control")).toBe("public, max-age=300");
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await fetch(`${real.url}/openapi.json`, { headers: { "if-none-match": known } });
      expect({ known, status: again.status, body: await again.text(), etag: again.headers.get("etag") }).toEqual({
        ...{ known, status: 304, body: "", etag },
      });
    }
    expect((await fetch(`${real.url}/openapi.json`, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  test("two servers of one version serve the same bytes", async () => {
    await using other = await startRealServer({ entries: ENTRIES });
    expect(await (await fetch(`${other.url}/openapi.json`)).text()).toBe(text);
  });
});
