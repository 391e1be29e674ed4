// Why: the tables of this folder show each failure and each limit at a whole server, configured as in a pod: by pushes on
// its admin port. It must never reach into core: what a client cannot do or see is no proof.
import { ADMIN_PATHS, type PushRequest } from "@nexus/protocol/admin.ts";
import { type BundleEntry, makeBuckets, type TenantSettings } from "@nexus/protocol/bundle.ts";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { Value } from "@sinclair/typebox/value";
import { apiKey, clusterEntry, digestOfAll, platformKey, secretIssuer, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { ADMIN_NAME, ADMIN_TOKEN, adminFiles, type RealServer, startRealServer } from "../../support/real-server.ts";
import { type Rest, type RestAnswer, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";
import { SseClient } from "../../support/sse-client.ts";
import { WsClient } from "../../support/ws-client.ts";

export const KEY = "key-of-acme";
export const READER = "key-that-reads";
export const PLATFORM = "platform-key";
/** A template of a resource, which REST may not change. */
export const MANAGED = "managed";

type ClusterChange = NonNullable<Parameters<typeof clusterEntry>[0]>;
/** What a push changes; the rest stays as the last push left it. `quotas` are those of tenant acme, over the defaults. */
export type Settings = ClusterChange & { readonly quotas?: Readonly<Record<string, unknown>>; readonly acme?: Partial<TenantSettings> };
export type Claims = Readonly<Record<string, unknown>>;

export type Pod = AsyncDisposable & {
  readonly real: RealServer;
  /** Asks with acme's key unless a call names another. */
  readonly rest: Rest;
  /** Asks on the admin port. */
  admin(method: string, path: string, body?: unknown, bearer?: string): Promise<RestAnswer>;
  /** Pushes other settings, as the operator does when an object was edited. */
  push(change: Settings): Promise<void>;
  /** The push that would change nothing; for pushes that are to be refused. */
  asPush(): PushRequest;
  address(path: "/ws" | "/sse", user: string, claims?: Claims): Promise<string>;
  /** A socket of a user of acme in the full dialect, whatever the handshake's answer. */
  socket(user: string, claims?: Claims): Promise<WsClient>;
  /** A socket that has its place. */
  seated(user: string, claims?: Claims): Promise<WsClient>;
  stream(user: string, query?: string, claims?: Claims): Promise<SseClient>;
};

/** A server with the tenants acme, other and gone (suspended), without rate limits unless `start` has some. */
export async function startPod(start: Settings = {}): Promise<Pod> {
  const files = await adminFiles();
  const real = await startRealServer({ env: { ...files.env, NEXUS_NODE: "pod" } });
  const rest = restOf(real.url, KEY);
  let settings: Settings = { limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 } };
  let sequence = 0;
  const admin: Pod["admin"] = async (method, path, body, bearer = ADMIN_TOKEN) => {
    const answer = await fetch(`https://127.0.0.1:${real.server.adminPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { ca: files.ca, serverName: ADMIN_NAME },
      keepalive: false,
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> }; // all are objects
  };
  const asPush = (): PushRequest => whole(entriesOf(settings), sequence);
  const push = async (change: Settings) => {
    settings = merged(settings, change);
    sequence++;
    const { status, body } = await admin("POST", ADMIN_PATHS.bundle, asPush());
    if (status !== 200 || (body.rejected as unknown[]).length > 0) throw new Error(`the push was not taken: ${JSON.stringify(body)}`);
  };
  const address: Pod["address"] = async (path, user, claims) => `${real.url}${path}?token=${await token(user, claims)}`;
  const socket: Pod["socket"] = async (user, claims) =>
    WsClient.connect((await address("/ws", user, claims)).replace("http", "ws"), { protocols: ["nexus.v1.json"] });
  await push(start);
  return {
    ...{ real, rest, admin, push, asPush, address, socket },
    async seated(user, claims) {
      const client = await socket(user, claims);
      await client.next("connected");
      return client;
    },
    stream: async (user, query = "", claims = {}) => SseClient.connect(`${await address("/sse", user, claims)}${query}`),
    async [Symbol.asyncDispose]() {
      await real[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    },
  };
}

const merged = (before: Settings, { limits, delivery, quotas, acme, ...change }: Settings): Settings => ({
  ...before,
  ...change,
  limits: { ...before.limits, ...limits },
  delivery: { ...before.delivery, ...delivery },
  quotas: { ...before.quotas, ...quotas },
  acme: { ...before.acme, ...acme },
});

function entriesOf({ quotas, acme, ...cluster }: Settings): readonly BundleEntry[] {
  const issuers = [secretIssuer(TOKEN_SECRET)];
  const own = Value.Default(TenantQuotas, structuredClone(quotas ?? {})) as TenantQuotas; // a wrong one is refused by the server
  return [
    clusterEntry({ platform_keys: [platformKey("root", PLATFORM)], ...cluster }),
    tenantEntry("acme", { api_keys: [apiKey("all", KEY), apiKey("reader", READER, ["read"])], issuers, quotas: own, ...acme }),
    tenantEntry("other", { api_keys: [apiKey("all", "key-of-other")], issuers }),
    tenantEntry("gone", { api_keys: [apiKey("all", "key-of-gone")], issuers, suspended: true }),
    templateEntry("acme", MANAGED),
  ];
}

const whole = (entries: readonly BundleEntry[], sequence: number): PushRequest => ({
  ...{ format: 1, term: "5", sequence, digest: digestOfAll(entries) },
  buckets: makeBuckets(entries)
    .filter((bucket) => bucket.entries.length > 0)
    .map(({ index, digest, entries: all }) => ({ index, from: "0".repeat(64), to: digest, full: true, entries: all, removed: [] })),
});
