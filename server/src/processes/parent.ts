// Why: the process that runs the others: admin and ops port, the live configuration, one name for all of them. It serves no
// session and holds no engine, so that nothing on the hot path can take it down.
// It must never read the environment, install a signal handler or exit.

import { BUNDLE_FORMAT } from "@nexus/protocol/bundle.ts";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { systemClock as clock } from "../adapters/clock.ts";
import type { LevelledLog } from "../adapters/log.ts";
import { createMetrics, type ServerMetrics } from "../adapters/metrics.ts";
import { type AdminListener, startAdmin } from "../admin/listener.ts";
import { followLogLevel, limitsOf, loadBootCopy, nodeName, processFacts, usualLogLevel } from "../configured.ts";
import { createLiveConfig, type LiveConfig, type Push, type PushOutcome } from "../core/live-config.ts";
import { createLogLevels, unheldTimer } from "../core/log-level.ts";
import { createReadiness, type Readiness } from "../core/readiness.ts";
import { startOps } from "../ops/listener.ts";
import { Archive } from "./archive.ts";
import { type GroupDeps, ProcessGroup } from "./group.ts";
import type { ToProcess } from "./messages.ts";

/** What a drain may take beyond its own times, in milliseconds. */
const DRAIN_SLACK_MS = 10_000;

export type ParentOptions = Pick<GroupDeps, "command" | "env"> & { readonly log: LevelledLog; readonly onDrainRequest: () => void };

export type RunningGroup = {
  /** Lets the sessions of all processes go, then stops. @throws Error when one of them did not end as asked */
  drain(): Promise<void>;
};

/** Starts `config.processes` servers behind one port. @throws Error when a port is taken, a file cannot be used, or one cannot start */
export async function startProcesses(config: ServerConfig, { log, command, env, onDrainRequest }: ParentOptions): Promise<RunningGroup> {
  const startedAt = clock.monotonic();
  const metrics = createMetrics({ version });
  const live = createLiveConfig({ overrides: { limits: config.limits, delivery: config.delivery }, log, clock });
  followLogLevel(live, log, config);
  const archive = new Archive();
  const port = await claimPort(config.http);
  const handOver = () => handOverOf({ archive, live, log, port });
  const group = new ProcessGroup({ ...{ count: config.processes, command, env, log, metrics, handOver }, random: Math.random });
  const hasAdmin = config.admin.certFile !== "";
  const confirmSeconds = hasAdmin ? config.boot.confirmSeconds : 0;
  const readiness = withProcesses(createReadiness({ clock, confirmed: live.confirmed, confirmSeconds }), group);
  const ops = startOps(config.ops, { readiness, log, metrics: { contentType: metrics.contentType, text: () => group.metricsText() } });
  let admin: AdminListener | undefined;
  const levels = createLogLevels({
    log,
    usual: () => usualLogLevel(live, config),
    after: unheldTimer,
    tell: (level) => group.setLogLevel(level),
  });
  const stopPorts = async () => {
    levels.stop();
    await admin?.stop();
    await ops.stop();
  };
  try {
    if (config.boot.directory !== "") await loadBootCopy(live, config.boot.directory, log, (bucket) => archive.put(bucket));
    await group.start();
    if (hasAdmin) {
      admin = await startAdmin(config.admin, {
        ...{ live, readiness, log, clock, metrics, version, cluster: config.cluster },
        push: (push) => pushToAll({ archive, live, group }, push),
        sessions: () => group.sessions(),
        purged: () => group.purged(),
        load: () => group.load(),
        shed: (request) => group.shed(request),
        setLogLevel: levels.set,
        drain: onDrainRequest,
      });
    }
    observe({ live, metrics, readiness, log }, () => admin?.certificateExpiry() ?? 0);
    readiness.booted();
    const durationMs = Math.round(clock.monotonic() - startedAt);
    log.info("server.started", { version, port, node: nodeName(config), cluster: config.cluster, processes: config.processes, durationMs });
  } catch (error) {
    await group.stop();
    await stopPorts();
    throw error;
  }
  return {
    async drain() {
      readiness.drain();
      const seconds = config.drain.propagationSeconds + live.cluster().delivery.drainSeconds;
      try {
        await group.drain(seconds * 1000 + DRAIN_SLACK_MS);
      } finally {
        await stopPorts();
      }
    },
  };
}

type Told = { readonly archive: Archive; readonly live: LiveConfig };

/** In the order pushes come: this process first, then, in the same order, every other. */
async function pushToAll({ archive, live, group }: Told & { readonly group: ProcessGroup }, push: Push): Promise<PushOutcome> {
  const outcome = live.push(push);
  if (outcome.kind !== "applied") return outcome;
  archive.apply(push, new Set(outcome.result.rejected.map(({ key }) => key)));
  await group.push(push, outcome.result.digest);
  return outcome;
}

function* handOverOf({ archive, live, log, port }: Told & { readonly log: LevelledLog; readonly port: number }): Iterable<ToProcess> {
  for (const packed of archive.packed()) yield { kind: "bucket", packed };
  const last: Push = { format: BUNDLE_FORMAT, ...live.fence(), digest: live.digest(), buckets: [] };
  yield { kind: "start", port, level: log.level(), last };
}

/** Ready takes at least one process that listens; all of them at the start, because `booted` waits for that. */
function withProcesses(base: Readiness, group: ProcessGroup): Readiness {
  const missing = () => (group.up() === 0 ? ["no_process"] : []);
  return {
    ...base,
    reasons: () => [...base.reasons(), ...missing()],
    isReady: () => base.isReady() && group.up() > 0,
  };
}

/** What only this process knows; what sessions are made of, the others report. */
function observe(
  { metrics, ...own }: Pick<Told, "live"> & { metrics: ServerMetrics; readiness: Readiness; log: LevelledLog },
  expiry: () => number,
) {
  metrics.observe({
    ...processFacts(own, expiry),
    degraded: () => false,
    jwksOutage: () => 0,
    users: () => 0,
    channels: () => 0,
    load: () => ({ subscriptions: 0, queuedBytes: 0, slowSessions: 0 }),
    limits: () => ({ ...limitsOf(own.live), sessions: 0 }),
    purgesPending: () => 0,
  });
}

/** The port all processes share. Whoever holds it alone is found here: later, sharing would hide them. @throws Error when it is taken */
async function claimPort({ host, port }: ServerConfig["http"]): Promise<number> {
  const probe = Bun.serve({ hostname: host, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) });
  const claimed = probe.port ?? port;
  await probe.stop(true);
  return claimed;
}
