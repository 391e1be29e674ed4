// Why: whoever comes back gets exactly what was missed, or is told that it cannot be had. Never a part as if it were whole.
import { expect, test } from "bun:test";
import { encodeCursor, type Position } from "@nexus/protocol/cursor.ts";
import { startServer, TENANT } from "../../support/server.ts";
import type { WireFrame, WsClient } from "../../support/ws-client.ts";

const KEPT = [
  { match: "kept.*", history: { size: 3, ttlSeconds: 60 } },
  { match: "@broadcast", history: { size: 10, ttlSeconds: 60 } },
];
const channel = (name: string) => ({ kind: "channel", channel: name }) as const;
const since = (name: string, position: Position) => ({ type: "Subscribe", payload: { channels: [{ name, since: position }] } });
const states = (frame: WireFrame) => frame.streams as readonly (Position & { stream: string; outcome: string; reason?: string })[]; // checked by each test

async function held(client: WsClient, name: string): Promise<Position> {
  const [state] = states(await client.ask({ type: "Subscribe", payload: { channels: [name] } }, "subscribed"));
  return { epoch: state?.epoch ?? "", offset: state?.offset ?? -1 };
}

test("Subscribe with since sends what the channel kept, after saying recovered, and goes on live without a double", async () => {
  await using server = startServer({ channels: KEPT });
  await using client = await server.connect("ann");
  const start = await held(client, "kept.a");
  await client.ask({ type: "Unsubscribe", payload: { channels: ["kept.a"] } }, "unsubscribed");
  const missed = [await server.publish(channel("kept.a")), await server.publish(channel("kept.a"))];
  const [state] = states(await client.ask(since("kept.a", start), "subscribed"));
  expect(state).toMatchObject({ outcome: "recovered", offset: 0 });
  const live = await server.publish(channel("kept.a"));
  const got = [await client.next("notification"), await client.next("notification"), await client.next("notification")];
  expect(got.map(({ id }) => id)).toEqual([...missed, live].map(({ id }) => id));
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames.filter(({ type }) => type === "notification")).toEqual([]);
});

test("a place before the window is not_recovered window_exceeded, and nothing of the rest is sent as if it were whole", async () => {
  await using server = startServer({ channels: KEPT });
  await using client = await server.connect("ann");
  const start = await held(client, "kept.a");
  await client.ask({ type: "Unsubscribe", payload: { channels: ["kept.a"] } }, "unsubscribed");
  for (let i = 0; i < 5; i++) await server.publish(channel("kept.a"));
  const [state] = states(await client.ask(since("kept.a", start), "subscribed"));
  expect(state).toMatchObject({ outcome: "not_recovered", reason: "window_exceeded", offset: 5 });
  const { id } = await server.publish(channel("kept.a"));
  expect((await client.next("notification")).id).toBe(id);
});

test("another epoch and a place ahead of the stream cannot be verified", async () => {
  await using server = startServer({ channels: KEPT });
  await server.publish(channel("kept.a"));
  await using client = await server.connect("ann");
  const { epoch } = await server.engine.store.top({ kind: "channel", tenant: TENANT, channel: "kept.a" });
  const [other] = states(await client.ask(since("kept.a", { epoch: "another", offset: 0 }), "subscribed"));
  expect(other).toMatchObject({ outcome: "not_recovered", reason: "epoch_changed" });
  const [ahead] = states(await client.ask(since("kept.a", { epoch, offset: 7 }), "subscribed"));
  expect(ahead).toMatchObject({ outcome: "not_recovered", reason: "unverifiable" });
});

test("a channel that keeps nothing never says recovered", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  const start = await held(client, "live");
  const [state] = states(await client.ask(since("live", start), "subscribed"));
  expect(state).toMatchObject({ outcome: "not_recovered", reason: "unverifiable" });
});

test("?cursor= serves the inbox from the cursor, whatever the mark, and channels when they are subscribed", async () => {
  await using server = startServer({ channels: KEPT });
  const first = await server.publish({ kind: "user", user: "ann" });
  let inbox: Position;
  let kept: Position;
  {
    await using client = await server.connect("ann");
    const [state] = states(await client.next("connected"));
    inbox = { epoch: state?.epoch ?? "", offset: 0 };
    expect((await client.next("notification")).id).toBe(first.id); // the mark is behind it now
    kept = await held(client, "kept.a");
  }
  const second = await server.publish({ kind: "user", user: "ann" });
  const third = await server.publish(channel("kept.a"));
  const cursor = encodeCursor([
    ["user", inbox],
    ["channel:kept.a", kept],
  ]);
  await using client = await server.connect("ann", { query: `cursor=${cursor}` });
  expect(states(await client.next("connected"))).toMatchObject([
    { stream: "user", outcome: "recovered", offset: 0 },
    { stream: "broadcast", outcome: "fresh" },
  ]);
  expect([(await client.next("notification")).id, (await client.next("notification")).id]).toEqual([first.id, second.id]);
  const [state] = states(await client.ask({ type: "Subscribe", payload: { channels: ["kept.a"] } }, "subscribed"));
  expect(state).toMatchObject({ outcome: "recovered" });
  expect((await client.next("notification")).id).toBe(third.id);
});

test("an unreadable ?cursor= is told, and the user still gets what nobody of theirs has had", async () => {
  await using server = startServer();
  const { id } = await server.publish({ kind: "user", user: "ann" });
  await using client = await server.connect("ann", { query: "cursor=!!" });
  expect(states(await client.next("connected"))).toMatchObject([{ outcome: "not_recovered", reason: "unverifiable" }, {}]);
  expect(await client.next("error")).toMatchObject({ code: "INVALID_CURSOR" });
  expect((await client.next("notification")).id).toBe(id);
});

test("an inbox cursor from before a restart is epoch_changed, and unread entries come all the same", async () => {
  await using server = startServer();
  const { id } = await server.publish({ kind: "user", user: "ann" });
  const cursor = encodeCursor([["user", { epoch: "before", offset: 40 }]]);
  await using client = await server.connect("ann", { query: `cursor=${cursor}` });
  expect(states(await client.next("connected"))).toMatchObject([{ outcome: "not_recovered", reason: "epoch_changed", offset: 0 }, {}]);
  expect((await client.next("notification")).id).toBe(id);
});

test("Resume answers every held stream the cursor names and sends what was missed", async () => {
  await using server = startServer({ channels: KEPT });
  await using client = await server.connect("ann");
  const connected = states(await client.next("connected"));
  const kept = await held(client, "kept.a");
  const published = [await server.publish(channel("kept.a")), await server.publish({ kind: "broadcast" })];
  await client.next("notification");
  await client.next("notification");
  const broadcast = connected.find(({ stream }) => stream === "broadcast") ?? kept;
  const cursor = encodeCursor([
    ["channel:kept.a", kept],
    ["broadcast", broadcast],
    ["channel:never.held", kept],
  ]);
  const resumed = await client.ask({ type: "Resume", id: 5, payload: { cursor } }, "resumed");
  expect(resumed.id).toBe(5);
  expect(states(resumed).map(({ stream, outcome }) => [stream, outcome])).toEqual([
    ["broadcast", "recovered"],
    ["channel:kept.a", "recovered"],
  ]);
  const again = [await client.next("notification"), await client.next("notification")];
  expect(again.map(({ id }) => id).sort()).toEqual(published.map(({ id }) => id).sort());
});

test("Resume with something that is no cursor is INVALID_CURSOR and the session stays", async () => {
  await using server = startServer();
  await using client = await server.connect("ann");
  expect(await client.ask({ type: "Resume", id: "r", payload: { cursor: "abc" } }, "error")).toMatchObject({
    code: "INVALID_CURSOR",
    id: "r",
  });
  await client.ask({ type: "Ping" }, "pong");
});

test("a broadcast that is kept reaches those of its audience who were away, and nobody else", async () => {
  await using server = startServer({ channels: KEPT });
  let cursor: string | undefined;
  {
    await using client = await server.connect("ann");
    const broadcast = states(await client.next("connected"))[1];
    cursor = broadcast && encodeCursor([["broadcast", broadcast]]);
  }
  await server.publish({ kind: "broadcast", audience: { type: "Users", value: "bob" } });
  const { id } = await server.publish({ kind: "broadcast", audience: { type: "Users", value: ["ann"] } });
  await using client = await server.connect("ann", { query: `cursor=${cursor}` });
  expect((await client.next("notification")).id).toBe(id);
  await client.ask({ type: "Ping" }, "pong");
  expect(client.frames.filter(({ type }) => type === "notification")).toEqual([]);
});

test("an Ara client has since too: its frames are the same", async () => {
  await using server = startServer({ channels: KEPT });
  const { id } = await server.publish(channel("kept.a"));
  const { epoch } = await server.engine.store.top({ kind: "channel", tenant: TENANT, channel: "kept.a" });
  await using client = await server.connect("ann", { protocols: [] });
  expect(states(await client.ask(since("kept.a", { epoch, offset: 0 }), "subscribed"))).toMatchObject([{ outcome: "recovered" }]);
  expect((await client.next("notification")).id).toBe(id);
});
