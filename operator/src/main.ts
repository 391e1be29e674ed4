// Why: the one place that wires the operator: watches, election, loop, ports, signals. Nothing else reads the environment,
// listens, or exits.
import { version } from "../package.json" with { type: "json" };
import { defaultAccess } from "./kube/access.ts";
import { watchCapabilities } from "./kube/capabilities.ts";
import { discover } from "./kube/discovery.ts";
import { leaseApi, startElector } from "./kube/lease.ts";
import { startLocalPort } from "./kube/local-port.ts";
import { createOperatorLog, LogLevels, type OperatorLog } from "./kube/log.ts";
import { controllerOf, createOperatorMetrics } from "./kube/metrics.ts";
import { startOps } from "./kube/ops.ts";
import { createOperatorTracing } from "./kube/tracing.ts";
import { createTransport } from "./kube/transport.ts";
import { startWatches } from "./kube/watches.ts";
import { prepareLeading } from "./leading.ts";
import { Breakers } from "./loop/breaker.ts";
import { sleep, systemClock } from "./loop/clock.ts";
import { type Controller, clusterOfKey, type WorkKey, workKey } from "./loop/controller.ts";
import { stuck } from "./loop/health.ts";
import { apiVersionOf } from "./loop/kinds.ts";
import { keepSmall } from "./loop/memory.ts";
import type { WatchHandler } from "./loop/ports.ts";
import { PRIORITY, WorkQueue } from "./loop/queue.ts";
import { TemplateBodies } from "./loop/template-bodies.ts";
import { type OperatorOptions, parseOptions } from "./options.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The longest that an operator which could lead makes itself ready for it first. */
const WARM_MS = 15_000;
/** Workers that one cluster alone never takes. */
const OTHERS = 2;

export type RunningOperator = {
  /** Of the port for others, and of the one on the loopback address. */
  readonly url: string;
  readonly localUrl: string;
  readonly log: OperatorLog;
  /** Resolves when the process should end: 0 after `stop`, 1 when the lead was lost. */
  readonly ended: Promise<number>;
  stop(): Promise<void>;
};

/** Starts to watch at once, and to write when it leads. @throws Error when no API server is configured or a port is taken */
export async function startOperator(options: OperatorOptions, env: Env): Promise<RunningOperator> {
  const clock = systemClock;
  const random = Math.random;
  const metrics = createOperatorMetrics(version);
  const log = createOperatorLog({ level: options.logLevel, clock, onLine: metrics.logLine });
  const levels = new LogLevels(log, clock);
  const access = await defaultAccess(env);
  const userAgent = `nexus-operator/${version}`;
  const tracing = createOperatorTracing({
    ...{ ...options.tracing, version, identity: options.identity, counted: metrics.traceSpans },
    namespace: options.leaseNamespace ?? access.namespace ?? "default",
    failed: (reason) => log.warn("tracing.export_failed", { reason }),
  });
  const transport = createTransport({
    ...{ access, userAgent },
    metrics: {
      request(sample) {
        metrics.request(sample);
        const { method, path, code: status, seconds } = sample;
        log.debug("api.answered", { method, path, status, durationMs: Math.round(seconds * 1000) });
      },
    },
  });
  const times = { leaseMs: options.leaseSeconds * 1000, renewMs: options.renewSeconds * 1000, retryMs: options.retrySeconds * 1000 };
  const breakers = new Breakers({
    ...{ clock, random, most: Math.max(1, options.workers - OTHERS), onChange: () => queue.serve(), gauge: metrics.heldBack },
    onOpen: (cluster, forMs) => log.warn("cluster.held_back", { cluster, forMs: Math.round(forMs) }),
  });
  const groups = { of: (key: WorkKey) => clusterOfKey(key, watches.views), most: (cluster: string) => breakers.most(cluster) };
  const queue = new WorkQueue<WorkKey>({ clock, random, groups, metrics: metrics.queue });
  // Called from events alone, which come later than the controller.
  const told =
    <T>(pick: (controller: Controller) => WatchHandler<T>): WatchHandler<T> =>
    (event) =>
      pick(leading.controller)(event);
  const bodies = new TemplateBodies();
  const scope = { namespaces: options.namespaces, selector: options.selector };
  const watches = startWatches({
    transport,
    bodies,
    scope,
    metrics: metrics.reflector,
    silenceMs: options.watchSilenceSeconds * 1000,
    onError: (kind, error, retryInMs) =>
      log.warn("watch.failed", { kind: kind.kind, reason: error.reason, error: error.message, retryInMs }),
    handlers: {
      onCluster: told((one) => one.onCluster),
      onTenant: told((one) => one.onTenant),
      onTemplate: told((one) => one.onTemplate),
      onNamespace: told((one) => one.onNamespace),
      onChild: told((one) => one.onChild),
      onSecret: told((one) => one.onSecret),
    },
  });
  const capabilities = watchCapabilities({
    discover: (signal) => discover(transport, signal),
    ...{ clock, random },
    onChange: (kind, isServed) => {
      log.info(isServed ? "kind.served" : "kind.absent", { kind: kind.kind, apiVersion: apiVersionOf(kind) });
      if (isServed) watches.watchChildren(kind);
      else watches.unwatchChildren(kind);
      for (const key of watches.views.clusters.keys()) leading.controller.look(workKey("cluster", key), PRIORITY.resync);
    },
    onError: (error) => log.warn("discovery.failed", { error }),
  });
  const ready = Promise.withResolvers<void>();
  const elector = startElector({
    api: leaseApi(transport, times),
    namespace: options.leaseNamespace ?? access.namespace ?? "default",
    name: options.leaseName,
    identity: options.identity,
    times,
    ready: ready.promise,
    onError: (error) => log.warn("lease.failed", { error }),
    onSlowPath: metrics.slowPath,
  });
  const { leadership } = elector;
  const leading = prepareLeading({
    ...{ options, userAgent, transport, watches, bodies, scope, capabilities, queue, breakers, leadership },
    ...{ metrics, log, tracing, clock, random },
  });

  const stopCollecting = keepSmall({ clock, residentBytes: () => process.memoryUsage.rss(), collect: () => Bun.gc(true) });
  let isLeading = false;
  let isWarm = false;
  let hasLooked = false;
  void capabilities.looked.then(() => {
    hasLooked = true;
  });
  const missing = () => {
    const unseen = [...watches.missing(), ...(hasLooked ? [] : ["discovery has not answered yet"])];
    return unseen.length > 0 || isWarm ? unseen : ["configurations are not compiled yet"];
  };
  metrics.observe({
    isLeading: () => isLeading,
    workers: options.workers,
    *underWay() {
      for (const { key, forMs } of queue.underWay()) yield { controller: controllerOf(key), forMs };
    },
    heardMs: () => watches.heardMs(),
    watched: () => watches.counts(),
    renewedMs: () => elector.renewedMs(),
    series: () => (isLeading ? leading.series.read() : undefined),
  });
  const ops = startOps({
    port: options.port,
    metrics,
    isLeading: () => isLeading,
    missing,
    stuck: () =>
      stuck({
        underWay: queue.underWay(),
        leaseTriedMs: leadership.lost.aborted ? undefined : clock.monotonicMs() - elector.triedMs(),
        leaseMs: times.leaseMs,
      }),
  });
  const local = startLocalPort(options.localPort, levels);

  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let isStopping = false;
  leadership.lost.addEventListener("abort", () => {
    isLeading = false;
    if (isStopping) return;
    log.error("lease.lost", { identity: options.identity });
    end(1);
  });

  void Promise.all([watches.synced, capabilities.looked]).then(async ([synced]) => {
    if (!synced || isStopping) return;
    const startedMs = clock.monotonicMs();
    const hasTime = sleep(clock, WARM_MS, leadership.lost);
    const isInTime = await Promise.race([leading.warm().then(() => true), hasTime.then(() => false)]);
    if (isStopping) return;
    if (isInTime) log.info("standby.warm", { durationMs: Math.round(clock.monotonicMs() - startedMs) });
    isWarm = true;
    ready.resolve();
    if (!(await elector.acquired) || isStopping) return;
    isLeading = true;
    log.info("lease.acquired", { identity: options.identity, term: String(leadership.term()) });
    leading.begin();
  });
  return {
    url: `http://127.0.0.1:${ops.port}`,
    localUrl: `http://127.0.0.1:${local.port}`,
    log,
    ended,
    async stop() {
      isStopping = true;
      stopCollecting();
      capabilities.stop();
      await leading.stop();
      await elector.release();
      await watches.stop();
      levels.stop();
      await Promise.all([ops.stop(), local.stop(), tracing.stop()]);
      end(0);
    },
  };
}

/** The `operator` sub-command: runs until SIGTERM or until the lead is lost. Answers the exit code. */
export async function runOperator(args: readonly string[], env: Env): Promise<number> {
  const flags = new Map<string, string>();
  for (let at = 0; at < args.length; at++) {
    const [name = "", value] = (args[at] ?? "").split(/=(.*)/s);
    flags.set(name, value ?? args[++at] ?? "");
  }
  const parsed = parseOptions({ env, flags });
  if (!parsed.ok) {
    process.stderr.write(`${parsed.errors.join("\n")}\n`);
    return 2;
  }
  let operator: RunningOperator;
  try {
    operator = await startOperator(parsed.options, env);
  } catch (error) {
    createOperatorLog({ level: parsed.options.logLevel, clock: systemClock }).error("operator.failed", { error });
    return 1;
  }
  const { log } = operator;
  log.info("operator.started", { version, url: operator.url, identity: parsed.options.identity });
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (signals++ > 0) process.exit(1);
    log.info("operator.stopping", { signal });
    operator.stop().catch((error: unknown) => log.error("operator.stop_failed", { error }));
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  return await operator.ended;
}
