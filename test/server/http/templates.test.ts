// Why: templates as a backend makes, reads and sends them: real requests against the real server, judged by its document.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeBuckets } from "@nexus/protocol/bundle.ts";
import type { FailureCode } from "@nexus/protocol/failures.ts";
import fc from "fast-check";
import { apiKey, clusterEntry, platformKey, templateEntry, tenantEntry, tenantSettings } from "../../support/bundle-entries.ts";
import { fuzzSettings } from "../../support/fuzz.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf } from "../../support/rest.ts";

const { quotas } = tenantSettings();
const keys = [apiKey("all", "key-of-acme"), apiKey("reader", "key-that-reads", ["read"])];
const ENTRIES = [
  clusterEntry({ limits: { requestsPerSecond: 0 }, platform_keys: [platformKey("root", "platform-key")] }),
  tenantEntry("acme", { api_keys: keys, quotas: { ...quotas, payloadBytes: 2000 } }),
  tenantEntry("small", { api_keys: [apiKey("all", "key-of-small")], quotas: { ...quotas, templates: 2 } }),
  templateEntry("acme", "declared", { payload: { text: "declared {{name}}" } }),
  templateEntry("acme", "declared-footer", { engine: "Liquid", payload: "-- {{ name }}" }),
];

let real: RealServer;
let rest: Rest;
beforeAll(async () => {
  real = await startRealServer({ entries: ENTRIES });
  rest = restOf(real.url, "key-of-acme");
});
afterAll(() => real[Symbol.asyncDispose]());

const ALL = "/api/v1/templates";
const ONE = "/api/v1/templates/{id}";
const PREVIEW = "/api/v1/templates/{id}/preview";

type Body = Readonly<Record<string, unknown>>;
const create = (body: Body, key = "key-of-acme") => rest("POST", ALL, { key, body, shape: ALL });
const read = (id: string) => rest("GET", `${ALL}/${id}`, { shape: ONE });
const update = (id: string, body: Body) => rest("PUT", `${ALL}/${id}`, { body, shape: ONE });
const remove = (id: string) => rest("DELETE", `${ALL}/${id}`, { shape: ONE });
const preview = (id: string, body: Body = {}) => rest("POST", `${ALL}/${id}/preview`, { body, shape: PREVIEW });

let made = 0;
const fresh = (change: Body = {}) => ({
  ...{ id: `t-${++made}`, name: "Order", event_type: "order.shipped", payload_template: { title: "Hi {{name}}" } },
  ...change,
});

describe("a template", () => {
  test("is made whole, read, listed, changed in part and deleted", async () => {
    const body = fresh({ description: "d", default_priority: "High", default_ttl: 60 });
    const { id } = body;
    const created = await create(body);
    expect(created.status).toBe(201);
    const expected = {
      ...{ id, name: "Order", description: "d", event_type: "order.shipped", payload_template: { title: "Hi {{name}}" } },
      ...{ default_priority: "High", priority: "High", default_ttl: 60, ttl: 60 },
      ...{ engine: "Simple", variables: [], locales: [], managed_by: "api" },
    };
    expect(created.body).toEqual({ ...expected, created_at: expect.any(String), updated_at: created.body.created_at });
    expect(await read(id)).toMatchObject({ status: 200, body: created.body });
    const listed = (await rest("GET", ALL, { shape: ALL })).body as { templates: { id: string }[]; total: number };
    expect(listed.templates.map((one) => one.id)).toContain(id);
    expect(listed.total).toBe(listed.templates.length);

    const changed = await update(id, { name: "Order 2", priority: "Low" });
    expect(changed.body).toMatchObject({ ...expected, name: "Order 2", default_priority: "Low", priority: "Low" });
    expect(changed.body.created_at).toBe(created.body.created_at);
    expect(String(changed.body.updated_at) > String(created.body.updated_at)).toBe(true);
    expect((await remove(id)).status).toBe(204);
    expectProblem(await read(id), "template_not_found");
    expectProblem(await remove(id), "template_not_found");
    expectProblem(await update(id, {}), "template_not_found");
    expectProblem(await preview(id), "template_not_found");
  });

  test("takes both spellings; default_ wins; null is as if left out", async () => {
    const both = await create(fresh({ default_priority: "Critical", priority: "Low", default_ttl: 1, ttl: 2 }));
    expect(both.body).toMatchObject({ priority: "Critical", ttl: 1 });
    const short = await create(fresh({ priority: "Low", ttl: 2 }));
    expect(short.body).toMatchObject({ default_priority: "Low", default_ttl: 2 });
    const bare = fresh({ name: null, description: null, default_priority: null, ttl: null, engine: null, variables: null, locales: null });
    const created = await create(bare);
    expect(created.body).toMatchObject({ name: bare.id, priority: "Normal", variables: [] });
    expect(Object.keys(created.body)).not.toContain("ttl");
    expect(Object.keys(created.body)).not.toContain("description");
  });

  test("any JSON is a payload", async () => {
    for (const payload of [null, 1, "{{name}}", [1, "{{name}}"], false]) {
      const body = fresh({ payload_template: payload });
      expect((await create(body)).body.payload_template).toEqual(payload);
      expect((await preview(body.id, { variables: { name: "x" } })).status).toBe(200);
    }
  });

  test("an update leaves what is null, and takes description and ttl away", async () => {
    const body = fresh({ description: "d", ttl: 5, variables: [{ name: "name", required: true }] });
    await create(body);
    const kept = await update(body.id, {
      name: null,
      event_type: null,
      payload_template: null,
      variables: null,
      locales: null,
      priority: null,
    });
    expect(kept.body).toMatchObject({ name: "Order", description: "d", ttl: 5, payload_template: body.payload_template });
    expect(kept.body.variables).toEqual([{ name: "name", type: "string", required: true }]);
    const less = await update(body.id, { description: null, default_ttl: null });
    expect(Object.keys(less.body)).not.toContain("description");
    expect(Object.keys(less.body)).not.toContain("default_ttl");
    expect((await update(body.id, { ttl: 9 })).body).toMatchObject({ default_ttl: 9, ttl: 9 });
  });

  test("two updates at once are both kept", async () => {
    const body = fresh();
    await create(body);
    const changes = [{ name: "N" }, { description: "D" }, { ttl: 7 }, { priority: "Low" }, { event_type: "e" }];
    await Promise.all(changes.map((change) => update(body.id, change)));
    expect((await read(body.id)).body).toMatchObject({ name: "N", description: "D", ttl: 7, priority: "Low", event_type: "e" });
  });

  test("belongs to its tenant", async () => {
    const body = fresh();
    await create(body);
    expectProblem(await rest("GET", `${ALL}/${body.id}`, { key: "key-of-small" }), "template_not_found");
    expect((await create({ ...body }, "key-of-small")).status).toBe(201);
  });
});

describe("refusals", () => {
  const long = "x".repeat(300);
  const refusals: readonly (readonly [string, Body, FailureCode, string])[] = [
    ["an id with a dot", { id: "a.b" }, "invalid_template_id", "/id"],
    ["an empty id", { id: "" }, "invalid_template_id", "/id"],
    ["an id that is too long", { id: "x".repeat(65) }, "invalid_template_id", "/id"],
    ["an empty name", { name: "" }, "invalid_template", "/name"],
    ["a long name", { name: long }, "invalid_template", "/name"],
    ["an empty event type", { event_type: "" }, "invalid_template", "/event_type"],
    ["a long description", { description: "x".repeat(1025) }, "invalid_template", "/description"],
    ["a payload over the quota", { payload_template: "x".repeat(2000) }, "invalid_template", "/payload_template"],
    [
      "a locale's payload over the quota",
      { locales: [{ locale: "de", payload: "x".repeat(2000) }] },
      "invalid_template",
      "/locales/0/payload",
    ],
    ["a locale that is no tag", { locales: [{ locale: "german!", payload: 1 }] }, "invalid_template", "/locales/0/locale"],
    [
      "a locale twice",
      {
        locales: [
          { locale: "de", payload: 1 },
          { locale: "DE", payload: 1 },
        ],
      },
      "invalid_template",
      "/locales/1/locale",
    ],
    ["65 locales", { locales: Array.from({ length: 65 }, (_, i) => ({ locale: `de-x${i}`, payload: 1 })) }, "invalid_template", "/locales"],
    ["65 variables", { variables: Array.from({ length: 65 }, (_, i) => ({ name: `v${i}` })) }, "invalid_template", "/variables"],
    ["a variable with braces", { variables: [{ name: "a}" }] }, "invalid_template", "/variables/0/name"],
    ["a variable twice", { variables: [{ name: "a" }, { name: "a" }] }, "invalid_template", "/variables/1/name"],
    [
      "a default of another type",
      { variables: [{ name: "a", type: "integer", default: 1.5 }] },
      "invalid_template",
      "/variables/0/default",
    ],
    [
      "a null default of a number",
      { variables: [{ name: "a", type: "number", default: null }] },
      "invalid_template",
      "/variables/0/default",
    ],
    [
      "Liquid that does not compile",
      { engine: "Liquid", payload_template: { a: ["{% if %}"] } },
      "invalid_template",
      "/payload_template/a/0",
    ],
    [
      "Liquid in a locale",
      { engine: "Liquid", locales: [{ locale: "de", payload: { a: "{{ x | nope }}" } }] },
      "invalid_template",
      "/locales/0/payload/a",
    ],
    ["no event type", { event_type: undefined }, "validation_error", "/event_type"],
    ["no payload", { payload_template: undefined }, "validation_error", "/payload_template"],
    ["an unknown priority", { priority: "Urgent" }, "validation_error", "/priority"],
    ["an unknown engine", { engine: "Handlebars" }, "validation_error", "/engine"],
    ["a negative time to live", { ttl: -1 }, "validation_error", "/ttl"],
  ];
  test.each(refusals)("%s", async (_, change, code, pointer) => {
    const answer = await create(fresh(change));
    expectProblem(answer, code);
    expect((answer.body.errors as { pointer: string }[]).map((one) => one.pointer)).toContain(pointer);
  });

  test("a compile error has its line and column, a bad update changes nothing", async () => {
    const body = fresh({ engine: "Liquid" });
    await create(body);
    const answer = await update(body.id, { payload_template: { title: "one\ntwo {% endfor %}" } });
    expectProblem(answer, "invalid_template");
    expect(answer.body.errors).toEqual([{ pointer: "/payload_template/title", detail: 'tag "endfor" not found (line 2, column 5)' }]);
    expect((await read(body.id)).body.payload_template).toEqual(body.payload_template);
  });

  test("an id that is taken, a quota that is used up, a key that only reads, a tenant nobody declared", async () => {
    const body = fresh();
    await create(body);
    expectProblem(await create(body), "template_exists");
    for (const id of ["s-1", "s-2"]) await create({ ...body, id }, "key-of-small");
    expectProblem(await create({ ...body, id: "s-3" }, "key-of-small"), "limit_exceeded");
    expectProblem(await rest("POST", ALL, { key: "key-that-reads", body }), "forbidden");
    expectProblem(await rest("DELETE", `${ALL}/${body.id}`, { key: "key-that-reads" }), "forbidden");
    const ghost = { key: "platform-key", headers: { "x-tenant-id": "ghost" } };
    expectProblem(await rest("GET", ALL, ghost), "not_found");
    expectProblem(await rest("POST", ALL, { ...ghost, body }), "not_found");
    expectProblem(await rest("PUT", `${ALL}/x`, { ...ghost, body: {} }), "not_found");
    expectProblem(await rest("DELETE", `${ALL}/x`, ghost), "not_found");
    expectProblem(await rest("GET", `${ALL}/x`, ghost), "not_found");
    expectProblem(await rest("POST", `${ALL}/x/preview`, { ...ghost, body: {} }), "not_found");
  });

  test("an Idempotency-Key makes one of two", async () => {
    const body = fresh();
    const headers = { "idempotency-key": "once" };
    const first = await rest("POST", ALL, { body, headers });
    const again = await rest("POST", ALL, { body, headers });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
  });
});

describe("a template of the configuration", () => {
  test("is shown, and never changed here", async () => {
    expect((await read("declared")).body).toMatchObject({ id: "declared", name: "declared", managed_by: "resource" });
    expectProblem(await create(fresh({ id: "declared" })), "template_managed");
    expectProblem(await update("declared", { name: "x" }), "template_managed");
    expectProblem(await remove("declared"), "template_managed");
    expect((await preview("declared", { variables: { name: "Ada" } })).body).toMatchObject({ payload: { text: "declared Ada" } });
  });

  test("hides a stored one with its id, which is counted", async () => {
    const { id } = fresh();
    await create(fresh({ id }));
    const before = await rest("GET", ALL, { shape: ALL });
    const entries = [...ENTRIES, templateEntry("acme", id, { payload: { text: "from the resource" } })];
    real.server.live.load(makeBuckets(entries));
    expect((await read(id)).body).toMatchObject({ managed_by: "resource", payload_template: { text: "from the resource" } });
    const during = await rest("GET", ALL, { shape: ALL });
    expect([during.body.total, during.body.shadowed]).toEqual([before.body.total, 1]);
    expect((await preview(id)).body.payload).toEqual({ text: "from the resource" });
    expectProblem(await remove(id), "template_managed");
    real.server.live.load(makeBuckets(ENTRIES));
    expect((await read(id)).body).toMatchObject({ managed_by: "api" });
    expect((await rest("GET", ALL)).body.shadowed).toBe(0);
  });
});

describe("rendering", () => {
  const variables = [
    { name: "name", required: true },
    { name: "count", type: "integer", default: 1 },
  ];
  const locales = [{ locale: "de", payload: { title: "Hallo {{ name }}" } }];

  test("a preview is what a send would send", async () => {
    const body = fresh({
      ...{ engine: "Liquid", variables, locales, ttl: 30, priority: "High" },
      payload_template: {
        title: "Hi {{ name | upcase }}{% if count > 1 %}s{% endif %}",
        count: "{{ count }}",
        foot: "{% render 'declared-footer', name: name %}",
      },
    });
    expect((await create(body)).status).toBe(201);
    const shown = await preview(body.id, { variables: { name: "Ada", count: 2 }, locale: "fr" });
    const payload = { title: "Hi ADAs", count: 2, foot: "-- Ada" };
    expect(shown.body).toEqual({ event_type: "order.shipped", payload, priority: "High", ttl: 30 });
    expect((await preview(body.id, { variables: { name: "Ada" }, locale: "de-AT" })).body.payload).toEqual({ title: "Hallo Ada" });
    const missing = await preview(body.id);
    expectProblem(missing, "validation_error");
    expect(missing.body.errors).toEqual([{ pointer: "/variables/name", detail: "is required by the template" }]);
    const sent = { target_user_id: "ada", template_id: body.id, variables: { name: "Ada", count: 2 } };
    expect((await rest("POST", "/api/v1/notifications/send", { body: sent })).status).toBe(200);
    const inbox = await rest("GET", "/api/v1/users/ada/inbox");
    expect(inbox.body.entries).toMatchObject([{ event_type: "order.shipped", payload, metadata: { priority: "High", ttl: 30 } }]);
  });

  test("a template that cannot be rendered is refused when it is sent, in words for its author", async () => {
    const send = (id: string, given: Body = {}) =>
      rest("POST", "/api/v1/notifications/send", { body: { target_user_id: "ada", template_id: id, variables: given } });
    const broken = fresh({ engine: "Liquid", payload_template: "{% render 'nowhere' %}" });
    await create(broken);
    const answer = await send(broken.id);
    expectProblem(answer, "validation_error");
    expect(answer.body.errors).toEqual([{ pointer: "/template_id", detail: "the partial nowhere is no template of the tenant" }]);
    const bomb = fresh({ engine: "Liquid", payload_template: ["{% for i in (1..9999999) %}x{% endfor %}"] });
    await create(bomb);
    expectProblem(await send(bomb.id), "validation_error");
    expectProblem(await preview(bomb.id), "validation_error");
    const wide = fresh({ engine: "Liquid", payload_template: ["{% for i in (1..3000) %}x{% endfor %}"] });
    await create(wide);
    expectProblem(await send(wide.id), "payload_too_large");
    expectProblem(await preview(wide.id), "payload_too_large");
    expectProblem(await send("none"), "unknown_template");
  });

  test("an update is what the next send renders", async () => {
    const body = fresh({ payload_template: "first" });
    await create(body);
    expect((await preview(body.id)).body.payload).toBe("first");
    await update(body.id, { payload_template: "second" });
    expect((await preview(body.id)).body.payload).toBe("second");
    await remove(body.id);
    await create({ ...body, payload_template: "third" });
    expect((await preview(body.id)).body.payload).toBe("third");
  });

  test("whatever is stored, asked for and filled in, no answer is a failure of the server", async () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 10 }),
      fc.constantFrom(
        "{{ a }}",
        "{{a}}",
        "{% for i in a %}",
        "{% endfor %}",
        "{{ a | json }}",
        "{% render 'declared-footer' %}",
        "[",
        "]",
        ",",
        "}}",
      ),
    );
    const source = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
    const payload = fc.oneof(source, fc.dictionary(source, source, { maxKeys: 3 }), fc.jsonValue());
    const engine = fc.constantFrom("Simple", "Liquid");
    await fc.assert(
      fc.asyncProperty(payload, engine, fc.jsonValue(), fc.string({ maxLength: 40 }), async (payload_template, one, a, locale) => {
        const body = fresh({ payload_template, engine: one });
        const created = await create(body);
        expect([201, 400]).toContain(created.status);
        const shown = await preview(body.id, { variables: { a }, locale });
        expect(created.status === 201 ? [200, 413, 422] : [404, 422]).toContain(shown.status);
        expect([204, 404]).toContain((await remove(body.id)).status);
        expect([404, 422]).toContain((await rest("GET", `${ALL}/${encodeURIComponent(locale.replaceAll(".", "-") || "x")}`)).status);
      }),
      fuzzSettings(5),
    );
  });
});
