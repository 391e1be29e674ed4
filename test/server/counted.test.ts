// Why: an alert is as good as what is counted: each attempt once, each failure as the fault of whose it is, latency of what
// is live. Over real sockets, with counters the test can read.
import { describe, expect, test } from "bun:test";
import { Failure } from "@nexus/protocol/failures.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, TENANT, type TestServer } from "../support/server.ts";
import { SseClient } from "../support/sse-client.ts";

const away = () => new Failure({ code: "broker_unavailable", detail: "The broker is away" });
const handshakes = ({ metrics }: TestServer, transport: string) =>
  ["accepted", "rejected", "failed"].map((outcome) => metrics.count("handshake", `${transport} ${outcome}`));
const subscribe = (channel: string) => ({ type: "Subscribe", payload: { channels: [channel] } });
/** The memory engine, with `enter` and `publish` that fail while `isBroken`. */
const breaking = (state: { isBroken: boolean }) => (memory: Engine) => {
  const { directory, store } = memory;
  return {
    ...memory,
    directory: new Proxy(directory, {
      get: (target, name) => (name === "enter" && state.isBroken ? () => Promise.reject(away()) : bound(target, name)),
    }),
    store: new Proxy(store, {
      get: (target, name) => (name === "publish" && state.isBroken ? () => Promise.reject(away()) : bound(target, name)),
    }),
  };
};
function bound<T extends object>(target: T, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === "function" ? value.bind(target) : value;
}

describe("a handshake", () => {
  test("is accepted when the session is open, and timed, whatever the transport", async () => {
    await using server = startServer();
    await using socket = await server.connect("ann");
    await socket.next("connected");
    await using stream = await SseClient.connect(`${server.app.url}/sse?token=${server.token("bob")}`);
    await stream.next("connected");
    await eventually("both counted", () => handshakes(server, "sse")[0] === 1 && handshakes(server, "websocket")[0] === 1);
    expect([handshakes(server, "websocket"), handshakes(server, "sse")]).toEqual([
      [1, 0, 0],
      [1, 0, 0],
    ]);
    expect([server.metrics.count("handshakeTook", "websocket"), server.metrics.count("handshakeTook", "sse")]).toEqual([1, 1]);
    expect(server.metrics.tallies.get(TENANT)?.sessions).toBe(2);
  });

  test("is rejected for what the client has to change: token, request, quota; and for a node that drains", async () => {
    await using server = startServer({ quotas: { connectionsPerUser: 1 } });
    await using first = await server.connect("ann");
    await first.next("connected");
    await using bad = await server.connect("ann", { query: "x", claims: { tenant_id: "nobody" } });
    expect(bad.answer.status).toBe(401);
    expect((await fetch(`${server.app.url}/ws`)).status).toBe(400);
    await using second = await server.connect("ann");
    await eventually("the second is told", () => second.closed);
    await using stream = await SseClient.connect(`${server.app.url}/sse?token=${server.token("ann")}`);
    expect(stream.status).toBe(429);
    server.app.node.refuseSessions();
    await using late = await server.connect("eve");
    expect(late.answer.status).toBe(503);
    expect([handshakes(server, "websocket"), handshakes(server, "sse")]).toEqual([
      [1, 4, 0],
      [0, 1, 0],
    ]);
    expect(server.metrics.count("refused", `${TENANT} connection_limit`)).toBe(2);
  });

  test("failed when the broker is away or there is no room: that is ours", async () => {
    const state = { isBroken: true };
    await using server = startServer({ engine: breaking(state), limits: { connectionsPerPod: 1 } });
    await using socket = await server.connect("ann");
    await eventually("it is let go", () => socket.closed);
    state.isBroken = false;
    await using open = await server.connect("bob");
    await open.next("connected");
    await using full = await server.connect("eve");
    expect(full.answer.status).toBe(503);
    await using stream = await SseClient.connect(`${server.app.url}/sse?token=${server.token("ann")}`);
    expect(stream.status).toBe(503);
    expect([handshakes(server, "websocket"), handshakes(server, "sse")]).toEqual([
      [1, 0, 2],
      [0, 0, 1],
    ]);
  });
});

describe("a publish", () => {
  const send = (server: TestServer, tenant: string, payload: unknown = 1) =>
    server.app.node.publisher.publish({
      ...{ tenant, source: "http-api", content: { event_type: "x", payload } },
      target: { kind: "user", user: "ann" },
    });

  test("is refused by the publisher's fault and failed by ours; each is timed, and counted for its tenant", async () => {
    const state = { isBroken: false };
    await using server = startServer({ engine: breaking(state), quotas: { payloadBytes: 256 } });
    await send(server, TENANT);
    await send(server, TENANT, "x".repeat(300));
    state.isBroken = true;
    expect(send(server, TENANT)).rejects.toBeInstanceOf(Failure);
    const counts = ["published", "replayed", "refused", "failed"].map((outcome) => server.metrics.count("published", `inbox ${outcome}`));
    expect(counts).toEqual([1, 0, 1, 1]);
    expect(server.metrics.count("publishTook", "inbox")).toBe(3);
    expect(server.metrics.count("published", TENANT)).toBe(3);
  });

  test("in a batch is counted item by item, as it would be alone", async () => {
    await using server = startServer({ quotas: { payloadBytes: 256 } });
    const item = (payload: unknown, key: string) => ({
      ...{ key, target: { kind: "channel" as const, channel: "news" }, content: { event_type: "x", payload } },
    });
    const outcome = await server.app.node.publisher.batch({
      ...{ tenant: TENANT, source: "http-api", stopOnError: false, deduplicate: false },
      items: [item(1, "a"), item("x".repeat(300), "b"), item(2, "c")],
    });
    expect(outcome).toMatchObject({ kind: "batch" });
    expect([server.metrics.count("published", "channel published"), server.metrics.count("published", "channel refused")]).toEqual([2, 1]);
    expect(server.metrics.count("publishTook", "channel")).toBe(3);
  });
});

describe("what is delivered", () => {
  test("live is timed once per entry; what a client catches up with is delivered, and not timed", async () => {
    await using server = startServer();
    for (let i = 0; i < 3; i++) await server.publish({ kind: "user", user: "ann" });
    await using first = await server.connect("ann");
    for (let i = 0; i < 3; i++) await first.next("notification");
    await eventually("all counted", () => server.metrics.count("delivered", "websocket") === 3);
    expect([server.metrics.count("deliveryLatency"), server.metrics.count("fannedOut")]).toEqual([0, 0]);
    await using second = await server.connect("bob");
    await first.ask(subscribe("a"), "subscribed");
    await second.ask(subscribe("a"), "subscribed");
    await server.publish({ kind: "channel", channel: "a" });
    await first.next("notification");
    await second.next("notification");
    await eventually("all counted", () => server.metrics.count("delivered", "websocket") === 5);
    expect([server.metrics.count("deliveryLatency"), server.metrics.count("fannedOut")]).toEqual([1, 1]);
    expect(server.metrics.tallies.get(TENANT)).toEqual({ sessions: 2, deliveries: 5 });
  });

  test("an ACK is counted, and timed from the write where it was live", async () => {
    await using server = startServer();
    await server.publish({ kind: "user", user: "ann" });
    await using client = await server.connect("ann");
    const ack = ({ id }: Readonly<Record<string, unknown>>) => client.ask({ type: "Ack", payload: { notification_id: id } }, "acked");
    await ack(await client.next("notification"));
    expect([server.metrics.count("acked", "one"), server.metrics.count("ackLatency")]).toEqual([1, 0]);
    const { id } = await server.publish({ kind: "user", user: "ann" });
    const live = await client.next("notification");
    expect(live.id).toBe(id);
    await ack(live);
    expect([server.metrics.count("acked", "one"), server.metrics.count("ackLatency")]).toEqual([2, 1]);
    const { epoch, offset } = await server.engine.store.top({ kind: "inbox", tenant: TENANT, user: "ann" });
    await client.ask({ type: "Ack", payload: { up_to: { epoch, offset } } }, "acked");
    client.send({ type: "Ack", payload: { notification_id: crypto.randomUUID() } });
    await client.next("error");
    expect([server.metrics.count("acked", "up_to"), server.metrics.count("acked", "one")]).toEqual([1, 2]);
  });

  test("streams come to are recovered, fresh or with a gap", async () => {
    await using server = startServer({ channels: [{ match: "kept", history: { size: 1, ttlSeconds: 60 } }] });
    await using client = await server.connect("ann");
    const before = server.metrics.count("resumed", "fresh");
    const { epoch } = await server.engine.store.top({ kind: "channel", tenant: TENANT, channel: "kept" });
    const since = (offset: number) => ({ type: "Subscribe", payload: { channels: [{ name: "kept", since: { epoch, offset } }] } });
    await client.ask(subscribe("kept"), "subscribed");
    await client.ask(since(0), "subscribed");
    for (let i = 0; i < 3; i++) await server.publish({ kind: "channel", channel: "kept" });
    await client.ask(since(0), "subscribed");
    const outcomes = ["fresh", "recovered", "gap"].map((outcome) => server.metrics.count("resumed", outcome));
    expect(outcomes).toEqual([before + 1, 1, 1]);
  });
});

test("sessions that are shed are counted, and their tenant has none of them afterwards", async () => {
  await using server = startServer();
  const clients = await Promise.all(["a", "b", "c"].map((user) => server.connect(user)));
  for (const client of clients) await client.next("connected");
  expect(server.app.node.sessions.shed(2, () => 1)).toBe(2);
  expect(server.metrics.count("sessionsShed")).toBe(2);
  expect(server.metrics.tallies.get(TENANT)?.sessions).toBe(1);
  for (const client of clients) await client[Symbol.asyncDispose]();
});
