// Why: what people who look after users see of an inbox: real requests against the real server, judged by its own document.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiKey, clusterEntry, platformKey, secretIssuer, tenantEntry, tenantSettings } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { Listener } from "../../support/listener.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";

const keys = [apiKey("all", "key-of-acme"), apiKey("reader", "key-that-reads", ["read"]), apiKey("sender", "key-that-sends", ["publish"])];
const { quotas } = tenantSettings();
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 }, platform_keys: [platformKey("root", "platform-key")] }),
  tenantEntry("acme", { api_keys: keys, issuers: [secretIssuer(TOKEN_SECRET)] }),
  tenantEntry("other", { api_keys: [apiKey("all", "key-of-other")] }),
  tenantEntry("acked", {
    api_keys: [apiKey("all", "key-of-acked")],
    issuers: [secretIssuer(TOKEN_SECRET)],
    quotas: { ...quotas, inbox: { ...quotas.inbox, mode: "Acked" } },
  }),
];

let real: RealServer;
let rest: Rest;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "key-of-acme");
});
afterAll(() => real[Symbol.asyncDispose]());

const SHAPE = "/api/v1/users/{id}/inbox";
const ENTRY_SHAPE = "/api/v1/users/{id}/inbox/{entry}";
const inboxPath = (user: string, query = "") => `/api/v1/users/${encodeURIComponent(user)}/inbox${query}`;

let users = 0;
const freshUser = () => `user-${++users}`;

type Listed = {
  readonly id: string;
  readonly event_type: string;
  readonly offset: number;
  readonly unread: boolean;
  readonly payload: unknown;
};
async function list(user: string, query = "", key = "key-of-acme") {
  const { status, body } = await rest("GET", inboxPath(user, query), { key, shape: SHAPE });
  expect(status).toBe(200);
  return body as { user_id: string; entries: Listed[]; unread_count: number; epoch: string; top: number; more: boolean }; // judged by the document
}
/** Publishes one notification for each name, and answers their ids. */
async function send(user: string, names: readonly string[], key = "key-of-acme"): Promise<readonly string[]> {
  const sent: string[] = [];
  for (const name of names) {
    const body = { target_user_id: user, event_type: name, payload: { name } };
    sent.push(String((await rest("POST", "/api/v1/notifications/send", { key, body })).body.notification_id));
  }
  return sent;
}
const names = (entries: readonly Listed[]) => entries.map(({ event_type }) => event_type);
const socketUrl = async (user: string, tenant = "acme") =>
  `${real.url.replace("http", "ws")}/ws?token=${await token(user, { tenant_id: tenant })}`;

describe("the list", () => {
  test("has entries as a socket has them, newest first, and says what is unread", async () => {
    const user = freshUser();
    const body = {
      target_user_id: user,
      event_type: "first",
      payload: { text: 'a "quoted" 👋', list: [1, null] },
      ttl: 60,
      priority: "High",
    };
    const { body: sent } = await rest("POST", "/api/v1/notifications/send", { body });
    await send(user, ["second"]);
    const page = await list(user);
    expect(page).toMatchObject({ user_id: user, unread_count: 2, top: 2, more: false });
    expect(page.epoch).toMatch(/^[A-Za-z0-9_-]{1,16}$/);
    expect(names(page.entries)).toEqual(["second", "first"]);
    await using listener = await Listener.open(await socketUrl(user));
    const { type, ...frame } = await listener.next("notification");
    expect(page.entries[1] as unknown).toEqual({ ...frame, unread: true });
    expect([type, page.entries[1]?.id, page.entries[1]?.payload]).toEqual(["notification", sent.notification_id, body.payload]);
  });

  test("goes back page by page", async () => {
    const user = freshUser();
    await send(user, ["p1", "p2", "p3", "p4", "p5"]);
    const first = await list(user, "?limit=2");
    expect([names(first.entries), first.more, first.unread_count]).toEqual([["p5", "p4"], true, 5]);
    const second = await list(user, `?limit=2&before=${first.entries.at(-1)?.offset}`);
    expect([names(second.entries), second.more]).toEqual([["p3", "p2"], true]);
    const third = await list(user, `?limit=2&before=${second.entries.at(-1)?.offset}`);
    expect([names(third.entries), third.more, third.epoch]).toEqual([["p1"], false, first.epoch]);
  });

  test("of somebody nobody wrote to is empty", async () => {
    expect(await list(freshUser())).toMatchObject({ entries: [], unread_count: 0, top: 0, more: false });
  });

  test("tells what was delivered, and looking delivers nothing", async () => {
    const user = freshUser();
    await send(user, ["seen-1", "seen-2"]);
    expect((await list(user)).unread_count).toBe(2);
    expect((await list(user)).unread_count).toBe(2);
    {
      await using listener = await Listener.open(await socketUrl(user));
      await listener.next("notification");
      await listener.next("notification");
      await eventually("the mark to be stored", async () => (await list(user)).unread_count === 0);
    }
    await send(user, ["new-1", "new-2", "new-3"]);
    const all = await list(user);
    expect(all.entries.map(({ unread }) => unread)).toEqual([true, true, true, false, false]);
    const unread = await list(user, "?unread=true&limit=2");
    expect([names(unread.entries), unread.more, unread.unread_count]).toEqual([["new-3", "new-2"], true, 3]);
    const rest = await list(user, `?unread=true&limit=2&before=${unread.entries.at(-1)?.offset}`);
    expect([names(rest.entries), rest.more]).toEqual([["new-1"], false]);
    expect(names((await list(user, "?unread=false&limit=5")).entries).length).toBe(5);
  });

  test("in Acked mode, what was acknowledged is read and what was only delivered is not", async () => {
    const user = freshUser();
    const [, second] = await send(user, ["a1", "a2"], "key-of-acked");
    await using listener = await Listener.open(await socketUrl(user, "acked"));
    await listener.next("notification");
    await listener.next("notification");
    listener.send({ type: "Ack", payload: { notification_id: second } });
    await listener.next("acked");
    const page = await list(user, "", "key-of-acked");
    expect(page.entries.map(({ event_type, unread }) => [event_type, unread])).toEqual([
      ["a2", false],
      ["a1", true],
    ]);
    expect(names((await list(user, "?unread=true", "key-of-acked")).entries)).toEqual(["a1"]);
  });

  test.each(["a/b", "änne 👋", "x%y", "a?b#c", "user@example.org", " "])("finds user %j", async (user) => {
    await send(user, ["hello"]);
    expect(await list(user)).toMatchObject({ user_id: user, entries: [{ event_type: "hello" }] });
  });

  test.each([
    ["limit", "0"],
    ["limit", "1001"],
    ["limit", "-1"],
    ["limit", "1.5"],
    ["limit", ""],
    ["limit", "ten"],
    ["limit", "1e2"],
    ["before", "0"],
    ["before", "99999999999999999999"],
    ["before", "x"],
    ["unread", "yes"],
    ["unread", ""],
  ])("refuses %s=%j and names the parameter", async (name, value) => {
    const answer = await rest("GET", inboxPath("ann", `?${name}=${value}`), { shape: SHAPE });
    expectProblem(answer, "validation_error");
    expect(answer.body.errors).toEqual([{ pointer: `/${name}`, detail: expect.stringMatching(/^must be /) }]);
  });

  test.each([encodeURIComponent("\u0000"), "x".repeat(257), "%7f"])("refuses the user id %j", async (raw) => {
    for (const [method, path] of [
      ["GET", `/api/v1/users/${raw}/inbox`],
      ["DELETE", `/api/v1/users/${raw}/inbox/x`],
    ] as const) {
      const answer = await rest(method, path);
      expectProblem(answer, "validation_error");
      expect(answer.body.errors).toMatchObject([{ pointer: "/id" }]);
    }
  });
});

describe("deleting", () => {
  test("takes the entry out of the list and out of what is delivered; a second time it is not found", async () => {
    const user = freshUser();
    const [, second = ""] = await send(user, ["d1", "d2", "d3"]);
    const gone = await rest("DELETE", `${inboxPath(user)}/${second}`, { shape: ENTRY_SHAPE });
    expect([gone.status, gone.headers.get("content-type"), gone.body]).toEqual([204, null, {}]);
    expectProblem(await rest("DELETE", `${inboxPath(user)}/${second}`, { shape: ENTRY_SHAPE }), "not_found");
    expect(await list(user)).toMatchObject({ unread_count: 2, top: 3, entries: [{ event_type: "d3" }, { event_type: "d1" }] });
    await using listener = await Listener.open(await socketUrl(user));
    expect([(await listener.next("notification")).event_type, (await listener.next("notification")).event_type]).toEqual(["d1", "d3"]);
  });

  test("twice under one Idempotency-Key answers the same twice", async () => {
    const user = freshUser();
    const [id = ""] = await send(user, ["one"]);
    const headers = { "idempotency-key": `delete-${id}` };
    const first = await rest("DELETE", `${inboxPath(user)}/${id}`, { headers, shape: ENTRY_SHAPE });
    const again = await rest("DELETE", `${inboxPath(user)}/${id}`, { headers, shape: ENTRY_SHAPE });
    expect([first.status, first.headers.get("idempotency-replayed")]).toEqual([204, null]);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([204, "true"]);
  });

  test("what was never there is not found", async () => {
    const user = freshUser();
    const [id = ""] = await send(user, ["one"]);
    for (const path of [`${inboxPath(user)}/nothing`, `${inboxPath(freshUser())}/${id}`, `${inboxPath(user)}/%27%3B--`]) {
      expectProblem(await rest("DELETE", path, { shape: ENTRY_SHAPE }), "not_found");
    }
    expect((await list(user)).entries.length).toBe(1);
  });
});

describe("rights", () => {
  test("reading lists, admin deletes, publishing does neither", async () => {
    const user = freshUser();
    const [id = ""] = await send(user, ["one"]);
    expect((await rest("GET", inboxPath(user), { key: "key-that-reads", shape: SHAPE })).status).toBe(200);
    expectProblem(await rest("GET", inboxPath(user), { key: "key-that-sends", shape: SHAPE }), "forbidden");
    for (const key of ["key-that-reads", "key-that-sends"]) {
      expectProblem(await rest("DELETE", `${inboxPath(user)}/${id}`, { key, shape: ENTRY_SHAPE }), "forbidden");
    }
    expectProblem(await rest("GET", inboxPath(user), { key: "", shape: SHAPE }), "unauthorized");
    expect((await list(user)).entries.length).toBe(1);
  });

  test("a tenant reaches its own users only, a platform key the tenant it names", async () => {
    const user = freshUser();
    const [id = ""] = await send(user, ["one"]);
    expect((await list(user, "", "key-of-other")).entries).toEqual([]);
    expectProblem(await rest("DELETE", `${inboxPath(user)}/${id}`, { key: "key-of-other" }), "not_found");
    const asAcme = { key: "key-of-other", headers: { "x-tenant-id": "acme" } };
    expectProblem(await rest("GET", inboxPath(user), asAcme), "tenant_access_denied");
    expectProblem(await rest("DELETE", `${inboxPath(user)}/${id}`, asAcme), "tenant_access_denied");
    const platform = { key: "platform-key", headers: { "x-tenant-id": "acme" } };
    expect((await rest("GET", inboxPath(user), platform)).body).toMatchObject({ unread_count: 1 });
    expect((await rest("GET", inboxPath(user), { key: "platform-key", headers: { "x-tenant-id": "other" } })).body).toMatchObject({
      unread_count: 0,
    });
    expect((await rest("DELETE", `${inboxPath(user)}/${id}`, platform)).status).toBe(204);
  });
});
