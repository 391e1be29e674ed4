// Why: requests come from strangers before anything is known of them: too large, made up, cut off or without end in number.
// Each is answered as the contract says, and what is kept of them is bounded.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { SseClient } from "../support/sse-client.ts";
import { KEY, Stranger, startTarget } from "./target.ts";

test.each([
  ["a header of 1 MB", (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(1_000_000)}\r\n\r\n`],
  ["10,000 headers", (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${"X-Many: 1\r\n".repeat(10_000)}\r\n`],
  ["a query of 1 MB", (path: string) => `GET ${path}&x=${"x".repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
])("%s is refused on every door", async (_, requestOf) => {
  await using target = await startTarget();
  for (const path of [await target.path("ws", "ann"), await target.path("sse", "ann"), "/health?"]) {
    await using stranger = new Stranger(target.port, requestOf(path));
    await eventually("an answer or the end", () => stranger.heard !== "" || stranger.isEnded);
    if (stranger.heard !== "") expect(await stranger.status()).toStartWith("4");
  }
  await target.deserted();
});

test("an event stream that asks for more channels than it may hold gets those, and an error for the rest", async () => {
  await using target = await startTarget();
  const names = Array.from({ length: 900 }, (_, n) => `c${n}`).join(",");
  await using stream = await SseClient.connect(`${target.url}${await target.path("sse", "ann", `channels=${names}`)}`);
  expect((await stream.next("subscribed")).data.payload).toHaveLength(50);
  expect((await stream.next("error")).data).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
  expect(target.node.sessions.load().subscriptions).toBe(50);
  await stream[Symbol.asyncDispose]();
  await target.deserted();
});

test("clients that leave in the middle of a body are no failure of ours", async () => {
  await using target = await startTarget();
  const head = `POST /api/v1/notifications/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: ${KEY}\r\n`;
  for (const rest of ["Content-Length: 1000\r\n\r\n{", 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n']) {
    for (let n = 0; n < 20; n++) {
      await using stranger = new Stranger(target.port, head + rest);
      await eventually("the head to be on its way", () => stranger.isConnected, { intervalMs: 2 });
    }
  }
  const refused = () => target.metric('nexus_refusals_total{code="invalid_json"}');
  await eventually("all of them to be noticed", async () => (await refused()) === 40);
});

test("Idempotency-Keys without number share what memory keeps, and listeners do not notice", async () => {
  const KEYS = 4000;
  await using target = await startTarget({ env: { NEXUS_MEMORY_MAX_BYTES: "1048576" } });
  await using listener = await target.connect("bob");
  await listener.ask({ type: "Subscribe", payload: { channels: ["news"] } }, "subscribed");
  const publish = (n: number) =>
    fetch(`${target.url}/api/v1/notifications/channel`, {
      method: "POST",
      headers: { "x-api-key": KEY, "content-type": "application/json", "idempotency-key": `key-${n}` },
      body: JSON.stringify({ channel: "news", event_type: "test", payload: n }),
    }).then((answer) => answer.json() as Promise<{ notification_id: string }>);
  const first = await publish(0);
  for (let n = 1; n < KEYS; n++) await publish(n);
  const last = await publish(KEYS);
  expect((await publish(KEYS)).notification_id).toBe(last.notification_id);
  // 600 bytes each: the first has left, so it is a publish of its own again.
  expect((await publish(0)).notification_id).not.toBe(first.notification_id);
  await eventually("everything at the listener", () => listener.frames.filter(({ type }) => type === "notification").length === KEYS + 2);
  await listener[Symbol.asyncDispose]();
  await target.deserted();
}, 60_000);
