// Why: a connection costs a stranger nothing, so one that does not get on with its request may not be held for long, and
// one whose peer vanished is noticed. No timing is asserted, only that each is cut, while the others are served.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { WsClient } from "../support/ws-client.ts";
import { KEY, Stranger, startTarget, upgradeRequest } from "./target.ts";

/** Bun cuts heads after 12 s and bodies after 30 s; this is how long the test is patient. */
const PATIENCE_MS = 50_000;
const EACH = 20;

test("heads, handshakes and bodies that never end are cut however busily they drip, and so is silence", async () => {
  await using target = await startTarget();
  const post = "POST /api/v1/notifications/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  const upgrade = upgradeRequest(await target.path("ws", "ann"), false);
  const attacks: readonly (readonly [first: string, drip: string])[] = [
    ["", ""],
    [post, "X-Drip: 1\r\n"],
    [upgrade, "X-Drip: 1\r\n"],
    ["GET /sse HTTP/1.1\r\n", ""],
    [`${post}X-API-Key: ${KEY}\r\nContent-Length: 60000\r\n\r\n`, "x"],
    [`${post}X-API-Key: ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n`, "1\r\nx\r\n"],
  ];
  const strangers = attacks.flatMap(([first, drip]) =>
    Array.from({ length: EACH }, () => ({ drip, stranger: new Stranger(target.port, first) })),
  );
  const dripping = setInterval(() => {
    for (const { drip, stranger } of strangers) if (drip !== "") stranger.say(drip);
  }, 500);
  await using bystander = await target.connect("bob");
  await eventually(
    "every one to be cut",
    async () => {
      await bystander.ask({ type: "Ping" }, "pong");
      return strangers.every(({ stranger }) => stranger.isEnded);
    },
    { timeoutMs: PATIENCE_MS },
  );
  clearInterval(dripping);
  expect(target.node.sessions.count()).toBe(1);
  await bystander[Symbol.asyncDispose]();
  await target.deserted();
}, 60_000);

test("peers that vanish without a word are closed with 4003 and give everything back", async () => {
  await using target = await startTarget({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
  await using proxy = await startTcpProxy({ host: "127.0.0.1", port: target.port });
  await using bystander = await target.connect("bob");
  await bystander.ask({ type: "Subscribe", payload: { channels: ["news"] } }, "subscribed");
  const clients = await Promise.all(
    Array.from({ length: EACH }, async (_, n) => {
      const client = await WsClient.connect(`ws://127.0.0.1:${proxy.port}${await target.path("ws", `gone-${n}`)}`);
      await client.ask({ type: "Subscribe", payload: { channels: ["news", `own-${n}`] } }, "subscribed");
      return client;
    }),
  );
  expect(target.node.sessions.load().subscriptions).toBe(2 * EACH + 1);
  proxy.stall();
  await target.publish("news", "is anybody there?");
  await eventually("all of them to be gone", () => target.node.sessions.count() === 1);
  expect(await target.metric('nexus_sessions_closed_total{transport="websocket",code="4003"}')).toBe(EACH);
  expect(target.node.sessions.load().subscriptions).toBe(1);
  await bystander.next("notification");
  await Promise.all([bystander, ...clients].map((client) => client[Symbol.asyncDispose]()));
  await target.deserted();
}, 60_000);
