// Why: what any client of server-sent events may expect: events by name, a cursor it need not understand, and that coming back
// by itself loses nothing. Put to clients nobody here wrote; what differs between them is declared.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ChannelRule, type Delivery, type Limits } from "@nexus/protocol/resources/settings.ts";
import type { PublishTarget } from "@nexus/server/core/publish-targets.ts";
import { Value } from "@sinclair/typebox/value";
import { clusterEntry, secretIssuer, tenantEntry, tenantSettings } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { startRealServer } from "../../support/real-server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import type { SseClient } from "./sse-client.ts";
import { signed } from "./token.ts";

export type SseAbilities = {
  /** Sends headers of its own, so `Authorization: Bearer`; across origins a browser asks first. */
  readonly sendsHeaders: boolean;
};

const SECRET = "a secret that signs tokens here";
const KEPT = Value.Default(ChannelRule, { match: "kept.*", history: { size: 20, ttlSeconds: 60 } }) as ChannelRule; // the schema fills the rest

type Options = { readonly delivery?: Partial<Delivery>; readonly limits?: Partial<Limits>; readonly connectionsPerUser?: number };

async function startServer({ delivery = {}, limits = {}, connectionsPerUser = 5 }: Options = {}) {
  const { quotas } = tenantSettings();
  const real = await startRealServer({
    entries: [
      clusterEntry({
        limits: { upgradesPerMinutePerAddress: 0, ...limits },
        delivery: { reconnectJitterSeconds: 0, ...delivery },
        channels: [KEPT],
      }),
      tenantEntry("acme", { issuers: [secretIssuer(SECRET)], quotas: { ...quotas, connectionsPerUser } }),
    ],
  });
  const { node } = real.server;
  return {
    url: real.url,
    node,
    async publish(target: PublishTarget, payload: string | number = 1): Promise<string> {
      const outcome = await node.publisher.publish({
        tenant: "acme",
        target,
        content: { event_type: "test", payload },
        source: "http-api",
      });
      if ("code" in outcome) throw new Error(`refused: ${outcome.code}`);
      return outcome.record.notificationId;
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
}

const ANN = { kind: "user", user: "ann" } as const;
const channel = (name: string) => ({ kind: "channel", channel: name }) as const;
const address = (url: string, query = "", expiresIn = 3600) => `${url}/sse?token=${signed(SECRET, "ann", expiresIn)}${query}`;

/** Defines the tests. `start` is called once, before the first. */
export function sseSuite(name: string, can: SseAbilities, start: () => Promise<SseClient>): void {
  describe(name, () => {
    let client: SseClient;
    beforeAll(async () => {
      client = await start();
    });
    afterAll(() => client?.[Symbol.asyncDispose]());

    test("is greeted, and gets what is for its user, for all, and for its channels, each under its name", async () => {
      await using server = await startServer();
      const stream = client.open(address(server.url, "&channels=kept.a,live"));
      const connected = await stream.next("connected");
      expect(connected.data).toMatchObject({ type: "connected", user_id: "ann", tenant_id: "acme" });
      expect(connected.lastEventId).not.toBe("");
      expect((await stream.next("subscribed")).data).toMatchObject({ payload: ["kept.a", "live"] });
      const kept: readonly PublishTarget[] = [ANN, channel("kept.a")];
      for (const target of [...kept, channel("live"), { kind: "broadcast" } as const]) {
        const id = await server.publish(target);
        const { data, lastEventId } = await stream.next("notification");
        expect(data).toMatchObject({ type: "notification", id, payload: 1 });
        if (kept.includes(target)) expect(lastEventId).not.toBe(connected.lastEventId); // others move no cursor
      }
      stream.close();
    });

    test("what is no channel is told as an error event, and the stream goes on", async () => {
      await using server = await startServer();
      const stream = client.open(address(server.url, "&channels=good,not%20a%20name"));
      expect((await stream.next("subscribed")).data).toMatchObject({ payload: ["good"] });
      expect((await stream.next("error")).data).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
      await server.publish(channel("good"));
      await stream.next("notification");
      expect(stream.told.filter(({ kind }) => kind === "failure")).toEqual([]);
      stream.close();
    });

    test("any text arrives as it was sent", async () => {
      await using server = await startServer();
      const stream = client.open(address(server.url));
      await stream.next("connected");
      const texts = [
        "line\r\nline\rline\n\n",
        "data: x\n\nevent: error\n\n",
        "\u2028\u2029\u0000\ufeff",
        "Grüße 你好 🎈 ".repeat(3000),
        "",
      ];
      for (const text of texts) {
        await server.publish(ANN, text);
        expect((await stream.next("notification")).data.payload).toBe(text);
      }
      stream.close();
    });

    test("heartbeats arrive by themselves", async () => {
      await using server = await startServer({ delivery: { heartbeatSeconds: 1 } });
      const stream = client.open(address(server.url));
      expect((await stream.next("heartbeat")).data).toMatchObject({ type: "heartbeat", timestamp: expect.stringMatching(/Z$/) });
      stream.close();
    });

    test("told to leave it comes back by itself and gets what it missed, once, in order", async () => {
      await using server = await startServer();
      const stream = client.open(address(server.url, "&channels=kept.a"));
      await stream.next("subscribed");
      await server.publish(ANN, "before");
      expect((await stream.next("notification")).data.payload).toBe("before");
      server.node.sessions.shutdown(1, () => 0.5);
      expect((await stream.next("shutdown")).data).toMatchObject({ reconnect_after_seconds: 0.5 });
      const missed: string[] = [];
      for (let n = 0; n < 3; n++) {
        await server.publish(ANN, `user ${n}`);
        await server.publish(channel("kept.a"), `channel ${n}`);
      }
      await stream.opened(2);
      expect((await stream.next("subscribed")).data.streams).toMatchObject([{ stream: "channel:kept.a", outcome: "recovered" }]);
      for (let n = 0; n < 6; n++) missed.push(String((await stream.next("notification")).data.payload));
      const of = (prefix: string) => missed.filter((text) => text.startsWith(prefix));
      expect([of("user"), of("channel")]).toEqual([
        ["user 0", "user 1", "user 2"],
        ["channel 0", "channel 1", "channel 2"],
      ]);
      await server.publish(ANN, "live");
      expect((await stream.next("notification")).data.payload).toBe("live");
      expect(stream.events.filter(({ type }) => type === "notification" || type === "gap")).toEqual([]);
      stream.close();
    });

    test("a cut connection is made again by itself, and nothing is lost", async () => {
      await using server = await startServer();
      await using proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(server.url).port) });
      const stream = client.open(address(`http://127.0.0.1:${proxy.port}`, "&channels=kept.a"));
      await stream.next("subscribed");
      const before = await server.publish(channel("kept.a"));
      expect((await stream.next("notification")).data.id).toBe(before);
      proxy.cut();
      await eventually("the session to be gone", () => server.node.sessions.count() === 0);
      const missed = [await server.publish(channel("kept.a")), await server.publish(ANN)];
      const got = [await stream.next("notification"), await stream.next("notification")];
      expect(got.map(({ data }) => data.id).sort()).toEqual([...missed].sort());
      expect(stream.events.filter(({ type }) => type === "gap")).toEqual([]);
      stream.close();
    });

    test("when its token has expired it is let go, and stops coming back", async () => {
      await using server = await startServer();
      await using proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(server.url).port) });
      const stream = client.open(address(`http://127.0.0.1:${proxy.port}`, "", 2));
      await stream.next("connected");
      await stream.gaveUp();
      expect(server.node.sessions.count()).toBe(0);
      expect(stream.told.filter(({ kind }) => kind === "open").length).toBe(1);
      stream.close();
    });

    test("whoever is refused gives up: a wrong token, one session too many, a node that drains", async () => {
      await using server = await startServer({ connectionsPerUser: 1 });
      const wrong = client.open(`${server.url}/sse?token=wrong`);
      await wrong.gaveUp();
      const first = client.open(address(server.url));
      await first.next("connected");
      const second = client.open(address(server.url));
      await second.gaveUp();
      first.close();
      await eventually("the session to be gone", () => server.node.sessions.count() === 0);
      server.node.refuseSessions();
      const third = client.open(address(server.url));
      await third.gaveUp();
      for (const stream of [wrong, second, third]) expect(stream.told.filter(({ kind }) => kind === "open")).toEqual([]);
    });

    test("when it closes, the session is gone", async () => {
      await using server = await startServer();
      const stream = client.open(address(server.url));
      await stream.next("connected");
      expect(server.node.sessions.count()).toBe(1);
      stream.close();
      await eventually("the session to be gone", () => server.node.sessions.count() === 0);
    });

    if (can.sendsHeaders) {
      test("a token as Authorization: Bearer", async () => {
        await using server = await startServer();
        const stream = client.open(`${server.url}/sse`, { Authorization: `Bearer ${signed(SECRET, "ann")}` });
        expect((await stream.next("connected")).data.user_id).toBe("ann");
        stream.close();
      });
    }
  });
}
