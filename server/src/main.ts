// Why: the one place that knows adapters: configuration in, a running server out, and the end of the process.
// Nothing else may read the environment, install a signal handler or exit.
import { hostname } from "node:os";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { readBootCopy } from "./adapters/boot.ts";
import { systemClock } from "./adapters/clock.ts";
import { systemIds } from "./adapters/ids.ts";
import { createJwks, type Jwks } from "./adapters/jwks.ts";
import { createJwksFetch } from "./adapters/jwks-fetch.ts";
import { createTokenVerifier } from "./adapters/jwt.ts";
import { createLog, type LevelledLog } from "./adapters/log.ts";
import { createMetrics, type ServerMetrics } from "./adapters/metrics.ts";
import { openEngine } from "./adapters/open-engine.ts";
import { type AdminListener, startAdmin } from "./admin/listener.ts";
import { type App, createApp } from "./app.ts";
import { createAddressOf } from "./core/client-address.ts";
import { createDrain, type Drain } from "./core/drain.ts";
import { readFlags } from "./core/flags.ts";
import { createLiveConfig, type LiveConfig } from "./core/live-config.ts";
import { createReadiness, type Readiness } from "./core/readiness.ts";
import type { HealthFacts } from "./http/health.ts";
import { createHttp, type HttpDeps } from "./http/routes.ts";
import { createOps, startOps } from "./ops/listener.ts";

export type StartOptions = {
  readonly log: LevelledLog;
  /** Answers paths of the public port that are no operation; undefined: 404. */
  readonly extra?: HttpDeps["extra"];
  /** Somebody asked for the end on the admin port. Without it the server drains and stops by itself. */
  readonly onDrainRequest?: () => void;
  /** Holds the gather window still, in milliseconds, for measurements. */
  readonly gatherWindowMs?: number;
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
  const metrics = createMetrics({ version });
  const live = createLiveConfig({ overrides: { limits: config.limits, delivery: config.delivery }, log, clock });
  followLogLevel(live, log, config.log.level);
  const hasAdmin = config.admin.certFile !== "";
  const readiness = createReadiness({ clock, confirmed: live.confirmed, confirmSeconds: hasAdmin ? config.boot.confirmSeconds : 0 });
  const parts: Parts = { config, log, live, metrics, readiness, jwks: keySets({ live, log, metrics }) };
  const ops = startOps(config.ops, parts); // first: probes get an answer while the boot copy is read
  let app: App | undefined;
  let admin: AdminListener | undefined;
  const stop = async () => {
    await app?.stop();
    await admin?.stop();
    await ops.stop();
  };
  try {
    if (config.boot.directory !== "") await loadBootCopy(live, config.boot.directory, log);
    app = await startApp(parts, options);
    const { url, port, node } = app;
    const draining = drainOf(parts, node);
    const drain = async () => {
      await draining.run();
      await stop();
    };
    const sessions = () => node.sessions.count();
    if (hasAdmin) {
      admin = await startAdmin(config.admin, {
        ...{ ...parts, clock, version, sessions, cluster: config.cluster },
        setLogLevel: (level) => log.setLevel(level),
        drain: options.onDrainRequest ?? (() => void drain()),
      });
    }
    observe(parts, node, () => admin?.certificateExpiry() ?? 0);
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

const clock = systemClock;
const ids = systemIds;

type Parts = {
  readonly config: ServerConfig;
  readonly log: LevelledLog;
  readonly live: LiveConfig;
  readonly metrics: ServerMetrics;
  readonly readiness: Readiness;
  readonly jwks: Jwks;
};

/** Key sets of issuers, fetched from where the cluster allows. `NODE_EXTRA_CA_CERTS` adds authorities of one's own. */
function keySets({ live, log, metrics }: Pick<Parts, "live" | "log" | "metrics">): Jwks {
  const fetch = createJwksFetch({ allowPrivate: () => live.cluster().limits.jwksPrivateNetworks });
  return createJwks({ fetch, clock, log, random: Math.random, fetched: (outcome) => metrics.jwksFetched(outcome) });
}

/** What this server is called in answers and logs. */
const nodeName = ({ node }: ServerConfig): string => node || hostname();

/** The public port: REST and sockets over the engine. */
async function startApp(parts: Parts, { extra, gatherWindowMs }: StartOptions): Promise<App> {
  const { config, live, metrics, log } = parts;
  const startedAt = clock.monotonic();
  const engine = await openEngine({ config, log, clock, ids, node: nodeName(config) });
  const verifier = createTokenVerifier({ tenants: live, clock, jwks: parts.jwks });
  const diagnostics = config.http.publicDiagnostics ? createOps(parts) : undefined;
  const health = ({ sessions }: App["node"]): HealthFacts => ({
    ...{ version, node: nodeName(config), degraded: engine.degraded(), uptimeSeconds: (clock.monotonic() - startedAt) / 1000 },
    ...{ sessions: sessions.count(), users: sessions.users(), channels: sessions.channels() },
    queue: { backend: config.engine, ...engine.waiting() },
  });
  try {
    return createApp({
      ...{ config, live, engine, verifier, metrics, log, clock, ids },
      ...(gatherWindowMs === undefined ? {} : { gatherWindowMs }),
      http: (node) =>
        createHttp({
          ...{ tenants: live, publisher: node.publisher, sessions: node.sessions, engine, verifier, metrics, log, clock, ids },
          node: nodeName(config),
          addressOf: createAddressOf(config.http.trustedProxies),
          health: () => health(node),
          extra: (request) => (diagnostics && new URL(request.url).pathname === "/metrics" ? diagnostics.fetch(request) : extra?.(request)),
        }),
    });
  } catch (error) {
    await engine.close(); // a file would stay locked
    throw error;
  }
}

function drainOf({ config, live, log, readiness }: Parts, node: App["node"]): Drain {
  const { sessions } = node;
  return createDrain({
    ...{ clock, log, random: Math.random },
    wait: (ms) => Bun.sleep(ms),
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

function observe({ live, metrics, readiness, jwks }: Parts, { sessions }: App["node"], certificateExpiry: () => number): void {
  const ageSeconds = () => {
    const confirmedAt = live.confirmedAt();
    return confirmedAt === undefined ? -1 : (clock.monotonic() - confirmedAt) / 1000;
  };
  metrics.observe({
    ...{ certificateExpiry, ready: readiness.isReady, draining: readiness.isDraining },
    jwksOutage: () => jwks.outageSeconds(),
    users: () => sessions.users(),
    channels: () => sessions.channels(),
    load: () => sessions.load(),
    bundle: () => ({ ...live.counts(), ageSeconds: ageSeconds() }),
  });
}

async function loadBootCopy(live: LiveConfig, directory: string, log: LevelledLog): Promise<void> {
  let buckets = 0;
  let skipped = 0;
  const failed = await readBootCopy(directory, {
    log,
    take(bucket) {
      const report = live.load([bucket]);
      buckets += report.buckets;
      skipped += report.skipped.length;
    },
  });
  log.info("boot.loaded", { buckets, failed: failed + skipped, ...live.counts() });
}

/** What the cluster says wins while it says something. */
function followLogLevel(live: LiveConfig, log: LevelledLog, fallback: ServerConfig["log"]["level"]): void {
  live.onChange(({ cluster }) => {
    if (cluster) log.setLevel(live.cluster().log_level ?? fallback);
  });
}

/**
 * The server as a process: configuration from `env` and flags, boot copy from the mounted folder, drain on SIGTERM.
 * Resolves with the exit code: 0 drained, 1 could not start, 2 bad configuration. A second signal ends the process at once.
 */
export async function runServer(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const read = readFlags(args);
  const parsed = read.ok ? parseConfig({ env, flags: read.flags }) : read;
  if (!parsed.ok) {
    for (const error of parsed.errors) process.stderr.write(`${error}\n`);
    return 2;
  }
  const { config } = parsed;
  const log = createLog({ level: config.log.level, clock: systemClock });
  const ended = Promise.withResolvers<number>();
  let server: RunningServer | undefined;
  let isEnding = false;
  const end = (reason: string) => {
    if (isEnding || !server) {
      log.warn("server.killed", { reason });
      process.exit(1); // asked twice, or before there is anything to drain
    }
    isEnding = true;
    log.info("server.stopping", { reason });
    server.drain().then(
      () => ended.resolve(0),
      (error: unknown) => {
        log.error("server.stop_failed", { error });
        ended.resolve(1);
      },
    );
  };
  // As PID 1 a process without handlers ignores these signals.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => end(signal));
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      log.error("server.crashed", { error });
      process.exit(1); // what is left of the state cannot be trusted
    });
  }
  try {
    server = await startServer(config, { log, onDrainRequest: () => !isEnding && end("admin") });
  } catch (error) {
    log.error("server.start_failed", { error });
    return 1;
  }
  return await ended.promise;
}

if (import.meta.main) void runServer(process.argv.slice(2), process.env).then((code) => process.exit(code));
