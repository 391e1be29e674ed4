// Why: Bun takes whatever is pushed into a stream, for ever. A listener that never reads must cost a bounded queue and then
// its connection, and nobody else anything.
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { eventually } from "../../support/eventually.ts";
import { startServer } from "../../support/server.ts";
import { SseClient } from "../../support/sse-client.ts";

test("a listener that does not read is let go when its queue is full; others get everything; memory is bounded", async () => {
  const QUEUE_BYTES = 262_144;
  await using server = startServer({ limits: { sendQueueBytes: QUEUE_BYTES } });
  const { port } = new URL(server.app.url);
  await using reader = await SseClient.connect(`${server.app.url}/sse?token=${server.token("ann")}&channels=news`);
  await reader.next("connected");
  await reader.next("subscribed");
  const silent = connect({ host: "127.0.0.1", port: Number(port) });
  silent.pause();
  silent.write(`GET /sse?token=${server.token("bob")}&channels=news HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually("the silent listener to be there", () => server.app.node.sessions.load().subscriptions === 2);
  const payload = "x".repeat(16_384);
  let sent = 0;
  let highest = 0;
  while (server.app.node.sessions.count() === 2 && sent < 4000) {
    await server.publish({ kind: "channel", channel: "news" }, { event_type: "big", payload });
    sent++;
    highest = Math.max(highest, server.app.node.sessions.load().queuedBytes);
    await eventually("the reader to have it", () => reader.events.length === sent, { intervalMs: 1 });
  }
  expect(server.app.node.sessions.count()).toBe(1);
  expect(highest).toBeLessThanOrEqual(QUEUE_BYTES);
  expect(reader.events.length).toBe(sent);
  silent.destroy();
}, 60_000);

test("DropOldest tells the gap when the listener reads again", async () => {
  await using server = startServer({
    limits: { sendQueueBytes: 65_536 },
    channels: [{ match: "news", history: { size: 5, ttlSeconds: 60 }, slowConsumer: "DropOldest" }],
  });
  const { port } = new URL(server.app.url);
  const silent = connect({ host: "127.0.0.1", port: Number(port) });
  silent.pause();
  silent.write(`GET /sse?token=${server.token("bob")}&channels=news HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually("the silent listener to be there", () => server.app.node.sessions.load().subscriptions === 1);
  const payload = "x".repeat(16_384);
  await eventually("entries to be dropped", async () => {
    for (let i = 0; i < 20; i++) await server.publish({ kind: "channel", channel: "news" }, { event_type: "big", payload });
    return server.metrics.count("dropped", "slow_consumer");
  });
  let text = "";
  silent.on("data", (chunk) => {
    text = (text + chunk.toString()).slice(-200_000);
  });
  silent.resume();
  await eventually("the gap", () => text.includes("event: gap"));
  expect(server.app.node.sessions.count()).toBe(1);
  silent.destroy();
}, 60_000);
