// Why: what an operator of the platform sees of its tenants and servers, and that a tenant sees itself alone.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiKey, clusterEntry, platformKey, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { startRealServer } from "../../support/real-server.ts";
import { expectProblem, restOf } from "../../support/rest.ts";
import { NODE, OTHER, PLATFORM, SCOPED, startTwoTenants, type TwoTenants } from "../../support/two-tenants.ts";

let server: TwoTenants;
beforeAll(async () => {
  server = await startTwoTenants();
});
afterAll(() => server[Symbol.asyncDispose]());

const SHAPES = {
  list: "/api/v1/tenants",
  one: "/api/v1/tenants/{id}",
  status: "/api/v1/cluster/status",
  user: "/api/v1/cluster/users/{id}",
} as const;
type Headers = Readonly<Record<string, string>>;
const get = (path: string, shape: string, { key = "key-of-acme", headers = {} }: { key?: string; headers?: Headers } = {}) =>
  server.rest("GET", path, { key, headers, shape });
const tenant = (id: string, key?: string) => get(`/api/v1/tenants/${id}`, SHAPES.one, key === undefined ? {} : { key });

type Listed = { enabled: boolean; total: number; tenants: { tenant_id: string; stats: Record<string, number> }[] };
const list = async (key?: string, headers?: Headers) => {
  const { status, body } = await get("/api/v1/tenants", SHAPES.list, {
    ...(key === undefined ? {} : { key }),
    ...(headers ? { headers } : {}),
  });
  expect(status).toBe(200);
  return body as Listed; // judged by the document
};
const send = (user: string, key?: string) =>
  server.rest("POST", "/api/v1/notifications/send", {
    ...(key === undefined ? {} : { key }),
    body: { target_user_id: user, event_type: "test", payload: null },
  });

describe("tenants", () => {
  test("a tenant key lists its own, a platform key all by id, whatever tenant it names", async () => {
    const ids = ({ tenants }: Listed) => tenants.map(({ tenant_id }) => tenant_id);
    const own = await list();
    expect([ids(own), own.total, own.enabled]).toEqual([["acme"], 1, true]);
    for (const all of [await list(PLATFORM), await list(PLATFORM, { "x-tenant-id": "acme" })]) {
      expect([ids(all), all.total]).toEqual([["acme", "default", "other"], 3]);
    }
  });

  test("count sessions that are open and that ever were, publishes and whom they reached", async () => {
    const before = (await tenant("acme")).body as { stats: Record<string, number>; messages_today: number };
    const was = (name: string) => before.stats[name] ?? 0;
    await using _ann = await server.listen("ann", { channels: ["news", "b"] });
    {
      await using _phone = await server.stream("ann", { channels: ["news"] });
      await send("ann");
      await send("nobody");
      const { body } = await tenant("acme");
      const stats = {
        active_connections: 2,
        total_connections: was("total_connections") + 2,
        messages_sent: was("messages_sent") + 2,
        messages_delivered: was("messages_delivered") + 2,
      };
      expect(body).toEqual({
        ...{ tenant_id: "acme", stats, connection_stats: { total_connections: 2, unique_users: 1 } },
        ...{ connections: 2, users: 1, channels: 2, messages_today: before.messages_today + 2 },
      });
      expect((await list()).tenants).toEqual([{ tenant_id: "acme", stats }]);
      expect((await tenant("acme", PLATFORM)).body).toEqual(body);
    }
    const gone = await eventually("the phone to be gone", async () => {
      const { body } = await tenant("acme");
      return body.connections === 1 && (body.stats as Record<string, number>);
    });
    expect([gone.active_connections, gone.total_connections]).toEqual([1, was("total_connections") + 2]);
  });

  test("of others are refused to a tenant key, whether they exist or not; unknown ones are not found", async () => {
    expectProblem(await tenant("other"), "tenant_access_denied");
    expectProblem(await tenant("ghost"), "tenant_access_denied");
    expectProblem(await tenant("ghost", PLATFORM), "tenant_not_found");
    expectProblem(await tenant("no%20spaces", PLATFORM), "tenant_not_found");
    expect((await tenant("other", OTHER)).body).toMatchObject({ tenant_id: "other", connections: 0 });
  });

  test("without tenancy there is one, and it is called default", async () => {
    const entries = [
      clusterEntry({ tenancy: "Single", platform_keys: [platformKey("root", PLATFORM)] }),
      tenantEntry("default", { api_keys: [apiKey("all", "key-of-default")] }),
    ];
    await using single = await startRealServer({ entries });
    for (const key of [PLATFORM, "key-of-default"]) {
      const { body } = await restOf(single.url, key)("GET", "/api/v1/tenants", { shape: SHAPES.list });
      expect(body).toMatchObject({ enabled: false, total: 1, tenants: [{ tenant_id: "default" }] });
    }
  });
});

describe("the fleet", () => {
  const status = async (key: string, headers?: Headers) =>
    (await get("/api/v1/cluster/status", SHAPES.status, headers ? { key, headers } : { key })).body;

  test("is one server, and its sessions are the key's tenant's, or everybody's", async () => {
    await using _ann = await server.listen("ann-of-fleet");
    await using _again = await server.listen("ann-of-fleet");
    await using _zoe = await server.listen("zoe", { tenant: "other" });
    const of = (connections: number, users: number) => ({
      ...{ enabled: false, mode: "standalone", server_id: NODE, node_id: NODE, nodes: 1, healthy_nodes: 1 },
      ...{ local_connections: connections, local_users: users, cluster_connections: connections, cluster_users: users },
      total_connections: connections,
    });
    await eventually("earlier sessions to be gone", async () => (await status("key-of-acme")).local_connections === 2);
    expect(await status("key-of-acme")).toEqual(of(2, 1));
    expect(await status(OTHER)).toEqual(of(1, 1));
    expect(await status(PLATFORM)).toEqual(of(3, 2));
    expect(await status(PLATFORM, { "x-tenant-id": "other" })).toEqual(of(1, 1));
    const { body } = await server.rest("GET", "/health", { key: "" });
    expect(body.cluster).toEqual({ enabled: false, server_id: NODE });
  });

  test("tells where a user is, the oldest session first", async () => {
    const before = Math.floor(Date.now() / 1000);
    await using first = await server.listen("där/1", { channels: ["b", "a"] });
    await using second = await server.listen("där/1");
    const { status, body } = await get(`/api/v1/cluster/users/${encodeURIComponent("där/1")}`, SHAPES.user);
    expect(status).toBe(200);
    const place = (connection_id: string, channels: readonly string[]) => ({
      ...{ connection_id, server_id: NODE, node_id: NODE, connected_at: expect.any(Number), channels },
    });
    expect(body).toEqual({
      ...{ user_id: "där/1", found: true, connections: 2 },
      sessions: [place(first.connectionId, ["a", "b"]), place(second.connectionId, [])],
    });
    const [{ connected_at } = { connected_at: 0 }] = body.sessions as { connected_at: number }[]; // judged by the document
    expect(connected_at >= before && connected_at <= Date.now() / 1000).toBe(true);
  });

  test("does not know who is away, nor another tenant's user: 200 all the same", async () => {
    await using _ann = await server.listen("ann");
    const nowhere = (user_id: string) => ({ user_id, found: false, sessions: [], connections: 0 });
    const ask = async (user: string, key: string) => {
      const { status, body } = await get(`/api/v1/cluster/users/${user}`, SHAPES.user, { key });
      expect(status).toBe(200);
      return body;
    };
    expect(await ask("away", "key-of-acme")).toEqual(nowhere("away"));
    expect(await ask("ann", OTHER)).toEqual(nowhere("ann"));
    expect(await ask("ann", PLATFORM)).toEqual(nowhere("ann"));
    expectProblem(await get(`/api/v1/cluster/users/${"x".repeat(257)}`, SHAPES.user), "validation_error"); // nobody can be called so
  });
});

test("all of it needs a key with scope read", async () => {
  const paths = [SHAPES.list, "/api/v1/tenants/acme", SHAPES.status, "/api/v1/cluster/users/x"];
  for (const path of paths) {
    expectProblem(await server.rest("GET", path, { key: SCOPED.publish }), "forbidden");
    expectProblem(await server.rest("GET", path, { key: "nobody's" }), "unauthorized");
    expect((await server.rest("GET", path, { key: SCOPED.read })).status).toBe(200);
  }
});
