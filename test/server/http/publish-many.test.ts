// Why: one notification for many, as a backend asks for it: counts, limits, odd names, over real requests and sockets.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NIL_UUID } from "@nexus/protocol/rest/content.ts";
import { apiKey, clusterEntry, secretIssuer, templateEntry, tenantEntry, tenantSettings } from "../../support/bundle-entries.ts";
import { Listener } from "../../support/listener.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, type RestAnswer, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const issuers = [secretIssuer(TOKEN_SECRET)];
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, bodyBytes: 8192 } }),
  tenantEntry("acme", { issuers, api_keys: [apiKey("backend", "key"), apiKey("reader", "key-that-reads", ["read"])] }),
  tenantEntry("slow", {
    api_keys: [apiKey("backend", "key-of-slow")],
    quotas: { ...tenantSettings().quotas, publishPerSecond: 1, publishBurst: 2 },
  }),
  templateEntry("acme", "welcome"),
];
const USERS = "/api/v1/notifications/send-to-users";
const CHANNELS = "/api/v1/notifications/channels";
const content = { event_type: "greeting", payload: { text: "hi" } };
const FULL = ["nexus.v1.json"];

let real: RealServer;
let rest: Rest;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "key");
});
afterAll(() => real[Symbol.asyncDispose]());

const toUsers = (target_user_ids: unknown, more: object = {}, key = "key") =>
  rest("POST", USERS, { key, body: { target_user_ids, ...content, ...more }, shape: USERS });
const toChannels = (channels: unknown, more: object = {}, key = "key") =>
  rest("POST", CHANNELS, { key, body: { channels, ...content, ...more }, shape: CHANNELS });
const listen = async (user: string) => {
  const listener = await Listener.open(`${real.url.replace("http", "ws")}/ws?token=${await token(user)}`, FULL);
  await listener.next("connected");
  return listener;
};
const pointersOf = ({ body }: RestAnswer) => (body.errors as { pointer: string }[]).map(({ pointer }) => pointer); // a problem's shape

describe("send-to-users", () => {
  test("reaches every session of those online, keeps it for the others, under one id", async () => {
    await using ada = await listen("ada");
    await using adaToo = await listen("ada");
    const { status, body } = await toUsers(["ada", "bob", "ada"]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ success: true, delivered_to: 2, failed: 0, queued: true });
    expect(body.results).toEqual({
      ada: { delivered: true, connections: 2, queued: false },
      bob: { delivered: false, connections: 0, queued: true },
    });
    expect(Object.keys(body).sort()).toEqual([
      ...["delivered_to", "failed", "notification_id", "queued", "results", "success", "timestamp"],
    ]);
    for (const listener of [ada, adaToo]) expect((await listener.next("notification")).id).toBe(body.notification_id);
    await using bob = await listen("bob");
    expect((await bob.next("notification")).id).toBe(body.notification_id);
  });

  test("success is about sessions, also when every inbox keeps it", async () => {
    expect((await toUsers(["nobody-here"])).body).toMatchObject({ success: false, delivered_to: 0, queued: true });
  });

  test("nobody is 200 without success, and names no notification", async () => {
    expect((await toUsers([])).body).toMatchObject({
      success: false,
      delivered_to: 0,
      queued: false,
      notification_id: NIL_UUID,
      results: {},
    });
  });

  test("a name that means something to JavaScript is a user like any other", async () => {
    const names = ["__proto__", "constructor", "7", "toString"];
    const { body } = await toUsers(names);
    expect(Object.keys(body.results as object).sort()).toEqual([...names].sort());
  });

  test("10,000 are served, while others are; one more is refused by count", async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => `u${i}`);
    const [answer, other] = await Promise.all([toUsers(many), toUsers(["someone"])]);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body.results as object)).toHaveLength(10_000);
    expect(other.status).toBe(200);
    expectProblem(await toUsers([...many, "u0"]), "limit_exceeded");
  });

  test("a wrong name anywhere refuses the whole list, with its place", async () => {
    await using eve = await listen("eve");
    const refused = await toUsers(["eve", "", "x".repeat(257), "tab\there"]);
    expectProblem(refused, "validation_error");
    expect(pointersOf(refused)).toEqual(["/target_user_ids/1", "/target_user_ids/2", "/target_user_ids/3"]);
    const { body } = await toUsers(["eve"]);
    expect((await eve.next("notification")).id).toBe(body.notification_id); // the first one eve ever got
  });

  test("a list too long to name every mistake names some", async () => {
    expect(pointersOf(await toUsers(Array.from({ length: 40 }, () => "")))).toHaveLength(16);
  });

  test("is refused as a send is", async () => {
    expectProblem(await toUsers("ada"), "validation_error");
    expectProblem(await toUsers([7]), "validation_error");
    expectProblem(await toUsers(["ada"], { payload: undefined }), "validation_error");
    expectProblem(await toUsers(["ada"], { template_id: "none" }), "unknown_template");
    expectProblem(await toUsers(["ada"], {}, "key-that-reads"), "forbidden");
    expectProblem(await toUsers(["ada"], {}, ""), "unauthorized");
    expectProblem(await toUsers(["ada"], { payload: "x".repeat(65_536) }), "payload_too_large");
    expectProblem(await toUsers(["a".repeat(1_048_576)]), "payload_too_large");
    expect((await toUsers(["ada"], { template_id: "welcome" })).status).toBe(200);
  });

  test("takes one of the tenant's quota, however many it reaches", async () => {
    expect((await toUsers(["a", "b", "c", "d"], {}, "key-of-slow")).status).toBe(200);
    expect((await toUsers(["a", "b", "c", "d"], {}, "key-of-slow")).status).toBe(200);
    const limited = await toUsers(["a"], {}, "key-of-slow");
    expectProblem(limited, "rate_limited");
    expect(limited.headers.get("retry-after")).toBe("1");
  });
});

describe("channels", () => {
  test("answers per channel and in all", async () => {
    await using uma = await listen("uma");
    uma.send({ type: "Subscribe", payload: { channels: ["news"] } });
    await uma.next("subscribed");
    const { status, body } = await toChannels(["news", "empty", "news"]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ success: true, delivered_to: 1, failed: 0, queued: false, total_delivered: 1 });
    expect(body.channels).toEqual({ news: { delivered_to: 1 }, empty: { delivered_to: 0 } });
    expect(await uma.next("notification")).toMatchObject({ id: body.notification_id, stream: "channel:news" });
  });

  test("none is 200 without success; 100 are served, 101 are refused by count", async () => {
    expect((await toChannels([])).body).toMatchObject({ success: false, total_delivered: 0, channels: {}, notification_id: NIL_UUID });
    const many = Array.from({ length: 100 }, (_, i) => `c${i}`);
    expect((await toChannels(many)).status).toBe(200);
    expectProblem(await toChannels([...many, "c0"]), "limit_exceeded");
  });

  test("a syntactically wrong name is told by its place", async () => {
    const refused = await toChannels(["good", "no spaces", "@key/mine"]);
    expectProblem(refused, "validation_error");
    expect(pointersOf(refused)).toEqual(["/channels/1", "/channels/2"]);
  });

  test("the ordinary body limit applies", async () => {
    expectProblem(await toChannels(["news"], { payload: "x".repeat(8192) }), "payload_too_large");
  });
});
