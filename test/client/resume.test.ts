// Why: after every connection an application either has everything or was told what it may lack. Each way a place can be
// kept, presented, refused or handed over is provoked here by a scripted server.
import { describe, expect, test } from "bun:test";
import { decodeCursor, encodeCursor, streamHash } from "@nexus/protocol/cursor.ts";
import { eventually } from "../support/eventually.ts";
import { clientOf, jwtOf, note, stateOf, subscribed } from "./recorded-client.ts";
import { CONNECTED, type Peer, scriptedServer } from "./scripted-server.ts";

const greeting = (...streams: object[]) => ({ ...CONNECTED, streams });
/** What each connection is told, the last one for all that follow. */
const greets =
  (...all: (readonly object[])[]) =>
  (count: () => number) =>
  (peer: Peer) =>
    peer.send(greeting(...(all[Math.min(count(), all.length) - 1] ?? [])));

function serverOf(...all: (readonly object[])[]) {
  const server = scriptedServer({ greet: (peer) => greets(...all)(() => server.peers.length)(peer) });
  return server;
}
const places = (cursor: string | undefined) => decodeCursor(cursor ?? "");

describe("inbox and broadcast", () => {
  test("are gone on with from where they stood, by ?cursor=", async () => {
    await using server = serverOf([stateOf("user", { offset: 3 }), stateOf("broadcast", { epoch: "b", offset: 7 })]);
    using one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    expect(first.cursor).toBeUndefined();
    first.send(note("n4", "user", 4));
    await eventually("delivered", () => one.events.notification.length === 1);
    first.close(4000);
    const { cursor } = await server.peer(1);
    expect(places(cursor)).toEqual(
      new Map([
        [streamHash("user"), { epoch: "e", offset: 4 }],
        [streamHash("broadcast"), { epoch: "b", offset: 7 }],
      ]),
    );
  });

  test("what is not recovered is told once, and the new place counts from then on", async () => {
    const lost = stateOf("user", { epoch: "new", offset: 1, outcome: "not_recovered", reason: "epoch_changed" });
    await using server = serverOf([stateOf("user")], [lost], [stateOf("user", { epoch: "new", offset: 1, outcome: "recovered" })]);
    using one = clientOf(server.url);
    await one.client.connect();
    (await server.peer(0)).close(4000);
    await eventually("told", () => one.events.gap.length === 1);
    (await server.peer(1)).close(4000);
    expect(places((await server.peer(2)).cursor)?.get(streamHash("user"))).toEqual({ epoch: "new", offset: 1 });
    await eventually("connected again", () => one.events.connected.length === 3);
    expect(one.events.gap).toEqual([{ stream: "user", reason: "epoch_changed", recovered: false }]);
  });

  test("of a stream that keeps nothing no place is presented, and every return is told", async () => {
    const live = stateOf("broadcast", { epoch: "0" });
    await using server = serverOf([stateOf("user"), live], [stateOf("user", { outcome: "recovered" }), live]);
    using one = clientOf(server.url);
    await one.client.connect();
    (await server.peer(0)).close(4000);
    expect([...(places((await server.peer(1)).cursor)?.keys() ?? [])]).toEqual([streamHash("user")]);
    await eventually("told", () => one.events.gap.length === 1);
    expect(one.events.gap).toEqual([{ stream: "broadcast", reason: "not_kept", recovered: false }]);
  });

  test("a gap while connected moves the place", async () => {
    await using server = serverOf([stateOf("user")]);
    using one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    first.send({ type: "gap", stream: "user", reason: "hole", epoch: "f", offset: 9 });
    await eventually("told", () => one.events.gap.length === 1);
    first.close(4000);
    expect(places((await server.peer(1)).cursor)?.get(streamHash("user"))).toEqual({ epoch: "f", offset: 9 });
  });

  test("of another user nothing is presented", async () => {
    await using server = serverOf([stateOf("user", { offset: 3 })]);
    const tokens = [jwtOf("ada", 3600), jwtOf("ada", 7200), jwtOf("bob", 3600)];
    using one = clientOf(server.url, { token: () => tokens.shift() ?? "" });
    await one.client.connect();
    (await server.peer(0)).close(4000);
    expect((await server.peer(1)).cursor).toBeDefined(); // a newer token of the same user
    (await server.peer(1)).close(4000);
    expect((await server.peer(2)).cursor).toBeUndefined();
  });
});

describe("handed over", () => {
  test("a later client goes on in every stream, also in a channel it subscribes afterwards", async () => {
    await using server = serverOf([stateOf("user", { offset: 2 })], [stateOf("user", { offset: 2, outcome: "recovered" })]);
    let cursor: string | undefined;
    {
      using one = clientOf(server.url);
      expect(one.client.cursor()).toBeUndefined();
      await one.client.connect();
      const peer = await server.peer(0);
      const asked = one.client.subscribe("a", () => undefined);
      peer.send(subscribed((await peer.next("Subscribe")).id, "a", { offset: 5 }));
      await asked;
      cursor = one.client.cursor();
    }
    expect(cursor).toMatch(/^[A-Za-z0-9_.-]+$/);
    using next = clientOf(server.url, { cursor });
    expect(next.client.cursor()).toBeDefined(); // a page that is left before it is connected loses nothing
    await next.client.connect();
    const peer = await server.peer(1);
    expect(places(peer.cursor)?.get(streamHash("user"))).toEqual({ epoch: "e", offset: 2 });
    const asked = next.client.subscribe("a", () => undefined);
    const { id, payload } = await peer.next("Subscribe");
    expect(payload).toEqual({ channels: [{ name: "a", since: { epoch: "e", offset: 5 } }] });
    peer.send(subscribed(id, "a", { offset: 8, outcome: "not_recovered", reason: "window_exceeded" }));
    await asked;
    expect(next.events.gap).toEqual([{ stream: "channel:a", channel: "a", reason: "window_exceeded", recovered: false }]);
  });

  test("a cursor of the server itself is as good", async () => {
    await using server = serverOf([]);
    const cursor = encodeCursor([["user", { epoch: "e", offset: 2 }]]);
    using one = clientOf(server.url, { cursor });
    await one.client.connect();
    expect((await server.peer(0)).cursor).toBe(cursor);
  });

  test.each(["nonsense!", "abc", "."])("what is no cursor (%p) is told, and nothing is presented", async (cursor) => {
    await using server = serverOf([stateOf("user")]);
    using one = clientOf(server.url, { cursor });
    await one.client.connect();
    expect((await server.peer(0)).cursor).toBeUndefined();
    expect(one.events.error).toMatchObject([{ code: "INVALID_CURSOR" }]);
  });
});

describe("channels", () => {
  async function held(refusal: object) {
    const server = serverOf([]);
    const one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    const asked = one.client.subscribe("a", () => undefined);
    first.send(subscribed((await first.next("Subscribe")).id, "a", { offset: 1 }));
    await asked;
    first.close(4000);
    const second = await server.peer(1);
    const { id } = await second.next("Subscribe");
    second.send({ type: "error", id, message: "no", ...refusal });
    return { server, one, second };
  }

  test("one that cannot be joined just now is asked for again, from the same place", async () => {
    const { server, one, second } = await held({ code: "BROKER_UNAVAILABLE", retry: true });
    await using _server = server;
    using _client = one;
    expect((await second.next("Subscribe")).payload).toEqual({ channels: [{ name: "a", since: { epoch: "e", offset: 1 } }] });
    expect(one.events.unsubscribed).toEqual([]);
  });

  test("one that is refused after a return is told as lost", async () => {
    const { server, one } = await held({ code: "FORBIDDEN", retry: false });
    await using _server = server;
    using _client = one;
    await eventually("told", () => one.events.unsubscribed.length === 1);
    expect(one.events.unsubscribed).toMatchObject([{ channel: "a", error: { code: "FORBIDDEN" } }]);
  });

  test("one that the server ends is told, and not asked for again", async () => {
    await using server = serverOf([]);
    using one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    const asked = one.client.subscribe("a", () => undefined);
    first.send(subscribed((await first.next("Subscribe")).id, "a", {}));
    await asked;
    first.send({ type: "unsubscribed", payload: ["a", "never.held"] });
    await eventually("told", () => one.events.unsubscribed.length === 1);
    expect(one.events.unsubscribed).toMatchObject([{ channel: "a", error: { code: "FORBIDDEN" } }]);
    first.close(4000);
    const second = await server.peer(1);
    await eventually("connected again", () => one.events.connected.length === 2);
    second.send({ type: "heartbeat" });
    await second.next("Ping"); // sent after anything that was to be subscribed
    expect(second.sent).toEqual([]);
  });
});

test("a place that a session of its own still holds is waited for, once it was let in", async () => {
  await using server = scriptedServer({ greet: (peer) => (server.peers.length === 2 ? peer.close(4505) : peer.send(CONNECTED)) });
  using one = clientOf(server.url);
  await one.client.connect();
  (await server.peer(0)).close(4000);
  await server.peer(2);
  await eventually("connected again", () => one.events.connected.length === 2);
});
