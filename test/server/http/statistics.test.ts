// Why: dashboards of clients read these numbers by name. Each is provoked here and compared, and each is a tenant's own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { expectProblem } from "../../support/rest.ts";
import { ACME, OTHER, PLATFORM, SCOPED, startTwoTenants, type TwoTenants } from "../../support/two-tenants.ts";

const PATHS = ["/stats", "/api/v1/stats", "/api/v1/stats/acks"] as const;
type Path = (typeof PATHS)[number];
type Numbers = Record<string, Record<string, unknown>>;

const stats = async (server: TwoTenants, path: Path, key = ACME, tenant?: string): Promise<Numbers> => {
  const headers = tenant === undefined ? {} : { "x-tenant-id": tenant };
  const { status, body } = await server.rest("GET", path, { key, headers, shape: path });
  expect(status).toBe(200);
  return body as Numbers; // judged by the document
};
const publish = (server: TwoTenants, operation: string, target: Readonly<Record<string, unknown>>, key = ACME) =>
  server.rest("POST", `/api/v1/notifications/${operation}`, { key, body: { event_type: "test", payload: null, ...target } });

const NO_NOTIFICATIONS = {
  ...{ total_sent: 0, total_delivered: 0, total_failed: 0 },
  ...{ user_notifications: 0, broadcast_notifications: 0, channel_notifications: 0 },
};
const NO_ACKS = { enabled: true, total_tracked: 0, total_acked: 0, total_expired: 0, pending_count: 0, ack_rate: 0, avg_latency_ms: 0 };

test("a server nobody has used says zero everywhere, and that there is no Redis", async () => {
  await using server = await startTwoTenants();
  for (const key of [ACME, PLATFORM]) {
    expect(await stats(server, "/stats", key)).toEqual({
      connections: { total_connections: 0, unique_users: 0, channels: {} },
      notifications: NO_NOTIFICATIONS,
      redis: {
        ...{ status: "disabled", connected: false, circuit_breaker_state: "closed" },
        ...{ circuit_breaker_failures: 0, reconnection_attempts: 0, total_reconnections: 0 },
      },
      ack: NO_ACKS,
    });
    expect(await stats(server, "/api/v1/stats", key)).toEqual({
      connections: { total: 0, websocket: 0, sse: 0 },
      users: { connected: 0, with_multiple_connections: 0 },
      channels: { active: 0, total_subscriptions: 0 },
      messages: { sent_today: 0, delivered_today: 0, failed_today: 0 },
    });
    const acks: unknown = await stats(server, "/api/v1/stats/acks", key);
    expect(acks).toEqual({ pending: 0, acknowledged: 0, expired: 0, average_ack_time_ms: 0 });
  }
});

describe("a server that is used", () => {
  let server: TwoTenants;
  beforeAll(async () => {
    server = await startTwoTenants();
    for (const seat of [{ channels: ["news", "b"] }, { channels: ["news"] }]) open.push(await server.listen("ann", seat));
    open.push(await server.stream("bob", { channels: ["news"] }));
    open.push(await server.listen("zoe", { tenant: "other", channels: ["news", "c"] }));
    open.push(await server.listen("dan", { tenant: "default", channels: ["plain"] }));
    await publish(server, "send", { target_user_id: "ann" });
    await publish(server, "send", { target_user_id: "away" });
    await publish(server, "channel", { channel: "news" });
    await publish(server, "broadcast", {});
    await publish(server, "channel", { channel: "no spaces" }); // refused
    await publish(server, "send", { target_user_id: "zoe" }, OTHER);
  });
  const open: AsyncDisposable[] = [];
  afterAll(async () => {
    for (const one of open) await one[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const OF_ACME = {
    connections: { total_connections: 3, unique_users: 2, channels: { b: 1, news: 3 } },
    notifications: {
      ...{ total_sent: 4, total_delivered: 2 + 0 + 3 + 3, total_failed: 1 },
      ...{ user_notifications: 2, broadcast_notifications: 1, channel_notifications: 1 },
    },
  };
  const OF_OTHER = {
    connections: { total_connections: 1, unique_users: 1, channels: { c: 1, news: 1 } },
    notifications: { ...NO_NOTIFICATIONS, total_sent: 1, total_delivered: 1, user_notifications: 1 },
  };

  test("counts for a tenant key what is its own, in Ara's names", async () => {
    expect(await stats(server, "/stats")).toMatchObject(OF_ACME);
    expect(await stats(server, "/stats", OTHER)).toMatchObject(OF_OTHER);
    expect((await stats(server, "/stats", OTHER)).connections?.channels).toEqual({ c: 1, news: 1 });
  });

  test("counts for a platform key the tenant it names, or everybody with channels told apart", async () => {
    expect(await stats(server, "/stats", PLATFORM, "acme")).toMatchObject(OF_ACME);
    expect(await stats(server, "/stats", PLATFORM, "other")).toMatchObject(OF_OTHER);
    const all = await stats(server, "/stats", PLATFORM);
    expect(all.connections).toEqual({
      total_connections: 5,
      unique_users: 4,
      channels: { "acme/b": 1, "acme/news": 3, plain: 1, "other/c": 1, "other/news": 1 },
    });
    expect(all.notifications).toEqual({
      ...{ total_sent: 5, total_delivered: 9, total_failed: 1 },
      ...{ user_notifications: 3, broadcast_notifications: 1, channel_notifications: 1 },
    });
    const ghost = await stats(server, "/stats", PLATFORM, "ghost");
    expect([ghost.connections?.total_connections, ghost.notifications]).toEqual([0, NO_NOTIFICATIONS]);
  });

  test("the overview tells transports and users with several sessions apart", async () => {
    expect(await stats(server, "/api/v1/stats")).toEqual({
      connections: { total: 3, websocket: 2, sse: 1 },
      users: { connected: 2, with_multiple_connections: 1 },
      channels: { active: 2, total_subscriptions: 4 },
      messages: { sent_today: 4, delivered_today: 8, failed_today: 1 },
    });
    expect(await stats(server, "/api/v1/stats", PLATFORM)).toEqual({
      connections: { total: 5, websocket: 4, sse: 1 },
      users: { connected: 4, with_multiple_connections: 1 },
      channels: { active: 5, total_subscriptions: 7 },
      messages: { sent_today: 5, delivered_today: 9, failed_today: 1 },
    });
    expect(await stats(server, "/api/v1/stats", PLATFORM, "other")).toEqual(await stats(server, "/api/v1/stats", OTHER));
  });

  test("all of it needs a key with scope read", async () => {
    for (const path of PATHS) {
      expectProblem(await server.rest("GET", path, { key: SCOPED.publish }), "forbidden");
      expectProblem(await server.rest("GET", path, { key: "" }), "unauthorized");
      expectProblem(await server.rest("GET", path, { headers: { "x-tenant-id": "other" } }), "tenant_access_denied");
      expect((await server.rest("GET", path, { key: SCOPED.read })).status).toBe(200);
    }
  });
});

test("acknowledgements are tracked for users who were online, and timed", async () => {
  await using server = await startTwoTenants({ NEXUS_DELIVERY_ACK_TIMEOUT_SECONDS: "1" });
  const acks = async (key = ACME) => (await stats(server, "/api/v1/stats/acks", key)) as unknown as Record<string, number>; // numbers only
  await using ann = await server.listen("ann");
  await using zoe = await server.listen("zoe", { tenant: "other" });
  const first = await publish(server, "send", { target_user_id: "ann" });
  await publish(server, "send", { target_user_id: "away" });
  await publish(server, "send", { target_user_id: "zoe" }, OTHER);
  ann.send({ type: "Ack", payload: { notification_id: first.body.notification_id } });
  await ann.next("acked");
  await zoe.next("notification");
  const mine = await acks();
  expect(mine).toMatchObject({ pending: 0, acknowledged: 1, expired: 0 });
  expect(mine.average_ack_time_ms).toBeGreaterThanOrEqual(0);
  expect(mine.average_ack_time_ms).toBeLessThan(1000);
  await publish(server, "send", { target_user_id: "ann" });
  await eventually("both that were not acknowledged to expire", async () => (await acks(PLATFORM)).expired === 2);
  expect(await acks(PLATFORM)).toMatchObject({ pending: 0, acknowledged: 1, expired: 2 });
  expect(await acks(OTHER)).toEqual({ pending: 0, acknowledged: 0, expired: 1, average_ack_time_ms: 0 });
  const { ack } = await stats(server, "/stats");
  expect(ack).toEqual({
    ...{ enabled: true, total_tracked: 2, total_acked: 1, total_expired: 1, pending_count: 0, ack_rate: 0.5 },
    avg_latency_ms: mine.average_ack_time_ms,
  });
});
