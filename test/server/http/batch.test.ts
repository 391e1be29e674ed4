// Why: a batch as existing clients send it: they branch on its odd details, so each has a test, over real requests.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type BatchItemAnswer, NIL_UUID } from "@nexus/protocol/rest/content.ts";
import fc from "fast-check";
import { apiKey, clusterEntry, secretIssuer, templateEntry, tenantEntry, tenantSettings } from "../../support/bundle-entries.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../../support/fuzz.ts";
import { Listener } from "../../support/listener.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, type RestAnswer, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const issuers = [secretIssuer(TOKEN_SECRET)];
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, bodyBytes: 2048, batchBytes: 65_536 } }),
  tenantEntry("acme", { issuers, api_keys: [apiKey("backend", "key"), apiKey("reader", "key-that-reads", ["read"])] }),
  tenantEntry("slow", {
    api_keys: [apiKey("backend", "key-of-slow")],
    quotas: { ...tenantSettings().quotas, publishPerSecond: 1, publishBurst: 2, payloadBytes: 256 },
  }),
  templateEntry("acme", "welcome", { variables: [{ name: "name", type: "string", required: true }] }),
];
const BATCH = "/api/v1/notifications/batch";
const FULL = ["nexus.v1.json"];

let real: RealServer;
let rest: Rest;
let ada: Listener;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "key");
  ada = await listen("ada"); // the one user who is always there
});
afterAll(async () => {
  await ada[Symbol.asyncDispose]();
  await real[Symbol.asyncDispose]();
});

async function listen(user: string): Promise<Listener> {
  const listener = await Listener.open(`${real.url.replace("http", "ws")}/ws?token=${await token(user)}`, FULL);
  await listener.next("connected");
  return listener;
}
const batch = (notifications: unknown, options?: object, key = "key") =>
  rest("POST", BATCH, { key, body: { notifications, ...(options ? { options } : {}) }, shape: BATCH });
const item = (type: string, value?: unknown, more: object = {}) => ({
  target: { type, value },
  event_type: "e",
  payload: { n: 1 },
  ...more,
});
const toAda = (more: object = {}) => item("user", "ada", more);
const toNobody = (more: object = {}) => item("user", "nobody", more);
const resultsOf = ({ body }: RestAnswer) => body.results as BatchItemAnswer[]; // judged by the document already
const countersOf = ({ body }: RestAnswer) => {
  const summary = body.summary as Record<string, number>; // judged by the document already
  expect([body.successful, body.failed, body.skipped]).toEqual([summary.succeeded, summary.failed, summary.skipped]);
  return summary;
};
const pointersOf = ({ body }: RestAnswer) => (body.errors as { pointer: string }[]).map(({ pointer }) => pointer); // a problem's shape
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/;

describe("the answer", () => {
  test("has one result per item, in order, and counts them twice", async () => {
    const answer = await batch([
      toAda(),
      item("users", ["ada", "bob", "ada"]),
      item("broadcast"),
      item("channel", "empty"),
      item("channels", ["empty", "void"]),
    ]);
    expect(answer.status).toBe(200);
    const { body } = answer;
    expect(Object.keys(body).sort()).toEqual(["batch_id", "failed", "results", "skipped", "successful", "summary", "timestamp"]);
    expect(body.batch_id).toMatch(UUID_V7);
    expect(resultsOf(answer).map(({ index, success, delivered_to, failed }) => [index, success, delivered_to, failed])).toEqual([
      [0, true, 1, 0],
      [1, true, 1, 0],
      [2, true, 1, 0],
      [3, false, 0, 0],
      [4, false, 0, 0],
    ]);
    const ids = resultsOf(answer).map(({ notification_id }) => notification_id);
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(UUID_V7);
    expect(countersOf(answer)).toEqual({ total: 5, succeeded: 3, failed: 2, skipped: 0, total_delivered: 3 });
    for (const id of ids.slice(0, 3)) expect((await ada.next("notification")).id).toBe(id);
  });

  test("an item that reached nobody is no success, also when it is queued, and keeps its id", async () => {
    const answer = await batch([item("user", "late")]);
    const [result] = resultsOf(answer);
    expect(result).toMatchObject({ success: false, delivered_to: 0 });
    expect(Object.keys(result ?? {}).sort()).toEqual(["delivered_to", "failed", "index", "notification_id", "success"]);
    await using late = await listen("late");
    expect((await late.next("notification")).id).toBe(result?.notification_id);
  });

  test("an item that names nobody has no id", async () => {
    const answer = await batch([item("users", []), item("channels", [])]);
    expect(resultsOf(answer).map(({ success, notification_id }) => [success, notification_id])).toEqual([
      [false, NIL_UUID],
      [false, NIL_UUID],
    ]);
  });

  test("an audience is for broadcasts", async () => {
    await using boss = await Listener.open(`${real.url.replace("http", "ws")}/ws?token=${await token("boss", { roles: ["boss"] })}`, FULL);
    await boss.next("connected");
    const audience = { type: "Roles", value: ["boss"] };
    const answer = await batch([item("broadcast", undefined, { audience })]);
    expect(resultsOf(answer)[0]).toMatchObject({ success: true, delivered_to: 1 });
  });
});

describe("items that fail by themselves", () => {
  test("say why in words and by code, and have the nil UUID", async () => {
    const answer = await batch([
      toAda({ template_id: "none" }),
      toAda({ template_id: "welcome" }),
      toAda({ template_id: "welcome", variables: { name: "Ada" } }),
      item(
        "channels",
        Array.from({ length: 101 }, (_, i) => `c${i}`),
      ),
    ]);
    expect(answer.status).toBe(200);
    const results = resultsOf(answer);
    for (const at of [0, 1, 3]) {
      expect(results[at]).toEqual({
        ...{ index: at, notification_id: NIL_UUID, success: false, delivered_to: 0, failed: 0 },
        ...{ error: expect.any(String), error_code: "VALIDATION_ERROR" },
      });
    }
    expect(results[2]).toMatchObject({ success: true });
    expect(countersOf(answer)).toMatchObject({ succeeded: 1, failed: 3, skipped: 0 });
    await ada.next("notification");
  });

  test("by size and by quota, one by one", async () => {
    const sent = [toNobody({ payload: "x".repeat(300) }), toNobody(), toNobody(), toNobody()];
    const answer = await batch(sent, undefined, "key-of-slow");
    expect(resultsOf(answer).map(({ error_code }) => error_code)).toEqual(["PAYLOAD_TOO_LARGE", undefined, undefined, "RATE_LIMITED"]);
  });
});

describe("stop_on_error", () => {
  test("stops at the first item that reached nobody, although its inbox keeps it", async () => {
    const answer = await batch([toAda(), toNobody(), toAda(), toAda()], { stop_on_error: true });
    expect(resultsOf(answer).map(({ success, skipped }) => [success, skipped])).toEqual([
      [true, undefined],
      [false, undefined],
      [false, true],
      [false, true],
    ]);
    for (const result of resultsOf(answer).slice(2)) {
      expect(result).toMatchObject({ notification_id: NIL_UUID, delivered_to: 0, error: expect.any(String) });
    }
    expect(countersOf(answer)).toEqual({ total: 4, succeeded: 1, failed: 1, skipped: 2, total_delivered: 1 });
    expect((await ada.next("notification")).id).toBe(resultsOf(answer)[0]?.notification_id);
  });

  test("stops at an item that was refused; without it the others are sent", async () => {
    const sent = [toAda({ template_id: "none" }), toAda()];
    expect(countersOf(await batch(sent, { stop_on_error: true }))).toMatchObject({ succeeded: 0, failed: 1, skipped: 1 });
    expect(countersOf(await batch(sent, { stop_on_error: false }))).toMatchObject({ succeeded: 1, failed: 1, skipped: 0 });
    await ada.next("notification");
  });
});

describe("deduplicate", () => {
  test("skips what was said before: a success without an id", async () => {
    const answer = await batch([toAda(), toAda({ payload: { n: 2 } }), toAda({ event_type: "f" })], {
      deduplicate: true,
      stop_on_error: true,
    });
    expect(resultsOf(answer)[1]).toEqual({ index: 1, notification_id: NIL_UUID, success: true, delivered_to: 0, failed: 0, skipped: true });
    expect(countersOf(answer)).toEqual({ total: 3, succeeded: 2, failed: 0, skipped: 1, total_delivered: 2 });
    for (const at of [0, 2]) expect((await ada.next("notification")).id).toBe(resultsOf(answer)[at]?.notification_id);
  });

  test("compares the target and the event type, as Ara does, and nothing else", async () => {
    const same = [
      item("users", ["ada", "bob"], { payload: { a: 1 } }),
      item("users", ["bob", "ada", "bob"], { payload: 2, priority: "High", ttl: 60, correlation_id: "c", source: "s" }),
    ];
    const others = [item("users", ["ada", "bob"], { event_type: "f" }), item("channels", ["ada", "bob"]), toAda()];
    expect(countersOf(await batch([...same, ...others], { deduplicate: true }))).toMatchObject({ total: 5, skipped: 1 });
    for (let i = 0; i < 3; i++) await ada.next("notification");
  });

  test("an item that was refused is no reason to skip its like", async () => {
    const answer = await batch([toAda({ template_id: "none" }), toAda({ template_id: "none" })], { deduplicate: true });
    expect(countersOf(answer)).toMatchObject({ failed: 2, skipped: 0 });
  });

  test("is not done unasked", async () => {
    expect(countersOf(await batch([toNobody(), toNobody()]))).toMatchObject({ skipped: 0 });
  });
});

describe("the whole batch is refused, and nothing is sent,", () => {
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["for a target without a type", { ...toAda(), target: {} }, "/notifications/1/target/type"],
    ["for a type nobody knows", item("everyone"), "/notifications/1/target/type"],
    ["for a user that is a list", item("user", ["ada"]), "/notifications/1/target/value"],
    ["for users that are one text", item("users", "ada"), "/notifications/1/target/value"],
    ["for a user without a value", item("user"), "/notifications/1/target/value"],
    ["for an illegal user", item("user", ""), "/notifications/1/target/value"],
    ["for an illegal channel", item("channel", "no spaces"), "/notifications/1/target/value"],
    ["for an illegal channel in a list", item("channels", ["ok", "no spaces"]), "/notifications/1/target/value/1"],
    ["for content without a payload", toAda({ payload: undefined }), "/notifications/1/payload"],
    ["for content without a type", toAda({ event_type: undefined }), "/notifications/1/event_type"],
    ["for a priority nobody knows", toAda({ priority: "Urgent" }), "/notifications/1/priority"],
    ["for an audience of no role", item("broadcast", undefined, { audience: { type: "Roles" } }), "/notifications/1/audience/value"],
    ["for an item that is no object", 7, "/notifications/1"],
  ];
  test.each(wrong)("%s", async (_, bad, pointer) => {
    await using eve = await listen("eve");
    const refused = await batch([item("user", "eve"), bad]);
    expectProblem(refused, "validation_error");
    expect(pointersOf(refused)).toContain(pointer);
    const { body } = await batch([item("user", "eve")]);
    expect((await eve.next("notification")).id).toBe((body.results as BatchItemAnswer[])[0]?.notification_id);
  });

  test("for no item and for more than a hundred", async () => {
    expectProblem(await batch([]), "limit_exceeded");
    expectProblem(await batch(Array.from({ length: 101 }, () => toNobody())), "limit_exceeded");
    expect((await batch(Array.from({ length: 100 }, () => toNobody()))).status).toBe(200);
  });

  test("for a body over the batch limit, which is not that of other bodies", async () => {
    expect((await batch([toNobody({ payload: "x".repeat(4096) })])).status).toBe(200);
    expectProblem(await batch([toNobody({ payload: "x".repeat(65_536) })]), "payload_too_large");
  });

  test("for a wrong shape around the items, and for a key without the scope", async () => {
    for (const body of [{}, { notifications: {} }, { notifications: [toAda()], options: { stop_on_error: "yes" } }]) {
      expectProblem(await rest("POST", BATCH, { body, shape: BATCH }), "validation_error");
    }
    expectProblem(await batch([toAda()], undefined, "key-that-reads"), "forbidden");
  });

  test("numbers beyond JSON's range are no reason to fall over", async () => {
    const raw = `{"notifications":[{"target":{"type":"user","value":"nobody"},"event_type":"e","payload":1e999}],"options":{"deduplicate":true}}`;
    const headers = { "x-api-key": "key", "content-type": "application/json" };
    expect((await fetch(`${real.url}${BATCH}`, { method: "POST", body: raw, headers })).status).toBe(200);
  });
});

test(
  "garbage in the shape of a batch is the caller's mistake, never ours",
  async () => {
    const value = fc.oneof(fc.constantFrom("ada", "", "no spaces", "__proto__"), fc.array(fc.string(), { maxLength: 3 }), fc.jsonValue());
    const some = fc.record(
      {
        target: fc.oneof(fc.record({ type: fc.constantFrom("user", "users", "broadcast", "channel", "channels"), value }), fc.jsonValue()),
        event_type: fc.oneof(fc.string(), fc.jsonValue()),
        payload: fc.jsonValue(),
        template_id: fc.oneof(fc.constantFrom("welcome", "none"), fc.jsonValue()),
        variables: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue()),
        audience: fc.jsonValue(),
        ttl: fc.oneof(fc.integer(), fc.double()),
      },
      { requiredKeys: ["target"] },
    );
    const options = fc.oneof(fc.record({ stop_on_error: fc.boolean(), deduplicate: fc.boolean() }), fc.jsonValue());
    const body = fc.record(
      { notifications: fc.oneof(fc.array(some, { maxLength: 4 }), fc.jsonValue()), options },
      { requiredKeys: ["notifications"] },
    );
    await fc.assert(
      fc.asyncProperty(body, fc.option(fc.constantFrom("k", "l"), { nil: undefined }), async (sent, key) => {
        const headers = key === undefined ? {} : { "idempotency-key": key };
        const answer = await rest("POST", BATCH, { body: sent, headers });
        expect([200, 400, 413, 422]).toContain(answer.status);
        if (answer.status === 200) expect(resultsOf(answer)).toHaveLength((sent.notifications as unknown[]).length); // a batch that was taken
      }),
      fuzzSettings(),
    );
  },
  fuzzTimeoutMs(20),
);
