// Why: what every server process is put together from, whether it is alone or one of several behind a port: key sets, the
// public port over its engine, the drain, the gauges. It must never open an admin or ops port, nor read the environment.
import type { NodeLoad } from "@nexus/protocol/admin.ts";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { systemClock } from "./adapters/clock.ts";
import { systemIds } from "./adapters/ids.ts";
import { createJwks, type Jwks } from "./adapters/jwks.ts";
import { createJwksFetch } from "./adapters/jwks-fetch.ts";
import { createTokenVerifier } from "./adapters/jwt.ts";
import { openListenerCertificate } from "./adapters/listener-certificate.ts";
import type { LevelledLog } from "./adapters/log.ts";
import type { Machine } from "./adapters/machine.ts";
import type { ServerMetrics } from "./adapters/metrics.ts";
import { type OpenedEngine, openEngine } from "./adapters/open-engine.ts";
import { openTracing, type ServerTracing } from "./adapters/tracing.ts";
import { type App, createApp } from "./app.ts";
import { limitsOf, nodeName, processFacts } from "./configured.ts";
import type { BrokerSight } from "./core/broker-sight.ts";
import { createAddressOf } from "./core/client-address.ts";
import { createDrain, type Drain } from "./core/drain.ts";
import type { LiveConfig } from "./core/live-config.ts";
import { nodeLoad } from "./core/load.ts";
import { createPurger, type Purger } from "./core/purge.ts";
import type { Readiness } from "./core/readiness.ts";
import { createShed, type Shed } from "./core/shed.ts";
import { createTriggerSink } from "./core/trigger.ts";
import type { HealthFacts } from "./http/health.ts";
import { createHttp, type HttpDeps } from "./http/routes.ts";
import { createOps } from "./ops/listener.ts";

const clock = systemClock;
const ids = systemIds;

export type Parts = {
  readonly config: ServerConfig;
  readonly log: LevelledLog;
  readonly live: LiveConfig;
  readonly metrics: ServerMetrics;
  readonly readiness: Readiness;
  readonly jwks: Jwks;
  /** Kept up to date, for whoever asks how the broker is; undefined: nobody asks here. */
  readonly broker?: BrokerSight;
};

/** Key sets of issuers, fetched from where the cluster allows. `NODE_EXTRA_CA_CERTS` adds authorities of one's own. */
export function keySets({ live, log, metrics }: Pick<Parts, "live" | "log" | "metrics">): Jwks {
  const fetch = createJwksFetch({ allowPrivate: () => live.cluster().limits.jwksPrivateNetworks });
  return createJwks({ fetch, clock, log, random: Math.random, fetched: (outcome) => metrics.jwksFetched(outcome) });
}

export type AppOptions = {
  /** Answers paths of the public port that are no operation; undefined: 404. */
  readonly extra?: HttpDeps["extra"];
  /** Holds the gather window still, in milliseconds, for measurements. */
  readonly gatherWindowMs?: number;
  /** Other processes of ours listen on the same port. */
  readonly reusePort?: boolean;
};

/** `purged`: tombstones of the bundle whose tenant's data are gone, as far as this process knows. `degraded`: as `/health` says. */
export type ServedApp = App & Pick<Purger, "purged" | "pending"> & Pick<OpenedEngine, "degraded">;

/** The public port: REST and sockets over the engine. */
export async function startApp(parts: Parts, { extra, gatherWindowMs, reusePort }: AppOptions): Promise<ServedApp> {
  const { config, live, metrics, log } = parts;
  const startedAt = clock.monotonic();
  const { broker } = parts;
  const waiting = broker ? { waiting: broker.waitsFor } : {};
  const engine = await openEngine({ config, log, clock, ids, metrics, node: nodeName(config), ...waiting });
  broker?.opened(() => engine.fleet.broker());
  const tracing = openTracing({ config, live, log, metrics, node: nodeName(config) });
  const { tracer } = tracing;
  const verifier = createTokenVerifier({ tenants: live, clock, jwks: parts.jwks });
  const diagnostics = config.http.publicDiagnostics ? createOps(parts) : undefined;
  const health = ({ sessions }: App["node"]): HealthFacts => ({
    ...{ version, node: nodeName(config), degraded: engine.degraded(), uptimeSeconds: (clock.monotonic() - startedAt) / 1000 },
    ...{ sessions: sessions.count(), users: sessions.users(), channels: sessions.channels() },
    broker: engine.fleet.broker(),
    queue: { backend: config.inbox === "postgres" ? "postgres" : config.engine, ...engine.waiting() },
    ...(engine.postgres ? { postgres: engine.postgres() } : {}),
  });
  try {
    const certificate = await openListenerCertificate(config.tls, { log, metrics });
    const app = createApp({
      ...{ certificate, config, live, engine, verifier, metrics, log, clock, ids, tracer },
      ...(gatherWindowMs === undefined ? {} : { gatherWindowMs }),
      ...(reusePort === undefined ? {} : { reusePort }),
      http: (node) =>
        createHttp({
          ...{ tenants: live, publisher: node.publisher, sessions: node.sessions, engine, verifier, metrics, log, clock, ids, tracer },
          node: nodeName(config),
          addressOf: createAddressOf(config.http.trustedProxies),
          health: () => health(node),
          extra: (request) => (diagnostics && new URL(request.url).pathname === "/metrics" ? diagnostics.fetch(request) : extra?.(request)),
        }),
    });
    return { ...withPurger(withTriggers(withTracing(app, tracing), parts, engine), parts, engine), degraded: engine.degraded };
  } catch (error) {
    await tracing.stop();
    await engine.close(); // a file would stay locked
    throw error;
  }
}

/** Spans of what the app did last are sent when it has ended. */
function withTracing(app: App, tracing: ServerTracing): App {
  const stop = async () => {
    await app.stop();
    await tracing.stop();
  };
  let stopping: Promise<void> | undefined;
  return { ...app, stop: () => (stopping ??= stop()) };
}

/** Publishes through Redis end before the app does: they need its engine. */
function withTriggers(app: App, { live, log, metrics, readiness }: Parts, engine: OpenedEngine): App {
  const sink = createTriggerSink({ tenants: live, publisher: app.node.publisher, log });
  const triggers = engine.triggers?.({ sink, ready: () => readiness.isReady(), counted: metrics.triggered });
  if (!triggers) return app;
  metrics.observeTriggers(triggers.isListening);
  const stop = async () => {
    await triggers.stop();
    await app.stop();
  };
  let stopping: Promise<void> | undefined;
  return { ...app, stop: () => (stopping ??= stop()) };
}

/** A purge ends before the app does: it needs its engine. */
function withPurger(app: App, { live, log, metrics }: Parts, engine: OpenedEngine): Omit<ServedApp, "degraded"> {
  const purger = createPurger({ ...{ live, engine, clock, log, metrics }, wait });
  const stop = async () => {
    await purger.stop();
    await app.stop();
  };
  let stopping: Promise<void> | undefined;
  return { ...app, purged: purger.purged, pending: purger.pending, stop: () => (stopping ??= stop()) };
}

/** The pace of whoever asks for it (a purge that is tried again), cut short by the end. Keeps no process alive. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}

export function drainOf({ config, live, log, readiness }: Parts, node: App["node"]): Drain {
  const { sessions } = node;
  return createDrain({
    ...{ clock, log, random: Math.random },
    wait: (ms) => Bun.sleep(ms), // the pace at which people are sent away is what a drain is
    propagationSeconds: config.drain.propagationSeconds,
    pace: () => live.cluster().delivery,
    steps: {
      announce: () => readiness.drain(),
      refuse: () => node.refuseSessions(),
      sessions: () => sessions.count(),
      shutdown: (count, hint) => sessions.shutdown(count, hint),
      settle: () => sessions.settle(),
    },
  });
}

/** How loaded this process is. */
export function loadOf({ live, readiness }: Pick<Parts, "live" | "readiness">, node: App["node"], machine: Machine): NodeLoad {
  const room = live.cluster().limits.connectionsPerPod - node.sessions.count();
  const isAccepting = !readiness.isDraining() && !node.isDraining();
  return nodeLoad({ traffic: node.traffic(), machine: machine.use(), room, isAccepting });
}

/** What the operator asks to be sent elsewhere, at a pace: the waits are that pace. A drain sends everybody, whatever was asked before. */
export function shedOf({ live, log }: Pick<Parts, "live" | "log">, { sessions }: App["node"]): Shed {
  const reconnectJitterSeconds = () => live.cluster().delivery.reconnectJitterSeconds;
  return createShed({ ...{ clock, log, random: Math.random, sessions, reconnectJitterSeconds }, wait: (ms) => Bun.sleep(ms) });
}

/** What `/metrics` shows of this process, tenants included. */
export function observe(parts: Parts, { node: { sessions }, pending, degraded }: ServedApp, certificateExpiry: () => number): void {
  const { live, metrics, jwks } = parts;
  metrics.observe({
    ...processFacts(parts, certificateExpiry),
    degraded,
    jwksOutage: () => jwks.outageSeconds(),
    users: () => sessions.users(),
    channels: () => sessions.channels(),
    load: () => sessions.load(),
    limits: () => limitsOf(live),
    purgesPending: pending,
    tenants: {
      isDeclared: (id) => live.tenant(id) !== undefined,
      ids: live.tenantIds,
      sessionsLimit: (id) => live.tenant(id)?.quotas.connections,
      digest: live.digest,
    },
  });
}
