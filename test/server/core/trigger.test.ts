// Why: what arrives through Redis is judged here, without a Redis: whom a body is for, what can never be published, and
// what is worth another try.
import { expect, test } from "bun:test";
import { Failure } from "@nexus/protocol/failures.ts";
import type { Publisher } from "@nexus/server/core/publish.ts";
import { createTriggerSink, type TriggerSink } from "@nexus/server/core/trigger.ts";
import { startServer, TENANT, type TestServer } from "../../support/server.ts";

const event = { event_type: "test", payload: 1 };
const told: unknown[] = [];
const log = { error: (event: string) => void told.push(event) };
const sinkOf = ({ live, app }: TestServer): TriggerSink => createTriggerSink({ tenants: live, publisher: app.node.publisher, log });
const take = (sink: TriggerSink, body: unknown, idempotencyKey?: string) =>
  sink({ body: JSON.stringify(body), source: "redis:x", ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
const inboxOf = async ({ engine }: TestServer, user: string) =>
  (await engine.store.unread({ kind: "inbox", tenant: TENANT, user })).entries.map(({ notification }) => notification);

test("the body names the receivers: one user, several, a channel, several, everybody", async () => {
  await using server = startServer({ channels: [{ match: "*", history: { size: 10, ttlSeconds: 60 } }] });
  const sink = sinkOf(server);
  const bodies = [
    { type: "user", target: "ann", event },
    { type: "users", target: ["ann", "bob"], event },
    { type: "users", target: "bob", event },
    { type: "channel", target: "news", event },
    { type: "channels", target: ["news", "sport"], event },
    { type: "broadcast", target: null, event },
    { type: "broadcast", audience: { type: "Users", value: ["ann"] }, event },
  ];
  for (const body of bodies) expect(await take(sink, { ...body, tenant_id: TENANT, unknown: 1 })).toEqual({ kind: "published" });
  expect([(await inboxOf(server, "ann")).length, (await inboxOf(server, "bob")).length]).toEqual([2, 2]);
  for (const [channel, count] of [
    ["news", 2],
    ["sport", 1],
  ] as const) {
    expect((await server.engine.store.page({ kind: "channel", tenant: TENANT, channel }, { limit: 10 })).entries.length).toBe(count);
  }
});

test("content stands in event or beside it, event wins, and the source is the way it came", async () => {
  await using server = startServer();
  const sink = sinkOf(server);
  const common = { type: "user", target: "ann", tenant_id: TENANT };
  await take(sink, { ...common, event: { ...event, priority: "High", correlation_id: "c" } });
  await take(sink, { ...common, event_type: "beside", payload: 2 });
  await take(sink, { ...common, event_type: "beside", payload: 2, event: { payload: null, source: "own" } });
  expect((await inboxOf(server, "ann")).map(({ eventType, payloadJson, metadata }) => [eventType, payloadJson, metadata])).toEqual([
    ["test", "1", { source: "redis:x", priority: "High", correlation_id: "c" }],
    ["beside", "2", { source: "redis:x", priority: "Normal" }],
    ["beside", "null", { source: "own", priority: "Normal" }],
  ]);
});

test("what can never be read and what can never be published are told apart", async () => {
  await using server = startServer();
  const sink = sinkOf(server);
  const common = { type: "user", target: "ann", tenant_id: TENANT };
  expect(await sink({ body: "{", source: "x" })).toEqual({ kind: "invalid", code: "invalid_json" });
  expect(await sink({ body: `"${"x".repeat(1_100_000)}"`, source: "x" })).toEqual({ kind: "invalid", code: "payload_too_large" });
  for (const wrong of [
    null,
    [],
    { ...common, type: "all", event },
    { ...common, target: ["ann"], event },
    { ...common, target: 5, event },
  ]) {
    expect(await take(sink, wrong)).toEqual({ kind: "invalid", code: "validation_error" });
  }
  expect(await take(sink, common)).toEqual({ kind: "refused", code: "validation_error" });
  expect(await take(sink, { ...common, target: "", event })).toEqual({ kind: "refused", code: "validation_error" });
  expect(await take(sink, { ...common, template_id: "none" })).toEqual({ kind: "refused", code: "unknown_template" });
  expect(await take(sink, { type: "user", target: "ann", event })).toEqual({ kind: "refused", code: "not_found" }); // no tenant `default` here
});

test("over a quota and without a broker the same may succeed later", async () => {
  await using server = startServer({ quotas: { publishPerSecond: 1, publishBurst: 1 } });
  const body = { type: "user", target: "ann", tenant_id: TENANT, event };
  const sink = sinkOf(server);
  expect(await take(sink, body)).toEqual({ kind: "published" });
  expect(await take(sink, body)).toEqual({ kind: "later", code: "rate_limited", retryAfterSeconds: 1 });
  const broken = (error: Error): TriggerSink => {
    const publish = () => Promise.reject(error);
    return createTriggerSink({ tenants: server.live, log, publisher: { publish, publishMany: publish } satisfies Partial<Publisher> });
  };
  const away = new Failure({ code: "broker_unavailable", detail: "away" });
  expect(await take(broken(away), body)).toMatchObject({ kind: "later", code: "broker_unavailable" });
  expect(told).toEqual([]);
  expect(await take(broken(new Error("bug")), body)).toMatchObject({ kind: "later", code: "internal" });
  expect(told).toEqual(["trigger.failed"]);
});

test("the same key twice publishes once", async () => {
  await using server = startServer();
  const sink = sinkOf(server);
  const body = { type: "users", target: ["ann", "bob"], tenant_id: TENANT, event };
  for (let times = 0; times < 2; times++) expect(await take(sink, body, "trigger/x/1-0")).toEqual({ kind: "published" });
  expect([(await inboxOf(server, "ann")).length, (await inboxOf(server, "bob")).length]).toEqual([1, 1]);
});
