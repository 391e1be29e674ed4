// Why: every hostile client meets the server as it ships, over a real port, and afterwards the server has to be what it
// was before: no session, no listener, no waiting byte, no line at level error. It must never be kinder than production.
import { expect } from "bun:test";
import { connect, type Socket } from "node:net";
import { type ClusterSettings, makeBuckets } from "@nexus/protocol/bundle.ts";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import type { RunningServer } from "@nexus/server/server.ts";
import { Value } from "@sinclair/typebox/value";
import { RawSocket } from "../conformance/raw-socket.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually, PATIENCE_MS } from "../support/eventually.ts";
import { startRealServer } from "../support/real-server.ts";
import { TOKEN_SECRET, token } from "../support/rest.ts";
import { WsClient } from "../support/ws-client.ts";

export const KEY = "key-of-acme";

export type HostileTarget = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly node: RunningServer["node"];
  /** `/ws` or `/sse` with a user's token and whatever else the query holds. */
  path(endpoint: "ws" | "sse", user: string, query?: string): Promise<string>;
  /** A listener in the full dialect. */
  connect(user: string, query?: string): Promise<WsClient>;
  /** A socket that can say anything. */
  raw(user: string, headers?: Readonly<Record<string, string>>): Promise<RawSocket>;
  /** A connection that has become a socket and on which bytes are said, not frames. */
  upgraded(user: string): Promise<Stranger>;
  publish(channel: string, payload: unknown): Promise<Response>;
  /** Live, as an operator's push would. */
  setLimits(limits: Partial<ClusterSettings["limits"]>): void;
  /** Value of a counter or gauge of `/metrics`: `name` with its labels as they are printed. */
  metric(name: string): Promise<number>;
  /** Waits until nothing is left of any client. */
  deserted(): Promise<void>;
};

type Options = {
  readonly limits?: Partial<ClusterSettings["limits"]>;
  readonly delivery?: Partial<ClusterSettings["delivery"]>;
  readonly channels?: ClusterSettings["channels"];
  readonly subscriptionsPerConnection?: number;
  readonly env?: Readonly<Record<string, string>>;
};

/** Limits are the defaults, but for those that count by address: all clients of a test have one. */
export async function startTarget({
  limits = {},
  delivery = {},
  channels = [],
  subscriptionsPerConnection = 50,
  env = {},
}: Options = {}): Promise<HostileTarget> {
  const ours = { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0, ...limits };
  const cluster = clusterEntry({ limits: ours, delivery, channels });
  const quotas = Value.Default(TenantQuotas, { connectionsPerUser: 1000, subscriptionsPerConnection }) as TenantQuotas; // the schema fills every field it requires
  const tenant = tenantEntry("acme", { api_keys: [apiKey("all", KEY)], issuers: [secretIssuer(TOKEN_SECRET)], quotas });
  const real = await startRealServer({ entries: [cluster, tenant], env });
  const { sessions } = real.server.node;
  const path = async (endpoint: string, user: string, query = "") => `/${endpoint}?token=${await token(user)}${query && `&${query}`}`;
  const ws = real.url.replace("http", "ws");
  return {
    url: real.url,
    port: Number(new URL(real.url).port),
    node: real.server.node,
    path,
    connect: async (user, query) => WsClient.connect(`${ws}${await path("ws", user, query)}`, { protocols: ["nexus.v1.json"] }),
    raw: async (user, headers) => RawSocket.open(`${ws}${await path("ws", user)}`, headers),
    async upgraded(user) {
      const stranger = new Stranger(Number(new URL(real.url).port), upgradeRequest(await path("ws", user)));
      expect(await stranger.status()).toBe("101");
      return stranger;
    },
    publish: (channel, payload) =>
      fetch(`${real.url}/api/v1/notifications/channel`, {
        method: "POST",
        headers: { "x-api-key": KEY, "content-type": "application/json" },
        body: JSON.stringify({ channel, event_type: "test", payload }),
      }),
    setLimits(change) {
      const report = real.server.live.load(makeBuckets([clusterEntry({ limits: { ...ours, ...change }, delivery, channels }, 2), tenant]));
      expect(report.rejected).toEqual([]);
    },
    async metric(name) {
      const lines = (await (await fetch(`${real.opsUrl}/metrics`)).text()).split("\n");
      return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? 0);
    },
    async deserted() {
      await eventually("every session to be gone", () => sessions.count() === 0);
      expect(sessions.load()).toEqual({ subscriptions: 0, queuedBytes: 0, slowSessions: 0 });
      expect([sessions.users(), sessions.channels()]).toEqual([0, 0]);
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
}

/** A whole handshake (RFC 6455 section 4.1); without `isWhole` the line that ends it is missing. */
export const upgradeRequest = (path: string, isWhole = true): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
  `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${isWhole ? "\r\n" : ""}`;

/** A TCP connection that says what it is told and keeps what it hears. */
export class Stranger implements AsyncDisposable {
  heard = "";
  isEnded = false;
  isConnected = false;
  readonly #socket: Socket;

  constructor(port: number, first: string | Uint8Array = "") {
    this.#socket = connect({ host: "127.0.0.1", port });
    this.#socket.on("error", () => this.#socket.destroy()); // a reset is an end like any other here
    this.#socket.on("connect", () => {
      this.isConnected = true;
    });
    this.#socket.on("close", () => {
      this.isEnded = true;
    });
    this.#socket.on("data", (chunk) => {
      this.heard += chunk.toString("latin1");
    });
    if (first !== "") this.#socket.write(first);
  }

  say(text: string | Uint8Array): void {
    if (!this.isEnded) this.#socket.write(text);
  }

  stopReading(): void {
    this.#socket.pause();
  }

  /** The status of the answer, once its head is in. */
  status(timeoutMs = PATIENCE_MS): Promise<string> {
    return eventually("an answer", () => /^HTTP\/1\.1 (\d{3})/.exec(this.heard)?.[1], { intervalMs: 2, timeoutMs });
  }

  ended(timeoutMs = PATIENCE_MS): Promise<true> {
    return eventually("the connection to be cut", () => this.isEnded || undefined, { timeoutMs }) as Promise<true>; // only true is an answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await eventually("the socket to be gone", () => this.isEnded);
  }
}
