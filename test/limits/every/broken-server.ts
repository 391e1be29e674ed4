// Why: some failures are a broken outside's. This is the public port over an engine of which a test breaks one call.
// It must never log what it is meant to break as an error of its own.
import { makeBuckets } from "@nexus/protocol/bundle.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createTokenVerifier } from "@nexus/server/adapters/jwt.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { createMetrics } from "@nexus/server/adapters/metrics.ts";
import { createApp } from "@nexus/server/app.ts";
import { createAddressOf } from "@nexus/server/core/client-address.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import { createLiveConfig } from "@nexus/server/core/live-config.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import { createHttp } from "@nexus/server/http/routes.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { noJwks } from "../../support/jwks.ts";
import { type Rest, restOf, TOKEN_SECRET, token } from "../../support/rest.ts";
import { SseClient } from "../../support/sse-client.ts";
import { WsClient } from "../../support/ws-client.ts";

export type BrokenServer = AsyncDisposable & {
  readonly rest: Rest;
  socket(user: string): Promise<WsClient>;
  stream(user: string, query?: string): Promise<SseClient>;
};

/** The calls of the engine that a test replaces, port by port. */
export type Breaks = (whole: Engine) => { readonly [K in keyof Engine]?: Partial<Engine[K]> };

/** A server of tenant acme whose engine is the memory engine but for what `breaks` puts in its place. */
export function startBrokenServer(breaks: Breaks): BrokenServer {
  const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const live = createLiveConfig({ log, clock: systemClock });
  const limits = { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 };
  const acme = { api_keys: [apiKey("all", "key-of-acme")], issuers: [secretIssuer(TOKEN_SECRET)] };
  live.load([...makeBuckets([clusterEntry({ limits }), tenantEntry("acme", acme)])]);
  const whole = createMemoryEngine({ clock: systemClock, ids: systemIds, maxBytes: 16 * 1024 * 1024 });
  const engine = broken(whole, breaks(whole));
  const metrics = createMetrics({ version: "0" });
  const parts = { live, engine, metrics, log, clock: systemClock, ids: systemIds };
  const verifier = createTokenVerifier({ tenants: live, clock: systemClock, jwks: noJwks() });
  const health = () => ({
    ...{
      version: "0",
      node: "broken",
      uptimeSeconds: 0,
      degraded: false,
      broker: engine.fleet.broker(),
      sessions: 0,
      users: 0,
      channels: 0,
    },
    queue: { backend: "memory", messages: 0, users: 0 },
  });
  const app = createApp({
    ...{ ...parts, verifier },
    config: { http: { host: "127.0.0.1", port: 0, publicDiagnostics: false, trustedProxies: [] } },
    http: (node) => createHttp({ ...parts, ...node, tenants: live, verifier, node: "broken", addressOf: createAddressOf([]), health }),
  });
  return {
    rest: restOf(app.url, "key-of-acme"),
    socket: async (user) =>
      WsClient.connect(`${app.url.replace("http", "ws")}/ws?token=${await token(user)}`, { protocols: ["nexus.v1.json"] }),
    stream: async (user, query = "") => SseClient.connect(`${app.url}/sse?token=${await token(user)}${query}`),
    [Symbol.asyncDispose]: () => app.stop(),
  };
}

/** Every call goes to the whole engine (whose methods need their `this`) unless it was replaced. */
function broken(whole: Engine, breaks: ReturnType<Breaks>): Engine {
  const parts = Object.entries(breaks).map(([name, calls]) => {
    const port = whole[name as keyof Engine]; // a key of an Engine
    return [name, new Proxy(port, { get: (_, call) => bound(call in calls ? calls : port, call) })];
  });
  return { ...whole, ...Object.fromEntries(parts) };
}

function bound(port: object, call: string | symbol): unknown {
  const value: unknown = Reflect.get(port, call);
  return typeof value === "function" ? value.bind(port) : value;
}
