// Why: an acknowledgement takes an entry away from every later session of its user. In auto mode it must come for what the
// application is through with, and for nothing else; seldom, and again when nobody knows whether it arrived.
import { expect, test } from "bun:test";
import { NexusClient } from "@nexus/client/client.ts";
import { decodeCursor, streamHash } from "@nexus/protocol/cursor.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, TENANT } from "../support/server.ts";
import { clientOf, note, stateOf } from "./recorded-client.ts";
import { CONNECTED, scriptedServer } from "./scripted-server.ts";

const GREETING = { ...CONNECTED, streams: [stateOf("user", { offset: 10 })] };
const serverOf = () => scriptedServer({ greet: (peer) => peer.send(GREETING) });
const upTo = (offset: number) => ({ up_to: { epoch: "e", offset } });

test("many notifications are acknowledged with one frame, up to the last", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto" });
  await one.client.connect();
  const peer = await server.peer(0);
  for (const offset of [11, 12, 14]) peer.send(note(`n${offset}`, "user", offset));
  peer.send(note("other", "broadcast", 99));
  expect((await peer.next("Ack")).payload).toEqual(upTo(14));
  expect(peer.sent.filter(({ type }) => type === "Ack")).toEqual([]);
});

test("manual is the default: nothing is acknowledged by itself, also not at the end", async () => {
  await using server = serverOf();
  using one = clientOf(server.url);
  await one.client.connect();
  const peer = await server.peer(0);
  peer.send(note("n11", "user", 11));
  await eventually("delivered", () => one.events.notification.length === 1);
  one.client.close();
  await eventually("the server saw the end", () => peer.isClosed);
  expect(peer.sent.filter(({ type }) => type === "Ack")).toEqual([]);
});

test("what is done is acknowledged at the end of the client", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto" });
  await one.client.connect();
  const peer = await server.peer(0);
  peer.send(note("n11", "user", 11));
  await eventually("delivered", () => one.events.notification.length === 1);
  one.client.close();
  expect((await peer.next("Ack")).payload).toEqual(upTo(11));
});

test("one whose listener failed holds back those after it, and is where a later client goes on; ack() lets go", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto" });
  one.client.on("notification", ({ id }) => {
    if (id === "n12") throw new Error("a bug of the application");
  });
  await one.client.connect();
  const peer = await server.peer(0);
  for (const offset of [11, 12, 13]) peer.send(note(`n${offset}`, "user", offset));
  expect((await peer.next("Ack")).payload).toEqual(upTo(11));
  expect(decodeCursor(one.client.cursor() ?? "")?.get(streamHash("user"))).toEqual({ epoch: "e", offset: 11 });
  const acknowledged = one.client.ack("n12");
  const { id, payload } = await peer.next("Ack");
  expect(payload).toEqual({ notification_id: "n12" });
  peer.send({ type: "acked", id, notification_id: "n12" });
  await acknowledged;
  expect((await peer.next("Ack")).payload).toEqual(upTo(13));
});

test("a listener that works on is waited for, one that rejects counts as failed", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto" });
  const work = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  one.client.on("notification", ({ id }) => work[Number(id) - 11]?.promise);
  await one.client.connect();
  const peer = await server.peer(0);
  for (const offset of [11, 12, 13]) peer.send(note(String(offset), "user", offset));
  await eventually("delivered", () => one.events.notification.length === 3);
  const place = () => decodeCursor(one.client.cursor() ?? "")?.get(streamHash("user"))?.offset;
  expect(place()).toBe(10);
  work[0]?.resolve();
  expect((await peer.next("Ack")).payload).toEqual(upTo(11));
  work[1]?.reject(new Error("the application could not store it"));
  await eventually("told", () => one.events.error.length === 1);
  expect(one.events.error).toMatchObject([{ code: "HANDLER" }]);
  expect(place()).toBe(11);
});

test("without a listener nothing is acknowledged", async () => {
  await using server = serverOf();
  await using client = Object.assign(new NexusClient({ url: server.url, token: "t", ack: "auto" }), {
    [Symbol.asyncDispose]: async () => client.close(),
  });
  await client.connect();
  const peer = await server.peer(0);
  peer.send(note("n11", "user", 11));
  peer.send({ type: "heartbeat" });
  await peer.next("Ping"); // the notification was handled before
  client.close();
  await eventually("the server saw the end", () => peer.isClosed);
  expect(peer.sent).toEqual([]);
});

test("an acknowledgement that may be lost with its connection is sent again on the next", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto" });
  await one.client.connect();
  const first = await server.peer(0);
  first.send(note("n11", "user", 11));
  await first.next("Ack");
  first.close(4000);
  expect((await (await server.peer(1)).next("Ack")).payload).toEqual(upTo(11));
});

test("more in the works than may be: nothing after it is acknowledged, and all that is done before it is", async () => {
  await using server = serverOf();
  using one = clientOf(server.url, { ack: "auto", pendingAcks: 1 });
  const work = Promise.withResolvers<void>();
  one.client.on("notification", ({ id }) => (id === "n13" ? undefined : work.promise));
  await one.client.connect();
  const peer = await server.peer(0);
  for (const offset of [11, 12, 13]) peer.send(note(`n${offset}`, "user", offset));
  await eventually("delivered", () => one.events.notification.length === 3);
  work.resolve();
  expect((await peer.next("Ack")).payload).toEqual(upTo(11));
});

test("in an inbox in Acked mode the user's mark follows what the application is through with", async () => {
  await using server = startServer({ quotas: { inbox: { mode: "Acked" } } });
  await server.publish({ kind: "user", user: "ada" });
  const { id } = await server.publish({ kind: "user", user: "ada" });
  const inbox = { kind: "inbox", tenant: TENANT, user: "ada" } as const;
  using one = clientOf(server.app.url, { token: server.token("ada"), ack: "auto" });
  await one.client.connect();
  await eventually("nothing is unread", async () => (await server.engine.store.unread(inbox)).entries.length === 0);
  expect(one.events.notification.at(-1)?.id).toBe(id);
});
