// Why: what a backend sees of those who listen: real sockets and requests, every answer judged by the served document.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { expectProblem } from "../../support/rest.ts";
import { OTHER, PLATFORM, SCOPED, startTwoTenants, type TwoTenants } from "../../support/two-tenants.ts";

let server: TwoTenants;
beforeAll(async () => {
  server = await startTwoTenants();
});
afterAll(() => server[Symbol.asyncDispose]());

const SHAPES = {
  list: "/api/v1/channels",
  one: "/api/v1/channels/{name}",
  history: "/api/v1/channels/{name}/history",
  subscriptions: "/api/v1/users/{id}/subscriptions",
} as const;
const channelPath = (name: string) => `/api/v1/channels/${encodeURIComponent(name)}`;
const get = (path: string, shape: string, key = "key-of-acme") => server.rest("GET", path, { key, shape });
const channelsOf = async (key?: string) => (await get("/api/v1/channels", SHAPES.list, key)).body;

describe("channels", () => {
  test("are listed by name with their sessions in both spellings, and go when the last holder goes", async () => {
    expect(await channelsOf()).toEqual({ channels: [], total_channels: 0 });
    await using ann = await server.listen("ann", { channels: ["news", "änderungen"] });
    {
      await using _bob = await server.listen("bob", { channels: ["news", "alerts"] });
      const of = (name: string, sessions: number) => ({ name, subscriber_count: sessions, subscribers: sessions });
      expect(await channelsOf()).toEqual({ channels: [of("alerts", 1), of("news", 2), of("änderungen", 1)], total_channels: 3 });
    }
    await eventually("bob to be gone", async () => (await channelsOf()).total_channels === 2);
    ann.send({ type: "Unsubscribe", payload: { channels: ["news", "änderungen"] } });
    await ann.next("unsubscribed");
    expect(await channelsOf()).toEqual({ channels: [], total_channels: 0 });
  });

  test("one is shown since its first holder, and is not found when nobody holds it", async () => {
    const before = Date.now();
    await using ann = await server.listen("ann", { channels: ["änderungen"] });
    const { status, body } = await get(channelPath("änderungen"), SHAPES.one);
    expect([status, body.name, body.subscriber_count, body.subscribers]).toEqual([200, "änderungen", 1, 1]);
    const since = Date.parse(String(body.created_at));
    expect(since >= before && since <= Date.now()).toBe(true);
    await using _bob = await server.listen("bob", { channels: ["änderungen"] });
    expect((await get(channelPath("änderungen"), SHAPES.one)).body).toEqual({ ...body, subscriber_count: 2, subscribers: 2 });
    ann.send({ type: "Unsubscribe", payload: { channels: ["änderungen"] } });
    await ann.next("unsubscribed");
    expect((await get(channelPath("änderungen"), SHAPES.one)).body).toEqual(body);
    for (const name of ["nobody-here", "no spaces"]) expectProblem(await get(channelPath(name), SHAPES.one), "channel_not_found");
  });

  test("of another tenant are not seen; a platform key sees those of the tenant it names", async () => {
    await using _listener = await server.listen("zoe", { tenant: "other", channels: ["secret"] });
    expect((await channelsOf()).total_channels).toBe(0);
    expect((await channelsOf(PLATFORM)).total_channels).toBe(0); // default's
    expect((await channelsOf(OTHER)).total_channels).toBe(1);
    const asOther = { key: PLATFORM, headers: { "x-tenant-id": "other" }, shape: SHAPES.one };
    expect((await server.rest("GET", channelPath("secret"), asOther)).body.subscribers).toBe(1);
    expectProblem(await get(channelPath("secret"), SHAPES.one), "channel_not_found");
    expectProblem(await server.rest("GET", channelPath("secret"), { headers: { "x-tenant-id": "other" } }), "tenant_access_denied");
  });
});

describe("history", () => {
  type Page = { channel: string; entries: { event_type: string; offset: number }[]; epoch: string; top: number; more: boolean };
  async function history(name: string, query = "", key?: string): Promise<Page> {
    const { status, body } = await get(`${channelPath(name)}/history${query}`, SHAPES.history, key);
    expect(status).toBe(200);
    return body as Page; // judged by the document
  }
  const types = ({ entries }: Page) => entries.map(({ event_type }) => event_type);
  async function publish(channel: string, ...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const body = { channel, event_type: name, payload: { name } };
      expect((await server.rest("POST", "/api/v1/notifications/channel", { body })).status).toBe(200);
    }
  }

  test("has entries as a socket has them, the newest first, as many as the rule keeps", async () => {
    await using ann = await server.listen("ann", { channels: ["kept.a"] });
    await publish("kept.a", "e1", "e2", "e3", "e4", "e5", "e6", "e7");
    const page = await history("kept.a");
    expect([types(page), page.top, page.more, page.channel]).toEqual([["e7", "e6", "e5", "e4", "e3"], 7, false, "kept.a"]);
    const { type, ...frame } = await ann.next("notification");
    expect([type, frame.event_type]).toEqual(["notification", "e1"]);
    for (let i = 0; i < 5; i++) await ann.next("notification");
    const { type: _, ...last } = await ann.next("notification");
    expect(page.entries[0] as unknown).toEqual(last);
  });

  test("goes back page by page", async () => {
    await publish("kept.b", "p1", "p2", "p3");
    const first = await history("kept.b", "?limit=2&unknown=1");
    expect([types(first), first.more]).toEqual([["p3", "p2"], true]);
    const second = await history("kept.b", `?limit=2&before=${first.entries.at(-1)?.offset}`);
    expect([types(second), second.more, second.epoch]).toEqual([["p1"], false, first.epoch]);
  });

  test("of a live-only channel, and of one nobody used, is an empty page", async () => {
    await publish("live", "gone");
    for (const name of ["live", "kept.unused"]) expect(await history(name)).toMatchObject({ entries: [], top: 0, more: false });
  });

  test("is the tenant's own", async () => {
    await publish("kept.c", "mine");
    expect(types(await history("kept.c"))).toEqual(["mine"]);
    expect(types(await history("kept.c", "", OTHER))).toEqual([]);
  });

  test.each([
    ["kept.a", "?limit=0", "/limit"],
    ["kept.a", "?limit=1001", "/limit"],
    ["kept.a", "?limit=ten", "/limit"],
    ["kept.a", "?before=0", "/before"],
    ["kept.a", "?before=-1", "/before"],
    ["no spaces", "", "/name"],
  ])("of %s%s is refused, and %s is named", async (name, query, pointer) => {
    const answer = await get(`${channelPath(name)}/history${query}`, SHAPES.history);
    expectProblem(answer, "validation_error");
    expect(answer.body.errors).toMatchObject([{ pointer }]);
  });
});

describe("subscriptions of a user", () => {
  const subscriptions = (user: string, key?: string) =>
    get(`/api/v1/users/${encodeURIComponent(user)}/subscriptions`, SHAPES.subscriptions, key);

  test("are the channels of all sessions, each once", async () => {
    await using _phone = await server.listen("ann/1", { channels: ["news", "b"] });
    await using _laptop = await server.stream("ann/1", { channels: ["news", "a"] });
    const { status, body } = await subscriptions("ann/1");
    expect(status).toBe(200);
    expect(body).toEqual({ user_id: "ann/1", connection_count: 2, connections: 2, subscriptions: ["a", "b", "news"] });
  });

  test("of somebody without channels are empty, of somebody who is away or another tenant's not found", async () => {
    await using _bob = await server.listen("bob");
    expect((await subscriptions("bob")).body).toEqual({ user_id: "bob", connection_count: 1, connections: 1, subscriptions: [] });
    expectProblem(await subscriptions("bob", OTHER), "user_not_connected");
    expectProblem(await subscriptions("away"), "user_not_connected");
    expectProblem(await subscriptions("\u0001"), "user_not_connected");
  });
});

test("all of it needs a key with scope read", async () => {
  for (const [path, shape] of [
    ["/api/v1/channels", SHAPES.list],
    ["/api/v1/channels/x", SHAPES.one],
    ["/api/v1/channels/x/history", SHAPES.history],
    ["/api/v1/users/x/subscriptions", SHAPES.subscriptions],
  ] as const) {
    expectProblem(await get(path, shape, SCOPED.publish), "forbidden");
    expectProblem(await get(path, shape, "nobody's"), "unauthorized");
    expect([200, 404]).toContain((await get(path, shape, SCOPED.read)).status);
  }
});
