// Why: whoever asks one server of a fleet over REST gets the fleet's answer: who is where, how many there are, and that they
// are gone when they were sent away. It must never matter which server was asked.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { FAILURES } from "@nexus/protocol/failures.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";
import { token } from "../support/rest.ts";
import { PLATFORM, startTwoTenants, type TwoTenants } from "../support/two-tenants.ts";

const redis = await startRedis();
let [here, there]: TwoTenants[] = [];
const env = { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address };

beforeAll(async () => {
  here = await startTwoTenants({ ...env, NEXUS_NODE: "here" });
  there = await startTwoTenants({ ...env, NEXUS_NODE: "there" });
});
afterAll(async () => {
  for (const server of [here, there]) await server?.[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const both = (): readonly TwoTenants[] => [here, there].map((server) => server ?? expect.unreachable());
const get = async (server: TwoTenants, path: string, shape = path, key?: string) =>
  (await server.rest("GET", path, key === undefined ? { shape } : { shape, key })).body;

const STATUS = "/api/v1/cluster/status";
const WHERE = "/api/v1/cluster/users/{id}";

/** Others know within a renewal, which is three seconds. */
const TIMEOUT_MS = 20_000;

test(
  "one server tells of the sessions of the other, by tenant and in all",
  async () => {
    const [one, two] = both() as [TwoTenants, TwoTenants];
    await using phone = await one.listen("ann", { channels: ["news"] });
    await using laptop = await two.stream("ann", { channels: ["news", "alerts"] });
    await using bob = await two.listen("bob");
    await using namesake = await two.listen("ann", { tenant: "other" });
    for (const server of [one, two]) {
      const status = await eventually("sessions of both are counted", async () => {
        const body = await get(server, STATUS);
        return body.cluster_connections === 3 && body.cluster_users === 2 && body.nodes === 2 && body;
      });
      const [node, connections, users] = server === one ? ["here", 1, 1] : ["there", 2, 2];
      expect(status).toEqual({
        ...{ enabled: true, mode: "distributed", server_id: node, node_id: node, nodes: 2, healthy_nodes: 2 },
        ...{ local_connections: connections, local_users: users, cluster_connections: 3, cluster_users: 2, total_connections: 3 },
      });
      await eventually("all tenants add up", async () => {
        const body = await get(server, STATUS, STATUS, PLATFORM);
        return body.cluster_connections === 4 && body.cluster_users === 3 && body.local_connections === (server === one ? 1 : 3);
      });
      const channels = await get(server, "/api/v1/channels");
      expect(channels.channels).toEqual([
        { name: "alerts", subscriber_count: 1, subscribers: 1 },
        { name: "news", subscriber_count: 2, subscribers: 2 },
      ]);
      const stats = await eventually("statistics agree", async () => {
        const body = await get(server, "/api/v1/stats");
        return JSON.stringify(body.users) === '{"connected":2,"with_multiple_connections":1}' && body;
      });
      expect(stats).toMatchObject({ connections: { total: 3, websocket: 2, sse: 1 }, channels: { active: 2, total_subscriptions: 3 } });
      const all = await get(server, "/stats");
      expect(all).toMatchObject({
        connections: { total_connections: 3, unique_users: 2, channels: { alerts: 1, news: 2 } },
        redis: { status: "healthy", connected: true, circuit_breaker_state: "closed", circuit_breaker_failures: 0 },
      });
      expect(await get(server, "/health")).toMatchObject({
        ...{ status: "healthy", redis: { status: "healthy", connected: true } },
        ...{ cluster: { enabled: true, server_id: node }, queue: { backend: "redis" } },
      });
    }
    expect([phone, laptop, bob, namesake].length).toBe(4);
  },
  TIMEOUT_MS,
);

test(
  "where a user is, on whichever server they are",
  async () => {
    const [one, two] = both() as [TwoTenants, TwoTenants];
    await using phone = await one.listen("dan", { channels: ["news"] });
    await using laptop = await two.listen("dan");
    for (const server of [one, two]) {
      const found = await eventually("both are there, with their channels", async () => {
        const body = await get(server, "/api/v1/cluster/users/dan", WHERE);
        return JSON.stringify(body).includes('["news"]') && body;
      });
      expect(found).toMatchObject({
        ...{ user_id: "dan", found: true, connections: 2 },
        sessions: [
          { connection_id: phone.connectionId, node_id: "here", channels: ["news"] },
          { connection_id: laptop.connectionId, node_id: "there", channels: [] },
        ],
      });
    }
  },
  TIMEOUT_MS,
);

test("who is sent away goes wherever they are, and another tenant's people stay", async () => {
  const [one, two] = both() as [TwoTenants, TwoTenants];
  await using phone = await one.listen("eve");
  await using laptop = await two.listen("eve");
  await using namesake = await two.listen("eve", { tenant: "other" });
  const shape = "/api/v1/users/{id}/sessions";
  expect((await one.rest("DELETE", "/api/v1/users/eve/sessions", { shape })).body).toEqual({ user_id: "eve", disconnected: 2 });
  for (const gone of [phone, laptop]) expect(await gone.closed()).toMatchObject({ code: FAILURES.disconnected.close });
  await using back = await two.listen("eve");
  const path = `/api/v1/sessions/${back.connectionId}`;
  const again = await one.rest("DELETE", path, { shape: "/api/v1/sessions/{id}" });
  expect(again.body).toEqual({ connection_id: back.connectionId, disconnected: 1 });
  expect(await back.closed()).toMatchObject({ code: FAILURES.disconnected.close });
  expect((await one.rest("DELETE", path, { shape: "/api/v1/sessions/{id}" })).status).toBe(404);
  namesake.send({ type: "Ping" });
  await namesake.next("pong");
});

test("the limit of a user is the fleet's", async () => {
  const [one, two] = both() as [TwoTenants, TwoTenants];
  const seats = await Promise.all(Array.from({ length: 5 }, (_, i) => [one, two][i % 2]?.listen("kim")));
  const jwt = await token("kim", { tenant_id: "acme" });
  for (const { url } of [one, two]) expect((await fetch(`${url}/sse?token=${jwt}`)).status).toBe(429);
  await seats[0]?.[Symbol.asyncDispose]();
  await eventually("a place is free", async () => (await get(two, "/api/v1/cluster/users/kim", WHERE)).connections === 4);
  await using fifth = await two.listen("kim");
  expect(fifth.connectionId).toMatch(/./);
  for (const seat of seats.slice(1)) await seat?.[Symbol.asyncDispose]();
});
