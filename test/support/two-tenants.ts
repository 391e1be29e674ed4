// Why: operations that show who listens are tested with real listeners of two tenants, so that every test can also ask
// what the other tenant sees. It must never share a server between test files.
import { apiKey, clusterEntry, platformKey, secretIssuer, tenantEntry } from "./bundle-entries.ts";
import { Listener } from "./listener.ts";
import type { LogLine } from "./log-lines.ts";
import { startRealServer } from "./real-server.ts";
import { type Rest, restOf, TOKEN_SECRET, token } from "./rest.ts";
import { SseClient } from "./sse-client.ts";

export const NODE = "node-under-test";
export const ACME = "key-of-acme";
export const OTHER = "key-of-other";
export const PLATFORM = "platform-key";
/** Keys of acme with one scope each. */
export const SCOPED = { read: "key-that-reads", publish: "key-that-sends" } as const;

const open = { subscribe: "Anyone", publish: "Nobody", slowConsumer: "Disconnect" } as const;
const ENTRIES = [
  clusterEntry({
    limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 },
    platform_keys: [platformKey("root", PLATFORM)],
    channels: [
      { match: "kept.*", history: { size: 5, ttlSeconds: 300 }, ...open },
      { match: "talk.*", history: { size: 0, ttlSeconds: 300 }, ...open, publish: "Claim" },
    ],
  }),
  tenantEntry("default", { issuers: [secretIssuer(TOKEN_SECRET)] }),
  tenantEntry("acme", {
    api_keys: [apiKey("all", ACME), apiKey("reader", SCOPED.read, ["read"]), apiKey("sender", SCOPED.publish, ["publish"])],
    issuers: [secretIssuer(TOKEN_SECRET)],
  }),
  tenantEntry("other", { api_keys: [apiKey("all", OTHER)], issuers: [secretIssuer(TOKEN_SECRET)] }),
];

export type Seat = { readonly tenant?: string; readonly channels?: readonly string[] };

/** A listener that is where the test wants it: its session is entered and holds its channels. */
export type Seated = Listener & { readonly connectionId: string };

export type TwoTenants = AsyncDisposable & {
  readonly url: string;
  readonly opsUrl: string;
  /** Of its log, so far. */
  readonly lines: readonly LogLine[];
  /** Asks with acme's key unless a call names another. */
  readonly rest: Rest;
  /** A socket of a user of `acme`, unless the seat names another tenant. */
  listen(user: string, seat?: Seat): Promise<Seated>;
  /** The same over SSE. */
  stream(user: string, seat?: Seat): Promise<SseClient>;
};

/** A server that knows the tenants `default`, `acme` and `other`; channels `kept.*` keep five entries. */
export async function startTwoTenants(env: Readonly<Record<string, string>> = {}): Promise<TwoTenants> {
  const real = await startRealServer({ entries: ENTRIES, env: { NEXUS_NODE: NODE, ...env } });
  return {
    url: real.url,
    opsUrl: real.opsUrl,
    lines: real.lines,
    rest: restOf(real.url, ACME),
    async listen(user, { tenant = "acme", channels = [] } = {}) {
      const jwt = await token(user, { tenant_id: tenant, channels: ["talk.*"] });
      const listener = await Listener.open(`${real.url.replace("http", "ws")}/ws?token=${jwt}`, ["nexus.v1.json"]);
      const { connection_id } = await listener.next("connected");
      if (channels.length > 0) {
        listener.send({ type: "Subscribe", payload: { channels } });
        await listener.next("subscribed");
      }
      return Object.assign(listener, { connectionId: String(connection_id) });
    },
    async stream(user, { tenant = "acme", channels = [] } = {}) {
      const jwt = await token(user, { tenant_id: tenant });
      const client = await SseClient.connect(`${real.url}/sse?token=${jwt}&channels=${channels.map(encodeURIComponent).join(",")}`);
      await client.next("connected");
      if (channels.length > 0) await client.next("subscribed");
      return client;
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
}
