// Why: coming back is where clients lie. Each rule is provoked by a scripted server; timers are real, their settings small.
import { describe, expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { clientOf, note, subscribed } from "./recorded-client.ts";
import { rejection } from "./rejection.ts";
import { CONNECTED, scriptedServer } from "./scripted-server.ts";

describe("states", () => {
  test("disconnected, connecting, connected; then closed for good with everything rejected", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    expect(one.client.state).toBe("disconnected");
    await one.client.connect();
    const waiting = rejection(one.client.subscribe("never-answered", () => undefined));
    one.client.close();
    expect(await waiting).toMatchObject({ code: "CLOSED" });
    expect(await rejection(one.client.ack("x"))).toMatchObject({ code: "CLOSED" });
    expect(one.states()).toEqual(["connecting", "connected", "closed"]);
    await eventually("the server saw the end", () => server.peers[0]?.isClosed);
  });

  test("a server that never says connected is left after the time limit, and tried again", async () => {
    await using server = scriptedServer({ greet: (peer) => server.peers.length > 1 && peer.send(CONNECTED) });
    using one = clientOf(server.url, { connectTimeoutMs: 30 });
    await one.client.connect();
    expect(one.states()).toEqual(["connecting", "disconnected", "connecting", "connected"]);
  });

  test("a server of another dialect is no use: closed", async () => {
    await using server = scriptedServer({ protocol: "nexus.token.first" });
    using one = clientOf(server.url);
    expect(await rejection(one.client.connect())).toMatchObject({ code: "PROTOCOL" });
    expect(one.client.state).toBe("closed");
  });
});

describe("close codes", () => {
  test.each([4000, 4002, 4003, 4499, 1001, 1006, 1011, 1012])("after %d it comes back", async (code) => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    // 1006 cannot be sent: a connection that is cut is seen as 1006.
    if (code === 1006) (await server.peer(0)).close(1012);
    else (await server.peer(0)).close(code);
    await server.peer(1);
    await eventually("connected again", () => one.client.state === "connected");
  });

  test.each([4500, 4503, 4504, 4505, 4506, 4999, 1008, 1009])("after %d it stays away, with the reason", async (code) => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    (await server.peer(0)).close(code, "because");
    await eventually("closed", () => one.client.state === "closed");
    expect(one.events.state.at(-1)).toMatchObject({ state: "closed", code, reason: "because" });
    expect(await rejection(one.client.connect())).toMatchObject({ message: "because" });
    expect(server.peers.length).toBe(1);
  });
});

describe("tokens", () => {
  test("a provider is asked before every attempt, and a new token after expiry brings it back", async () => {
    await using server = scriptedServer();
    let issued = 0;
    using one = clientOf(server.url, { token: async () => `t${++issued}` });
    await one.client.connect();
    (await server.peer(0)).close(4502);
    expect((await server.peer(1)).token).toBe("t2");
  });

  test("a provider that gives the refused token again ends it", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url, { token: () => "same" });
    await one.client.connect();
    (await server.peer(0)).close(4502);
    await eventually("closed", () => one.client.state === "closed");
    expect(server.peers.length).toBe(1);
  });

  test("a handshake refused because of the token ends it; a text cannot get better", async () => {
    await using server = scriptedServer({ refuse: () => new Response(null, { status: 401 }), probe: 401 });
    using one = clientOf(server.url);
    expect(await rejection(one.client.connect())).toMatchObject({ code: "UNAUTHORIZED" });
  });

  test("a handshake refused for another reason is tried again", async () => {
    await using server = scriptedServer({ refuse: (attempt) => (attempt < 3 ? new Response(null, { status: 503 }) : undefined) });
    using one = clientOf(server.url);
    await one.client.connect();
    expect(one.states().filter((state) => state === "disconnected").length).toBe(3);
    expect(one.events.state.find(({ state }) => state === "disconnected")?.reason).toBe("no connection could be opened");
  });

  test("a provider that fails is told, and asked again", async () => {
    await using server = scriptedServer();
    let asked = 0;
    using one = clientOf(server.url, {
      token: () => {
        if (asked++ === 0) throw new Error("identity provider is down");
        return "ok";
      },
    });
    await one.client.connect();
    expect(one.events.error).toMatchObject([{ code: "TOKEN_PROVIDER", retry: true }]);
  });
});

describe("waiting", () => {
  test("grows while connections die young, and the wait is told", async () => {
    await using server = scriptedServer({ greet: (peer) => (server.peers.length > 3 ? peer.send(CONNECTED) : peer.close(4001)) });
    using one = clientOf(server.url);
    await one.client.connect();
    const waits = one.events.state.flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [retryInMs]));
    expect(waits).toEqual([5, 10, 20]);
  });

  test("a shutdown frame says when to come back, once", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const peer = await server.peer(0);
    peer.send({ type: "shutdown", reason: "Server shutting down", reconnect_after_seconds: 0.2 });
    peer.close(4000);
    const again = await server.peer(1);
    expect(one.events.shutdown).toEqual([{ reason: "Server shutting down", reconnectAfterSeconds: 0.2 }]);
    expect(one.events.state.find(({ state }) => state === "disconnected")?.retryInMs).toBe(200);
    expect(again.at - peer.at).toBeGreaterThanOrEqual(190);
  });

  test("a silent server is asked, and left when it does not answer", async () => {
    const greet = { ...CONNECTED, heartbeat_seconds: 0 };
    await using server = scriptedServer({ greet: (peer) => peer.send(greet) });
    using one = clientOf(server.url, { pongTimeoutMs: 20 });
    await one.client.connect();
    await (await server.peer(0)).next("Ping");
    await server.peer(1);
    expect(one.events.state.find(({ state }) => state === "disconnected")?.reason).toBe("the server went silent");
  }, 30_000);

  test("a heartbeat is answered, so that the server knows this side is alive", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const peer = await server.peer(0);
    peer.send({ type: "heartbeat" });
    await peer.next("Ping");
  });
});

describe("after coming back", () => {
  test("channels are subscribed again from where they stood; what cannot be resumed is a gap", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    const asked = one.client.subscribe("orders.1", () => undefined);
    first.send(subscribed((await first.next("Subscribe")).id, "orders.1", { offset: 4 }));
    expect(await asked).toMatchObject({ offset: 4 });
    first.send(note("n5", "channel:orders.1", 5));
    await eventually("delivered", () => one.events.notification.length === 1);
    first.close(4000);
    const second = await server.peer(1);
    const again = await second.next("Subscribe");
    expect(again.payload).toEqual({ channels: [{ name: "orders.1", since: { epoch: "e", offset: 5 } }] });
    second.send(subscribed(again.id, "orders.1", { offset: 9, outcome: "not_recovered", reason: "window_exceeded" }));
    await eventually("the gap is told", () => one.events.gap.length === 1);
    expect(one.events.gap).toEqual([{ stream: "channel:orders.1", channel: "orders.1", reason: "window_exceeded", recovered: false }]);
  });

  test("what was recovered is no gap, and what arrives twice is handed over once", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const got: string[] = [];
    const first = await server.peer(0);
    const asked = one.client.subscribe("a", ({ id }) => void got.push(id));
    first.send(subscribed((await first.next("Subscribe")).id, "a", {}));
    await asked;
    first.send(note("1", "channel:a", 1));
    await eventually("the first", () => got.length === 1);
    first.close(4000);
    const second = await server.peer(1);
    second.send(subscribed((await second.next("Subscribe")).id, "a", { offset: 2, outcome: "recovered" }));
    for (const [id, offset] of [
      ["1", 1],
      ["2", 2],
    ] as const)
      second.send(note(id, "channel:a", offset));
    await eventually("the second", () => got.length === 2);
    expect(got).toEqual(["1", "2"]);
    expect(one.events.gap).toEqual([]);
  });

  test("an acknowledgement that got no answer is sent again", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const done = one.client.ack("n1");
    await (await server.peer(0)).next("Ack");
    (await server.peer(0)).close(4000);
    const second = await server.peer(1);
    const { id, payload } = await second.next("Ack");
    expect(payload).toEqual({ notification_id: "n1" });
    second.send({ type: "acked", id, notification_id: "n1" });
    await done;
  });

  test("a channel that was left while away is not asked for again", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const first = await server.peer(0);
    const [a, b] = [one.client.subscribe("a", () => undefined), one.client.subscribe("b", () => undefined)];
    for (const name of ["a", "b"]) first.send(subscribed((await first.next("Subscribe")).id, name, {}));
    await Promise.all([a, b]);
    const left = one.client.unsubscribe("a");
    await first.next("Unsubscribe");
    first.close(4000); // the answer never comes
    await left;
    const { payload } = await (await server.peer(1)).next("Subscribe");
    expect(payload).toEqual({ channels: [{ name: "b", since: { epoch: "e", offset: 0 } }] });
  });
});

describe("what is told", () => {
  test("a frame nobody can read is an error, one of a newer server is not", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    await one.client.connect();
    const peer = await server.peer(0);
    for (const frame of ["{", { type: "poke" }, note("1", "user", 1)]) peer.send(frame);
    await eventually("the good one arrives", () => one.events.notification.length === 1);
    expect(one.events.error.map(({ code }) => code)).toEqual(["PROTOCOL"]);
  });

  test("a listener that throws hurts no other, and is told", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url);
    one.client.on("notification", () => {
      throw new Error("a bug of the application");
    });
    const after: string[] = [];
    one.client.on("notification", ({ id }) => void after.push(id));
    await one.client.connect();
    (await server.peer(0)).send(note("1", "user"));
    await eventually("the next listener", () => after.length === 1);
    expect(one.events.error).toMatchObject([{ code: "HANDLER" }]);
  });

  test("the token is in no frame event", async () => {
    await using server = scriptedServer();
    using one = clientOf(server.url, { token: "very-secret" });
    await one.client.connect();
    expect(JSON.stringify(one.events)).not.toContain("very-secret");
  });
});
