// Why: whoever is sent away is gone at once and told not to come back by itself; nobody can send another tenant's people away.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FAILURES } from "@nexus/protocol/failures.ts";
import { eventually } from "../../support/eventually.ts";
import { expectProblem } from "../../support/rest.ts";
import { OTHER, PLATFORM, SCOPED, startTwoTenants, type TwoTenants } from "../../support/two-tenants.ts";

let server: TwoTenants;
beforeAll(async () => {
  server = await startTwoTenants();
});
afterAll(() => server[Symbol.asyncDispose]());

const USER = "/api/v1/users/{id}/sessions";
const SESSION = "/api/v1/sessions/{id}";
type Headers = Readonly<Record<string, string>>;
const remove = (
  shape: typeof USER | typeof SESSION,
  id: string,
  { key = "key-of-acme", headers = {} }: { key?: string; headers?: Headers } = {},
) => server.rest("DELETE", shape.replace("{id}", encodeURIComponent(id)), { key, headers, shape });

const { close, title } = FAILURES.disconnected;
const sessionsOf = async (user: string) => (await server.rest("GET", `/api/v1/cluster/users/${encodeURIComponent(user)}`)).body.connections;

describe("a user", () => {
  test("loses every session, over either transport, and others keep theirs", async () => {
    await using phone = await server.listen("ann/1");
    await using laptop = await server.stream("ann/1");
    await using bob = await server.listen("bob");
    await using namesake = await server.listen("ann/1", { tenant: "other" });
    expect((await remove(USER, "ann/1")).body).toEqual({ user_id: "ann/1", disconnected: 2 });
    expect(await phone.closed()).toMatchObject({ code: close, reason: title });
    expect((await laptop.next("error")).data).toMatchObject({ code: "DISCONNECTED", retry: false });
    await laptop.ending();
    await eventually("the directory to know", async () => (await sessionsOf("ann/1")) === 0);
    for (const listener of [bob, namesake]) {
      listener.send({ type: "Ping" });
      await listener.next("pong");
    }
    expect((await remove(USER, "ann/1")).body).toEqual({ user_id: "ann/1", disconnected: 0 });
  });

  test("may come again: it is no ban", async () => {
    {
      await using first = await server.listen("again");
      await remove(USER, "again");
      await first.closed();
    }
    await using second = await server.listen("again");
    expect(second.connectionId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("with an id no user can have is refused", async () => {
    const answer = await remove(USER, "\u0001");
    expectProblem(answer, "validation_error");
    expect(answer.body.errors).toMatchObject([{ pointer: "/id" }]);
  });
});

describe("a session", () => {
  test("is ended alone, and once", async () => {
    await using phone = await server.listen("cat");
    await using laptop = await server.listen("cat");
    const { status, body } = await remove(SESSION, phone.connectionId);
    expect([status, body]).toEqual([200, { connection_id: phone.connectionId, disconnected: 1 }]);
    expect((await phone.closed()).code).toBe(close);
    laptop.send({ type: "Ping" });
    await laptop.next("pong");
    expect(await sessionsOf("cat")).toBe(1);
    expectProblem(await remove(SESSION, phone.connectionId), "not_found");
  });

  test("of another tenant is not found; a platform key names the tenant", async () => {
    await using zoe = await server.listen("zoe", { tenant: "other" });
    expectProblem(await remove(SESSION, zoe.connectionId), "not_found");
    expectProblem(await remove(SESSION, zoe.connectionId, { key: PLATFORM }), "not_found"); // it acts for default
    expect((await remove(USER, "zoe")).body.disconnected).toBe(0);
    zoe.send({ type: "Ping" });
    await zoe.next("pong");
    expect((await remove(SESSION, zoe.connectionId, { key: PLATFORM, headers: { "x-tenant-id": "other" } })).status).toBe(200);
    expect((await zoe.closed()).code).toBe(close);
  });

  test("that does not exist is not found", async () => {
    for (const id of ["01890a5d-ac96-774b-bcce-b302099a8057", "x", "%"]) expectProblem(await remove(SESSION, id), "not_found");
  });
});

test("the same Idempotency-Key ends nobody twice, and answers the same", async () => {
  const headers = { "idempotency-key": "send-eve-away" };
  await using first = await server.listen("eve");
  const answer = await remove(USER, "eve", { headers });
  expect([answer.body.disconnected, (await first.closed()).code]).toEqual([1, close]);
  await using second = await server.listen("eve");
  const again = await remove(USER, "eve", { headers });
  expect([again.body, again.headers.get("idempotency-replayed")]).toEqual([answer.body, "true"]);
  second.send({ type: "Ping" });
  await second.next("pong");
  expectProblem(await remove(USER, "ann", { headers }), "idempotency_conflict");
  expectProblem(await remove(USER, "eve", { headers: { "idempotency-key": "not visible" } }), "invalid_header");
});

test("what waits is written before the close", async () => {
  await using ann = await server.listen("last");
  await server.rest("POST", "/api/v1/notifications/send", { body: { target_user_id: "last", event_type: "bye", payload: null } });
  await remove(USER, "last");
  expect((await ann.next("notification")).event_type).toBe("bye");
  expect((await ann.closed()).code).toBe(close);
});

test("it needs a key with scope admin", async () => {
  await using ann = await server.listen("ann");
  for (const [shape, id] of [
    [USER, "ann"],
    [SESSION, ann.connectionId],
  ] as const) {
    for (const key of [SCOPED.read, SCOPED.publish]) expectProblem(await remove(shape, id, { key }), "forbidden");
    expectProblem(await remove(shape, id, { key: "nobody's" }), "unauthorized");
    expectProblem(await remove(shape, id, { key: OTHER, headers: { "x-tenant-id": "acme" } }), "tenant_access_denied");
  }
  ann.send({ type: "Ping" });
  await ann.next("pong");
});
