// Why: one process that is a whole server: public, ops and admin port over one engine.
// It must never read the environment, install a signal handler or exit.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { systemClock as clock } from "./adapters/clock.ts";
import type { LevelledLog } from "./adapters/log.ts";
import { watchMachine } from "./adapters/machine.ts";
import { createMetrics, type ServerMetrics } from "./adapters/metrics.ts";
import { type AdminListener, startAdmin } from "./admin/listener.ts";
import type { App } from "./app.ts";
import { type AppOptions, drainOf, keySets, loadOf, observe, type Parts, type ServedApp, shedOf, startApp } from "./assembly.ts";
import { followLogLevel, loadBootCopy, nodeName, usualLogLevel } from "./configured.ts";
import { createBrokerSight } from "./core/broker-sight.ts";
import type { Drain } from "./core/drain.ts";
import { createLiveConfig, type LiveConfig } from "./core/live-config.ts";
import { createLogLevels, unheldTimer } from "./core/log-level.ts";
import { createReadiness, type Readiness } from "./core/readiness.ts";
import type { Shed } from "./core/shed.ts";
import { startOps } from "./ops/listener.ts";

export type StartOptions = AppOptions & {
  readonly log: LevelledLog;
  /** Somebody asked for the end on the admin port. Without it the server drains and stops by itself. */
  readonly onDrainRequest?: () => void;
  /** In place of a registry of its own, for measurements. */
  readonly metrics?: ServerMetrics;
};

export type RunningServer = {
  /** Addresses without a slash at the end. */
  readonly url: string;
  readonly opsUrl: string;
  /** Undefined while the admin port is closed. */
  readonly adminPort: number | undefined;
  readonly live: LiveConfig;
  readonly readiness: Readiness;
  readonly node: App["node"];
  /** Lets the sessions go as `docs/operations.md` says, then stops. Every call resolves when it is over. */
  drain(): Promise<void>;
  /** Stops now: what is open is closed, what is waiting is stored. */
  stop(): Promise<void>;
};

/** Starts a server. @throws Error when a port is taken, or the admin files or the engine's file cannot be used */
export async function startServer(config: ServerConfig, options: StartOptions): Promise<RunningServer> {
  const { log } = options;
  const startedAt = clock.monotonic();
  const metrics = options.metrics ?? createMetrics({ version, tenants: config.metrics.tenants });
  const live = createLiveConfig({ overrides: { limits: config.limits, delivery: config.delivery }, log, clock });
  followLogLevel(live, log, config);
  const hasAdmin = config.admin.certFile !== "";
  const readiness = createReadiness({ clock, confirmed: live.confirmed, confirmSeconds: hasAdmin ? config.boot.confirmSeconds : 0 });
  const broker = createBrokerSight();
  const parts: Parts = { config, log, live, metrics, readiness, broker, jwks: keySets({ live, log, metrics }) };
  const ops = startOps(config.ops, parts); // first: probes get an answer while the boot copy is read
  let app: ServedApp | undefined;
  let admin: AdminListener | undefined;
  const machine = watchMachine(clock);
  const levels = createLogLevels({ log, usual: () => usualLogLevel(live, config), after: unheldTimer });
  const stop = async () => {
    levels.stop();
    machine.stop();
    await app?.stop();
    await admin?.stop();
    await ops.stop();
  };
  try {
    if (config.boot.directory !== "") await loadBootCopy(live, config.boot.directory, log);
    let serving: { readonly node: App["node"]; readonly draining: Drain; readonly shedding: Shed } | undefined;
    const drain = async () => {
      serving?.shedding.start(0, 1);
      await serving?.draining.run();
      await stop();
    };
    if (hasAdmin) {
      // Before the engine: a node that waits for its broker says so, and takes configuration meanwhile.
      admin = await startAdmin(config.admin, {
        ...{ ...parts, clock, version, push: live.push, cluster: config.cluster },
        sessions: () => serving?.node.sessions.count() ?? 0,
        purged: () => app?.purged() ?? [],
        brokerWord: () => (config.engine === "redis" ? broker.word() : undefined),
        load: () => serving && loadOf(parts, serving.node, machine),
        shed: (request) => serving?.shedding.start(request.sessions, request.perSecond) ?? 0,
        setLogLevel: levels.set,
        drain: options.onDrainRequest ?? (() => void drain()),
      });
    }
    app = await startApp(parts, options);
    const { url, port, node } = app;
    serving = { node, draining: drainOf(parts, node), shedding: shedOf(parts, node) };
    observe(parts, app, () => admin?.certificateExpiry() ?? 0);
    readiness.booted();
    log.info("server.started", {
      ...{ version, port, node: nodeName(config), cluster: config.cluster },
      durationMs: Math.round(clock.monotonic() - startedAt),
    });
    return { url, opsUrl: ops.url, adminPort: admin?.port, live, readiness, node, drain, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
