// Why: writes that are no publishes are done once per key too: over real requests, and against a handler that stalls or
// fails where a real one cannot be made to.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Operation } from "@nexus/protocol/rest/operation.ts";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import { type Answer, isRefusal } from "@nexus/server/http/call.ts";
import { isRecorded, once } from "@nexus/server/http/idempotency.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const TEMPLATES = "/api/v1/templates";
const template = (id: string, more: object = {}) => ({ id, name: id, event_type: "e", payload_template: { text: "hi" }, ...more });
const withKey = (key: string) => ({ "idempotency-key": key });
const replayedOf = ({ headers }: { headers: Headers }) => headers.get("idempotency-replayed");

describe("over real requests", () => {
  let real: RealServer;
  let rest: Rest;
  beforeAll(async () => {
    const issuers = [secretIssuer(TOKEN_SECRET)];
    real = await startRealServer({
      entries: [
        clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, bodyBytes: 4096 } }),
        tenantEntry("acme", { issuers, api_keys: [apiKey("all", "key")] }),
        tenantEntry("other", { issuers, api_keys: [apiKey("all", "key-of-other")] }),
      ],
    });
    rest = restOf(real.url, "key");
  });
  afterAll(() => real[Symbol.asyncDispose]());

  const create = (id: string, key: string, more: object = {}) =>
    rest("POST", TEMPLATES, { body: template(id, more), headers: withKey(key), shape: TEMPLATES });

  test("a template is created once and answered twice", async () => {
    const first = await create("one", "create-one");
    const again = await create("one", "create-one");
    expect([first.status, replayedOf(first)]).toEqual([201, null]);
    expect([again.status, replayedOf(again), again.body]).toEqual([201, "true", first.body]);
    expect(again.headers.get("content-type")).toBe("application/json");
    expectProblem(await create("one", "create-one-again"), "template_exists");
  });

  test("another body under the key is refused and does nothing", async () => {
    await create("two", "create-two");
    expectProblem(await create("three", "create-two"), "idempotency_conflict");
    expect((await rest("GET", `${TEMPLATES}/three`)).status).toBe(404);
  });

  test("a refusal is answered again too, with the request id of now", async () => {
    const [first, again] = [await create("bad id", "refused"), await create("bad id", "refused")];
    expect([first.status, replayedOf(first)]).toEqual([400, null]);
    expect([again.status, replayedOf(again)]).toEqual([400, "true"]);
    expect(again.headers.get("content-type")).toBe("application/problem+json");
    expect({ ...again.body, request_id: "" }).toEqual({ ...first.body, request_id: "" });
    expect(again.body.request_id).toBe(again.headers.get("x-request-id"));
  });

  test("deleting is done once: what was made anew under the id stays", async () => {
    await create("four", "create-four");
    const remove = () => rest("DELETE", `${TEMPLATES}/four`, { headers: withKey("delete-four") });
    expect((await remove()).status).toBe(204);
    await create("four", "create-four-anew");
    const again = await remove();
    expect([again.status, replayedOf(again), again.body]).toEqual([204, "true", {}]);
    expect((await rest("GET", `${TEMPLATES}/four`)).status).toBe(200);
  });

  test("the same key on another path is another request", async () => {
    for (const id of ["five", "six"]) await create(id, `create-${id}`);
    expect((await rest("DELETE", `${TEMPLATES}/five`, { headers: withKey("delete") })).status).toBe(204);
    expectProblem(await rest("DELETE", `${TEMPLATES}/six`, { headers: withKey("delete") }), "idempotency_conflict");
  });

  test("the same key on another operation, and of another tenant, is its own", async () => {
    await create("seven", "shared");
    const update = await rest("PUT", `${TEMPLATES}/seven`, { body: { name: "new" }, headers: withKey("shared") });
    expect([update.status, replayedOf(update)]).toEqual([200, null]);
    const theirs = await rest("POST", TEMPLATES, { key: "key-of-other", body: template("seven"), headers: withKey("shared") });
    expect([theirs.status, replayedOf(theirs)]).toEqual([201, null]);
  });

  test("a ticket is the buyer's: the same key of another person buys another", async () => {
    const buy = async (user: string) =>
      rest("POST", "/api/v1/tickets", { key: "", headers: { authorization: `Bearer ${await token(user)}`, ...withKey("ticket") } });
    const [ada, bob] = [await buy("ada"), await buy("bob")];
    expect(replayedOf(bob)).toBeNull();
    expect(bob.body.ticket).not.toBe(ada.body.ticket);
    const again = await buy("ada");
    expect([replayedOf(again), again.body.ticket, again.headers.get("cache-control")]).toEqual(["true", ada.body.ticket, "no-store"]);
  });

  test("a malformed key, a body over the limit and a wrong type are refused as without a key", async () => {
    expectProblem(await create("eight", "x".repeat(256)), "invalid_header");
    expectProblem(await create("eight", "large", { description: "x".repeat(4096) }), "payload_too_large");
    const headers = { ...withKey("type"), "content-type": "text/plain" };
    expectProblem(await rest("POST", TEMPLATES, { body: template("eight"), headers }), "unsupported_media_type");
    expect((await create("eight", "eight")).status).toBe(201);
  });

  test("reads take no notice of a key", async () => {
    for (let i = 0; i < 2; i++) {
      const list = await rest("GET", TEMPLATES, { headers: withKey("list") });
      expect([list.status, replayedOf(list)]).toEqual([200, null]);
    }
  });
});

describe("in a process", () => {
  const operation: Operation = { id: "x", method: "POST", path: "/x", summary: "", auth: "admin" };
  const clock = manualServerClock();
  const { writes } = createMemoryEngine({ clock, ids: systemIds, maxBytes: 1 << 20 });
  const deps = { writes, tenants: { cluster: defaultClusterSettings } };
  const ask = (key: string, perform: (request: Request) => Promise<Answer>, body = "{}") =>
    once(
      deps,
      { operation, scope: "acme/x", request: new Request("http://host/x", { method: "POST", body, headers: withKey(key) }) },
      async (request) => await perform(request),
    );
  const ok = async (): Promise<Answer> => ({ kind: "answer", body: "{}" });

  test("a request is in flight until it is answered", async () => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const first = ask("slow", () => promise);
    expect((await ask("slow", ok)).outcome).toMatchObject({ code: "idempotency_in_flight" });
    resolve({ kind: "answer", body: '{"n":1}' });
    expect(await first).toMatchObject({ replayed: false, outcome: { body: '{"n":1}' } });
    expect(await ask("slow", ok)).toMatchObject({ replayed: true, outcome: { body: '{"n":1}' } });
  });

  test("what broke is not remembered: the key is free again, for any body", async () => {
    await expect(ask("broken", () => Promise.reject(new TypeError("boom")))).rejects.toThrow("boom");
    expect(await ask("broken", ok, "[]")).toMatchObject({ replayed: false, outcome: { kind: "answer" } });
  });

  test.each([500, 503, 429])("nor is a %d", async (status) => {
    await ask(`status-${status}`, async () => ({ kind: "answer", body: "{}", status }));
    expect(await ask(`status-${status}`, ok)).toMatchObject({ replayed: false, outcome: { kind: "answer", body: "{}" } });
  });

  test("the handler reads the body as it came", async () => {
    const seen = await ask("body", async (request) => ({ kind: "answer", body: await request.text() }), '{"ä":"€"}');
    expect(seen.outcome).toMatchObject({ body: '{"ä":"€"}' });
  });

  test("a day later the key is forgotten", async () => {
    await ask("old", ok);
    clock.advance(86_400_001);
    const { outcome, replayed } = await ask("old", ok);
    expect([isRefusal(outcome), replayed]).toEqual([false, false]);
  });

  test("every write is either recorded here or keeps its record beside the streams", () => {
    const publishes = ["send", "sendToUsers", "broadcast", "channel", "channels", "batch"];
    const writesOf = OPERATIONS.filter(({ method }) => method !== "GET").map(({ id }) => id as string);
    expect(OPERATIONS.filter((one) => isRecorded(one)).map(({ id }) => id as string)).toEqual(
      writesOf.filter((id) => !publishes.includes(id)),
    );
  });
});
