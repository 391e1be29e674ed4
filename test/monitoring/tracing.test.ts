// Why: one trace from a publisher to the ACK, over two servers that share nothing but Redis, as a collector that others wrote
// understood it; and the promise that tracing costs nobody a delivery, whatever the collector does.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ensurePackages } from "../support/apt.ts";
import { unavailableBinaries } from "../support/cluster/binaries.ts";
import { eventually } from "../support/eventually.ts";
import { type Fleet, startFleet } from "../support/fleet/fleet.ts";
import type { FleetNode } from "../support/fleet/node.ts";
import { type OtelCollector, type SeenSpan, startOtelCollector } from "../support/otel-collector.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { WsClient } from "../support/ws-client.ts";

const missing = unavailableBinaries(["otelcol"]) ?? (await ensurePackages(["redis-server"]));
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

let redis: RedisServer;
let collector: OtelCollector;
let fleet: Fleet;

beforeAll(async () => {
  if (missing !== undefined) return;
  [redis, collector] = await Promise.all([startRedis(), startOtelCollector()]);
  const settings = {
    NEXUS_TRACING_ENDPOINT: collector.endpoint,
    NEXUS_TRACING_SAMPLE_PERCENT: "0",
    NEXUS_TRACING_INCOMING_PER_SECOND: "20",
  };
  fleet = await startFleet({ nodes: 2, redis: { env: { NEXUS_REDIS_ADDRESSES: redis.address } }, settings });
}, 300_000);
afterAll(async () => {
  fleet?.checkErrors();
  await fleet?.[Symbol.asyncDispose]();
  await collector?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

const nodeAt = (index: number): FleetNode => fleet.nodes[index] ?? expect.unreachable();
const nameOf = (span: SeenSpan) => span.resource["service.instance.id"];

async function listen(node: FleetNode, user: string, channels: readonly string[] = [], query = ""): Promise<WsClient> {
  const url = `${node.url.replace("http", "ws")}/ws?token=${fleet.boot.tokenOf(user)}${query}`;
  const client = await WsClient.connect(url, { protocols: ["nexus.v1.json"] });
  await eventually("connected", () => client.frames.some(({ type }) => type === "connected"));
  if (channels.length === 0) return client;
  client.send({ type: "Subscribe", payload: { channels } });
  await eventually("subscribed", () => client.frames.some(({ type }) => type === "subscribed"));
  return client;
}

let traces = 0;
const newTraceId = (): string => `${"a".repeat(24)}${String(++traces).padStart(8, "0")}`;
const CALLER = "00000000000000c1";

async function publish(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const answer = await fetch(`${nodeAt(0).url}/api/v1/notifications/${path}`, {
    method: "POST",
    headers: { "X-API-Key": fleet.boot.apiKey, "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ event_type: "order.shipped", payload: { secret: "a-planted-payload" }, ...body }),
  });
  expect(answer.status).toBe(200);
  const { notification_id } = (await answer.json()) as { notification_id: string }; // as docs/reference/rest.md says
  return notification_id;
}

const received = (client: WsClient, id: string) =>
  eventually("it arrived", () => client.frames.find((frame) => frame.type === "notification" && frame.id === id));

async function acknowledge(client: WsClient, id: string): Promise<void> {
  client.send({ type: "Ack", id: `ack-${id}`, payload: { notification_id: id } });
  await eventually("acknowledged", () => client.frames.some((frame) => frame.type === "acked" && frame.notification_id === id));
}

/** Spans of a trace, once there are so many. */
const traceOf = (traceId: string, count: number): Promise<readonly SeenSpan[]> =>
  eventually(`${count} spans of the trace`, async () => {
    const spans = (await collector.spans()).filter((span) => span.traceId === traceId);
    return spans.length >= count && spans;
  });

const only = (spans: readonly SeenSpan[], name: string, node?: string): SeenSpan => {
  const found = spans.filter((span) => span.name === name && (node === undefined || nameOf(span) === node));
  expect([name, found.length]).toEqual([name, 1]);
  return found[0] ?? expect.unreachable();
};

const nodeNames = (): readonly string[] => fleet.nodes.map(({ name }) => name);

describe.skipIf(missing !== undefined)("a trace that the publisher began", () => {
  test("goes on through Redis to the other node's delivery and the ACK", async () => {
    await using jane = await listen(nodeAt(1), "jane");
    const traceId = newTraceId();
    const id = await publish(
      "send",
      { target_user_id: "jane" },
      { traceparent: `00-${traceId}-${CALLER}-01`, tracestate: "vendor=opaque" },
    );
    await received(jane, id);
    await acknowledge(jane, id);

    const spans = await traceOf(traceId, 5);
    const [here, there] = nodeNames();
    const published = only(spans, "publish inbox", here);
    const stored = only(spans, "store inbox", here);
    const fanned = only(spans, "fan_out inbox", there);
    const delivered = only(spans, "deliver inbox", there);
    const acked = only(spans, "ack inbox", there);
    expect(spans.length).toBe(5);
    expect(published.parentSpanId).toBe(CALLER);
    expect(stored.parentSpanId).toBe(published.spanId);
    expect(fanned.parentSpanId).toBe(published.spanId);
    expect(delivered.parentSpanId).toBe(fanned.spanId);
    expect(acked.parentSpanId).toBe(delivered.spanId);
    expect([published, stored, fanned, delivered, acked].map(({ kind }) => kind)).toEqual([4, 3, 5, 5, 5]); // producer, client, consumer
    for (const span of spans) {
      expect(span.traceState).toBe("vendor=opaque");
      expect(span.endNanos).toBeGreaterThanOrEqual(span.startNanos);
      expect(Number(span.startNanos / 1_000_000n)).toBeWithin(Date.now() - 60_000, Date.now() + 1_000);
      expect(span.attributes).toMatchObject({ "messaging.system": "nexus", "nexus.tenant": "default", "nexus.stream": "inbox" });
      expect(span.resource).toMatchObject({ "service.name": "nexus-server", "service.namespace": "default/nexus" });
    }
    expect(delivered.attributes).toMatchObject({ "messaging.message.id": id, "nexus.delivery": "live", "nexus.transport": "websocket" });
    expect(fanned.attributes["nexus.sessions"]).toBe("1");
    // Causes come before what they cause; two processes of one machine share its clock.
    for (const [cause, effect] of [
      [published, stored],
      [published, fanned],
      [fanned, delivered],
      [delivered, acked],
    ] as const) {
      expect(effect.startNanos).toBeGreaterThanOrEqual(cause.startNanos);
    }
  });

  test("of a channel has one delivery a node, which says how many sessions were written", async () => {
    await using one = await listen(nodeAt(0), "ann", ["news"]);
    await using two = await listen(nodeAt(1), "bob", ["news"]);
    await using three = await listen(nodeAt(1), "eve", ["news"]);
    const traceId = newTraceId();
    const id = await publish("channel", { channel: "news" }, { traceparent: `00-${traceId}-${CALLER}-01` });
    for (const client of [one, two, three]) await received(client, id);
    const spans = await traceOf(traceId, 6);
    const sessions = nodeNames().map((name) => only(spans, "deliver channel", name).attributes["nexus.sessions"]);
    expect(sessions).toEqual(["1", "2"]);
    expect(nodeNames().map((name) => only(spans, "fan_out channel", name).attributes["nexus.sessions"])).toEqual(["1", "2"]);
  });

  test("goes on when somebody who was away comes back", async () => {
    const traceId = newTraceId();
    const id = await publish("send", { target_user_id: "away" }, { traceparent: `00-${traceId}-${CALLER}-01` });
    await traceOf(traceId, 2);
    await using away = await listen(nodeAt(1), "away");
    await received(away, id);
    await acknowledge(away, id);
    const spans = await traceOf(traceId, 4);
    const delivered = only(spans, "deliver inbox", nodeNames()[1]);
    expect(delivered.attributes["nexus.delivery"]).toBe("catch_up");
    expect(delivered.parentSpanId).toBe(only(spans, "publish inbox").spanId);
    expect(only(spans, "ack inbox").parentSpanId).toBe(delivered.spanId);
  });

  test("comes back with a cumulative ACK on another node than the delivery, once", async () => {
    const traceId = newTraceId();
    const there = await listen(nodeAt(1), "mover");
    const id = await publish("send", { target_user_id: "mover" }, { traceparent: `00-${traceId}-${CALLER}-01` });
    const { offset } = await received(there, id);
    await traceOf(traceId, 4);
    await there[Symbol.asyncDispose]();
    await using here = await listen(nodeAt(0), "mover");
    const { streams } = here.frames.find(({ type }) => type === "connected") ?? expect.unreachable();
    const { epoch } =
      (streams as readonly { readonly stream: string; readonly epoch: string }[]).find(({ stream }) => stream === "user") ??
      expect.unreachable();
    for (const ack of ["one", "again"]) {
      here.send({ type: "Ack", id: ack, payload: { up_to: { epoch, offset } } });
      await eventually("acknowledged", () => here.frames.some((one) => one.type === "acked" && one.id === ack));
    }
    const spans = await traceOf(traceId, 5);
    expect(only(spans, "ack inbox", nodeNames()[0]).parentSpanId).toBe(only(spans, "publish inbox").spanId);
    expect(spans.length).toBe(5);
  });

  test("comes with triggers, by PUBLISH and by XADD", async () => {
    await using kim = await listen(nodeAt(1), "kim");
    const [byPublish, byStream, byFields] = [newTraceId(), newTraceId(), newTraceId()];
    const [outside, inner] = [newTraceId(), newTraceId()];
    const body = (traceId: string) =>
      JSON.stringify({
        ...{ type: "user", target: "kim", event: { event_type: "test", payload: traceId } },
        traceparent: `00-${traceId}-${CALLER}-01`,
      });
    await eventually(
      "a node listens",
      async () => Number(await redisCommand(redis, ["PUBLISH", "notification:user:kim", body(byPublish)])) === 1,
    );
    await redisCommand(redis, ["XADD", "nexus:triggers", "*", "body", body(byStream)]);
    const plain = JSON.stringify({ type: "user", target: "kim", event: { event_type: "test", payload: 1 } });
    const fields = ["traceparent", `00-${byFields}-${CALLER}-01`, "tracestate", "vendor=1", "other", "x"];
    await redisCommand(redis, ["XADD", "nexus:triggers", "*", ...fields, "body", plain]);
    // What is in the body is nearer to what is published.
    await redisCommand(redis, ["XADD", "nexus:triggers", "*", "body", body(inner), "traceparent", `00-${outside}-${CALLER}-01`]);
    for (const traceId of [byPublish, byStream, byFields, inner]) {
      const spans = await traceOf(traceId, 4);
      expect(only(spans, "publish inbox").parentSpanId).toBe(CALLER);
      expect(only(spans, "deliver inbox").resource["service.instance.id"]).toBe(nodeNames()[1] as string);
    }
    expect(JSON.stringify(kim.frames)).not.toContain("traceparent");
  });

  test("of a list and of a batch is one trace, whose first streams are followed", async () => {
    const [list, batch] = [newTraceId(), newTraceId()];
    const users = Array.from({ length: 20 }, (_, index) => `u${index}`);
    await publish("send-to-users", { target_user_ids: users }, { traceparent: `00-${list}-${CALLER}-01` });
    const spans = await traceOf(list, 17);
    expect(only(spans, "publish inbox").attributes["messaging.batch.message_count"]).toBe("20");
    expect(spans.filter(({ name }) => name === "store inbox").length).toBe(16);
    const answer = await fetch(`${nodeAt(0).url}/api/v1/notifications/batch`, {
      method: "POST",
      headers: { "X-API-Key": fleet.boot.apiKey, "Content-Type": "application/json", traceparent: `00-${batch}-${CALLER}-01` },
      body: JSON.stringify({
        notifications: [
          { target: { type: "user", value: "u1" }, event_type: "a", payload: 1 },
          { target: { type: "channel", value: "news" }, event_type: "a", payload: 1 },
        ],
      }),
    });
    expect(answer.status).toBe(200);
    const ofBatch = await traceOf(batch, 3);
    expect(only(ofBatch, "store channel").parentSpanId).toBe(only(ofBatch, "publish batch").spanId);
    expect(only(ofBatch, "store inbox").parentSpanId).toBe(only(ofBatch, "publish batch").spanId);
  });
});

test.skipIf(missing !== undefined)("no span says whom it was for, what it said, or how somebody was let in", async () => {
  const text = JSON.stringify(await collector.spans(), (_key, value) => (typeof value === "bigint" ? String(value) : value));
  expect(text.length).toBeGreaterThan(1000);
  for (const planted of [
    "a-planted-payload",
    "jane",
    "away",
    fleet.boot.apiKey,
    fleet.boot.tokenOf("jane").split(".")[1],
    "order.shipped",
  ]) {
    expect(text).not.toContain(String(planted));
  }
});

test.skipIf(missing !== undefined)("what the caller does not record, and what no caller began, is not recorded", async () => {
  const traceId = newTraceId();
  await publish("send", { target_user_id: "quiet" }, { traceparent: `00-${traceId}-${CALLER}-00` });
  await publish("send", { target_user_id: "quiet" });
  const marker = newTraceId();
  await eventually("a later one is there", async () => {
    await publish("send", { target_user_id: "quiet" }, { traceparent: `00-${marker}-${CALLER}-01` });
    return (await collector.spans()).some((span) => span.traceId === marker);
  });
  const spans = await collector.spans();
  expect(spans.filter((span) => span.traceId === traceId)).toEqual([]);
  expect(spans.filter((span) => span.parentSpanId === "")).toEqual([]);
});

test.skipIf(missing !== undefined)("a caller who records everything gets no more than the rate", async () => {
  const ids = Array.from({ length: 120 }, newTraceId);
  const startedAt = performance.now();
  await Promise.all(ids.map((traceId) => publish("channel", { channel: "busy" }, { traceparent: `00-${traceId}-${CALLER}-01` })));
  const seconds = (performance.now() - startedAt) / 1000;
  const marker = newTraceId();
  await eventually("a later one is there", async () => {
    await publish("send", { target_user_id: "quiet" }, { traceparent: `00-${marker}-${CALLER}-01` });
    return (await collector.spans()).some((span) => span.traceId === marker);
  });
  const recorded = new Set((await collector.spans()).map(({ traceId }) => traceId).filter((traceId) => ids.includes(traceId)));
  expect(recorded.size).toBeWithin(1, Math.ceil(20 + seconds * 20) + 1);
});
