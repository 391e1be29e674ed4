// Why: what a backend can learn about a notification it sent: real requests against the real server, judged by its document.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiKey, clusterEntry, platformKey, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { Listener } from "../../support/listener.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const keys = [apiKey("all", "key-of-acme"), apiKey("reader", "key-that-reads", ["read"]), apiKey("sender", "key-that-sends", ["publish"])];
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 }, platform_keys: [platformKey("root", "platform-key")] }),
  tenantEntry("acme", { api_keys: keys, issuers: [secretIssuer(TOKEN_SECRET)] }),
  tenantEntry("other", { api_keys: [apiKey("all", "key-of-other")] }),
];

let real: RealServer;
let rest: Rest;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "key-of-acme");
});
afterAll(() => real[Symbol.asyncDispose]());

const SHAPE = "/api/v1/notifications/{id}";
const event = { event_type: "order.shipped", payload: { order: 7 } };
let users = 0;
const freshUser = () => `user-${++users}`;

async function publish(operation: string, body: object): Promise<string> {
  const answer = await rest("POST", `/api/v1/notifications/${operation}`, { body: { ...event, ...body } });
  expect(answer.status).toBe(200);
  return String(answer.body.notification_id);
}
async function status(id: string): Promise<Record<string, unknown>> {
  const answer = await rest("GET", `/api/v1/notifications/${id}`, { shape: SHAPE });
  expect(answer.status).toBe(200);
  return answer.body;
}
const listen = async (user: string) => Listener.open(`${real.url.replace("http", "ws")}/ws?token=${await token(user)}`, ["nexus.v1.json"]);

describe("the status of a notification", () => {
  test("to somebody away is queued, then delivered, then acknowledged", async () => {
    const user = freshUser();
    const id = await publish("send", { target_user_id: user });
    const queued = await status(id);
    expect(queued).toEqual({
      ...{ notification_id: id, event_type: "order.shipped", occurred_at: expect.stringMatching(/Z$/), status: "queued", delivered_to: 0 },
      ...{ targets: [{ stream: "user", user, delivered_to: 0, queued: true }], target_count: 1 },
      ...{ acknowledgements: [], acknowledgement_count: 0 },
    });
    await using listener = await listen(user);
    await listener.next("notification");
    await eventually("the delivery to be known", async () => (await status(id)).status === "delivered");
    listener.send({ type: "Ack", payload: { notification_id: id } });
    await listener.next("acked");
    const acknowledged = await status(id);
    expect(acknowledged).toMatchObject({ status: "acknowledged", acknowledgement_count: 1, acknowledgements: [{ user_id: user }] });
    const [ack] = acknowledged.acknowledgements as { acknowledged_at: string }[]; // judged by the document
    expect(Date.parse(ack?.acknowledged_at ?? "")).toBeGreaterThanOrEqual(Date.parse(String(acknowledged.occurred_at)));
    listener.send({ type: "Ack", payload: { notification_id: id } });
    await listener.next("acked");
    expect((await status(id)).acknowledgement_count).toBe(1);
  });

  test("to somebody there is delivered, and says when it ends", async () => {
    const user = freshUser();
    await using listener = await listen(user);
    await listener.next("connected");
    const id = await publish("send", { target_user_id: user, ttl: 60 });
    const answer = await status(id);
    expect(answer).toMatchObject({ status: "delivered", delivered_to: 1, targets: [{ delivered_to: 1, queued: false }] });
    expect(Date.parse(String(answer.expires_at)) - Date.parse(String(answer.occurred_at))).toBe(60_000);
  });

  test("with a ttl of 0 is expired", async () => {
    expect(await status(await publish("send", { target_user_id: freshUser(), ttl: 0 }))).toMatchObject({
      status: "expired",
      delivered_to: 0,
    });
  });

  test("to a channel nobody holds is undelivered, to one somebody holds delivered", async () => {
    const channel = "news.today";
    expect(await status(await publish("channel", { channel }))).toMatchObject({
      status: "undelivered",
      targets: [{ stream: `channel:${channel}`, channel, delivered_to: 0, queued: false }],
    });
    await using listener = await listen(freshUser());
    listener.send({ type: "Subscribe", payload: { channels: [channel] } });
    await listener.next("subscribed");
    expect(await status(await publish("channel", { channel }))).toMatchObject({ status: "delivered", delivered_to: 1 });
  });

  test("to everybody names no one", async () => {
    const { targets } = await status(await publish("broadcast", {}));
    expect(targets).toMatchObject([{ stream: "broadcast" }]);
    expect(Object.keys((targets as object[])[0] ?? {}).sort()).toEqual(["delivered_to", "queued", "stream"]); // judged by the document
  });
});

describe("who may ask", () => {
  test("is the tenant that published it; for others it is not found", async () => {
    const id = await publish("send", { target_user_id: freshUser() });
    const path = `/api/v1/notifications/${id}`;
    expectProblem(await rest("GET", path, { key: "key-of-other", shape: SHAPE }), "not_found");
    const platform = (tenant: string) => ({ key: "platform-key", headers: { "x-tenant-id": tenant }, shape: SHAPE });
    expectProblem(await rest("GET", path, platform("other")), "not_found");
    expect((await rest("GET", path, platform("acme"))).status).toBe(200);
    expectProblem(
      await rest("GET", path, { key: "key-of-other", headers: { "x-tenant-id": "acme" }, shape: SHAPE }),
      "tenant_access_denied",
    );
  });

  test("needs a key that reads", async () => {
    const path = `/api/v1/notifications/${await publish("send", { target_user_id: freshUser() })}`;
    expect((await rest("GET", path, { key: "key-that-reads", shape: SHAPE })).status).toBe(200);
    expectProblem(await rest("GET", path, { key: "key-that-sends", shape: SHAPE }), "forbidden");
    expectProblem(await rest("GET", path, { key: "", shape: SHAPE }), "unauthorized");
  });

  test("learns nothing of what was never published", async () => {
    const ids = ["00000000-0000-0000-0000-000000000000", "x", "%27", "%00", "a%2Fb", "x".repeat(1000)];
    for (const id of ids) expectProblem(await rest("GET", `/api/v1/notifications/${id}`, { shape: SHAPE }), "not_found");
  });
});
