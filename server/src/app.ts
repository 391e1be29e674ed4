// Why: the one place where core, the engines behind it and the edges in front of it become a server that listens.
// It must never read the environment or choose an adapter: `assembly.ts` does.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import type { Server } from "bun";
import type { ListenerCertificate } from "./adapters/listener-certificate.ts";
import { createAddressOf } from "./core/client-address.ts";
import type { Defer } from "./core/defer.ts";
import type { Engine } from "./core/engine.ts";
import type { LiveConfig } from "./core/live-config.ts";
import { BEAT_MS, createNode, type NexusNode } from "./core/node.ts";
import type { Clock, Ids, Log, Metrics, TokenVerifier } from "./core/ports.ts";
import type { Session } from "./core/session.ts";
import { startPublicListener } from "./public-listener.ts";
import { createSseEdge } from "./sse/edge.ts";
import { createSocketEdge, type SocketLimits } from "./ws/edge.ts";

/** Answers whatever is no socket. */
export type HttpHandler = { fetch(request: Request, server: Server<Session>): Response | Promise<Response> };

export type AppDeps = {
  readonly config: Pick<ServerConfig, "http">;
  readonly live: LiveConfig;
  readonly engine: Engine;
  readonly verifier: TokenVerifier;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly tracer?: Tracer | undefined;
  /** Makes the REST handler, once the node is there. */
  readonly http: (node: NexusNode) => HttpHandler;
  /** Holds the gather window still, in milliseconds, for measurements; absent: it follows the load. */
  readonly gatherWindowMs?: number;
  /** Other processes of ours listen on the same port. */
  readonly reusePort?: boolean;
  /** Of the public port, renewed while it is open; absent: the port is plain. */
  readonly certificate?: Pick<ListenerCertificate, "pair" | "onChange" | "stop"> | undefined;
};

export type App = {
  /** Address of the public port, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly node: NexusNode;
  /** Stores what is still waiting, closes what is still open, gives back the port. Never rejects twice: later calls wait for the first. */
  stop(): Promise<void>;
};

/** The most `limits.batchBytes` may say; the live limits are the REST edge's to check. */
const MAX_BODY_BYTES = 67_108_864;

/** Timers of the real event loop; none of them keeps a process alive. */
const realDefer: Defer = (run, ms) => {
  if (ms === 0) setImmediate(run);
  else setTimeout(run, ms).unref();
};

/** Starts the public listener: `/ws` is a raw Bun socket, everything else is HTTP. Throws when the port is taken. */
export function createApp(deps: AppDeps): App {
  const { config, live, engine, log, ids } = deps;
  const node = createNode({ ...deps, tenants: live, defer: realDefer });
  const addressOf = createAddressOf(config.http.trustedProxies);
  const edge = createSocketEdge({ node, ids, log, addressOf });
  const sse = createSseEdge({ node, tenants: live, ids, log, random: Math.random, addressOf });
  const http = deps.http(node);
  const fetch = (request: Request, listener: Server<Session>) => {
    if (isPath(request.url, "/ws")) return edge.upgrade(request, listener);
    if (request.method === "GET" && isPath(request.url, "/sse")) return sse.fetch(request, listener);
    return http.fetch(request, listener);
  };
  let limits = socketLimits(live);
  const listener = startPublicListener({
    ...{ host: config.http.host, port: config.http.port, reusePort: deps.reusePort ?? false },
    ...{ maxBodyBytes: MAX_BODY_BYTES, fetch, websocket: edge.handler(limits), tls: deps.certificate?.pair() },
  });
  deps.certificate?.onChange(listener.setCertificate);
  const beat = setInterval(() => node.beat(), BEAT_MS);
  beat.unref();
  const stopWatching = live.onChange(() => {
    node.sessions.revalidate();
    const now = socketLimits(live);
    if (now.frameBytes === limits.frameBytes && now.staleSeconds === limits.staleSeconds) return;
    limits = now;
    listener.setSockets(edge.handler(limits));
  });

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    clearInterval(beat);
    stopWatching();
    node.refuseSessions();
    await node.sessions.settle();
    deps.certificate?.stop();
    await listener.stop();
    await engine.close();
  };
  const host = config.http.host.includes(":") ? `[${config.http.host}]` : config.http.host;
  return {
    url: `${deps.certificate ? "https" : "http"}://${host === "0.0.0.0" || host === "[::]" ? "127.0.0.1" : host}:${listener.port}`,
    port: listener.port,
    node,
    stop: () => (stopping ??= stop()),
  };
}

function socketLimits(live: LiveConfig): SocketLimits {
  const { limits, delivery } = live.cluster();
  return { frameBytes: limits.frameBytes, staleSeconds: delivery.staleSeconds };
}

/** Whether the address has this path, found without parsing the whole of it: this runs for every request. */
function isPath(url: string, wanted: string): boolean {
  const path = url.indexOf("/", url.indexOf("://") + 3);
  if (path < 0 || !url.startsWith(wanted, path)) return false;
  const after = url.charAt(path + wanted.length);
  return after === "" || after === "?";
}
