// Why: what any WebSocket client may expect of the server, in both dialects, put to clients nobody here wrote. Each test
// talks to a server of its own. It must never use anything a client cannot do: what differs between them is declared.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import type { ForeignClient, OpenOptions } from "./client.ts";

export type Abilities = {
  /** Can send headers of its own, so `Authorization: Bearer`. */
  readonly sendsHeaders: boolean;
  /** Tells the status of a refused handshake. */
  readonly seesStatus: boolean;
  /** Gives up when it offered subprotocols and none was chosen. */
  readonly needsItsOfferTaken: boolean;
  /** Can leave permessage-deflate out of its offer, and send pings. */
  readonly isLibrary: boolean;
};

/** For what a client has no means to do: not a test that was left out. */
const testIf = (able: boolean) => (able ? test : (_name: string, _run: () => Promise<void>) => undefined);
const FULL = "nexus.v1.json";
const PING = { type: "Ping" };
const subscribe = (...channels: string[]) => ({ type: "Subscribe", payload: { channels } });

/** Defines the tests. `start` is called once, before the first. */
export function websocketSuite(name: string, can: Abilities, start: () => Promise<ForeignClient>): void {
  describe(name, () => {
    let client: ForeignClient;
    beforeAll(async () => {
      client = await start();
    });
    afterAll(() => client?.[Symbol.asyncDispose]());

    const open = async (server: TestServer, user: string, options: OpenOptions = {}) => {
      const socket = client.connect(`${server.wsUrl}?token=${server.token(user)}`, options);
      return { socket, ...(await socket.opened()) };
    };

    test("Ara's dialect: no subprotocol, nothing before the first word, then every frame of hers", async () => {
      await using server = startServer();
      const { socket, protocol } = await open(server, "ann");
      expect(protocol).toBe("");
      expect(await socket.ask(PING, "pong")).toEqual({ type: "pong" });
      expect(socket.events.map(({ event }) => event)).toEqual(["open", "message"]); // the pong
      expect((await socket.ask(subscribe("orders.1"), "subscribed")).payload).toEqual(["orders.1"]);
      const { id, deliveredTo } = await server.publish({ kind: "channel", channel: "orders.1" }, { event_type: "paid", payload: { n: 1 } });
      expect(deliveredTo).toBe(1);
      const notification = await socket.next("notification");
      expect(notification).toMatchObject({
        id,
        event_type: "paid",
        payload: { n: 1 },
        metadata: { priority: "Normal", source: "http-api" },
      });
      const own = await server.publish({ kind: "user", user: "ann" });
      await socket.next("notification");
      expect(await socket.ask({ type: "Ack", payload: { notification_id: own.id } }, "acked")).toMatchObject({ notification_id: own.id });
      expect((await socket.ask({ type: "Unsubscribe", payload: { channels: ["orders.1"] } }, "unsubscribed")).payload).toEqual([
        "orders.1",
      ]);
      expect((await server.publish({ kind: "channel", channel: "orders.1" })).deliveredTo).toBe(0);
    });

    test("the full dialect: its subprotocol is chosen and it is greeted", async () => {
      await using server = startServer();
      const { socket, protocol } = await open(server, "ann", { protocols: [FULL] });
      expect(protocol).toBe(FULL);
      const connected = await socket.next("connected");
      expect(connected).toMatchObject({ user_id: "ann", tenant_id: "acme", heartbeat_seconds: 30 });
      expect((await socket.ask({ ...PING, id: 7 }, "pong")).id).toBe(7);
    });

    test("a token as a subprotocol, beside the dialect's, is taken and never chosen", async () => {
      await using server = startServer();
      const socket = client.connect(server.wsUrl, { protocols: [`nexus.token.${server.token("ann")}`, FULL] });
      expect((await socket.opened()).protocol).toBe(FULL);
      expect((await socket.next("connected")).user_id).toBe("ann");
    });

    test("a token as the only subprotocol is answered without one, which some clients do not accept", async () => {
      await using server = startServer();
      const socket = client.connect(server.wsUrl, { protocols: [`nexus.token.${server.token("ann")}`] });
      if (can.needsItsOfferTaken) await socket.failed();
      else {
        expect((await socket.opened()).protocol).toBe("");
        await socket.ask(PING, "pong");
      }
    });

    testIf(can.sendsHeaders)("a token as Authorization: Bearer", async () => {
      await using server = startServer();
      const socket = client.connect(server.wsUrl, { headers: { Authorization: `Bearer ${server.token("ann")}` } });
      await socket.opened();
      await socket.ask(PING, "pong");
    });

    test("a wrong token and none at all are refused before there is a socket", async () => {
      await using server = startServer();
      for (const url of [server.wsUrl, `${server.wsUrl}?token=wrong`]) {
        const { status } = await client.connect(url).failed();
        expect(status).toBe(can.seesStatus ? 401 : undefined);
      }
      expect(server.app.node.sessions.count()).toBe(0);
    });

    test("what is no frame is answered with an error, and the session goes on", async () => {
      await using server = startServer();
      const { socket } = await open(server, "ann");
      expect(await socket.ask("no json", "error")).toMatchObject({ code: "INVALID_MESSAGE", retry: false });
      expect(await socket.ask({ type: "Nope" }, "error")).toMatchObject({ code: "INVALID_MESSAGE" });
      socket.binary(JSON.stringify(PING));
      expect(await socket.next("error")).toMatchObject({ code: "UNSUPPORTED_FORMAT" });
      expect(await socket.ask(subscribe("not a name"), "error")).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
      expect(await socket.ask({ type: "Ack", payload: { notification_id: "nope" } }, "error")).toMatchObject({ code: "INVALID_ACK" });
      await socket.ask(PING, "pong");
    });

    test("over the session limit it sees an error and the close code", async () => {
      await using server = startServer({ quotas: { connectionsPerUser: 1 } });
      const first = await open(server, "ann");
      await first.socket.ask(PING, "pong");
      const second = await open(server, "ann");
      expect(await second.socket.next("error")).toMatchObject({ code: "CONNECTION_LIMIT", retry: false });
      expect(await second.socket.closed()).toMatchObject({ code: 4505, reason: "Session limit reached" });
      await first.socket.ask(PING, "pong");
    });

    test("a frame of exactly the limit is answered, a byte more closes with 1009", async () => {
      await using server = startServer();
      const { socket } = await open(server, "ann");
      const sized = (bytes: number) => {
        const empty = JSON.stringify({ ...PING, x: "" }).length;
        return { ...PING, x: `${"é".repeat(1000)}${"x".repeat(bytes - empty - 2000)}` };
      };
      await socket.ask(sized(65_536), "pong");
      socket.send(sized(65_537));
      expect((await socket.closed()).code).toBe(1009);
    });

    test.each([...(can.isLibrary ? [false] : []), true])("large notifications arrive whole; compression offered: %p", async (deflate) => {
      await using server = startServer();
      const { socket, extensions } = await open(server, "ann", { deflate });
      if (!deflate) expect(extensions).toBe("");
      else expect(extensions).toMatch(/^(permessage-deflate.*)?$/);
      const repeated = "Grüße aus Zürich, 你好 🎈 ".repeat(1000);
      const random = Buffer.from(crypto.getRandomValues(new Uint8Array(30_000))).toString("base64");
      for (const text of [repeated, random, "short"]) {
        await server.publish({ kind: "user", user: "ann" }, { event_type: "large", payload: { text } });
        expect((await socket.next("notification")).payload).toEqual({ text });
      }
      await socket.ask({ ...PING, x: repeated }, "pong");
    });

    test("told to leave it sees why; when it comes back it gets what it missed", async () => {
      await using server = startServer();
      const { socket } = await open(server, "ann");
      await socket.ask(PING, "pong");
      server.app.node.sessions.shutdown(1, () => 5);
      expect(await socket.next("shutdown")).toMatchObject({ reason: "Server shutting down", reconnect_after_seconds: 5 });
      expect(await socket.closed()).toMatchObject({ code: 4000, reason: "Node is draining" });
      const missed = [await server.publish({ kind: "user", user: "ann" }), await server.publish({ kind: "user", user: "ann" })];
      expect(missed.map(({ queued }) => queued)).toEqual([true, true]);
      const again = await open(server, "ann");
      for (const { id } of missed) expect((await again.socket.next("notification")).id).toBe(id);
      await again.socket.ask(PING, "pong");
      expect(again.socket.frames).toEqual([]);
    });

    test("its own close is answered in kind, and the session is gone", async () => {
      await using server = startServer();
      const { socket } = await open(server, "ann");
      await socket.ask(PING, "pong");
      socket.close(1000, "bye");
      expect((await socket.closed()).code).toBe(1000);
      await eventually("the session to be gone", () => server.app.node.sessions.count() === 0);
    });

    testIf(can.isLibrary)("its pings are answered", async () => {
      await using server = startServer();
      const { socket } = await open(server, "ann");
      socket.ping();
      await socket.ponged();
    });

    test("a silent client answers pings by itself and outlives the time after which silence is staleness", async () => {
      await using server = startServer({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
      const { socket } = await open(server, "ann");
      for (let beat = 0; beat < 3; beat++) expect(await socket.next("heartbeat")).toEqual({ type: "heartbeat" });
      await socket.ask(PING, "pong");
    });

    test("many sockets of many users each get their own and what is for all", async () => {
      await using server = startServer();
      const users = Array.from({ length: 20 }, (_, at) => `user${at}`);
      const sockets = await Promise.all(users.map(async (user) => (await open(server, user)).socket));
      await Promise.all(sockets.map((socket) => socket.ask(subscribe("news"), "subscribed")));
      for (const user of users) await server.publish({ kind: "user", user }, { event_type: "own", payload: user });
      expect((await server.publish({ kind: "channel", channel: "news" }, { event_type: "all", payload: "news" })).deliveredTo).toBe(20);
      for (const [at, socket] of sockets.entries()) {
        const both = [await socket.next("notification"), await socket.next("notification")];
        expect(both.map(({ payload }) => payload).sort()).toEqual(["news", users[at] ?? ""]);
      }
    });
  });
}
