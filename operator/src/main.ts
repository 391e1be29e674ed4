// Why: the one place that wires the operator: watches, election, loop, ports, signals. Nothing else reads the environment,
// listens, or exits.
import { version } from "../package.json" with { type: "json" };
import { clusterKeyOf, type World } from "./desired/acceptance.ts";
import { defaultAccess } from "./kube/access.ts";
import { createAdminClient } from "./kube/admin-client.ts";
import { createApplier } from "./kube/apply.ts";
import { watchCapabilities } from "./kube/capabilities.ts";
import * as certificates from "./kube/certificates.ts";
import { ContestTracker } from "./kube/contest.ts";
import { discover } from "./kube/discovery.ts";
import { createEventRecorder } from "./kube/events.ts";
import { leaseApi, startElector } from "./kube/lease.ts";
import { startLocalPort } from "./kube/local-port.ts";
import { createOperatorLog, LogLevels, logPush, type OperatorLog } from "./kube/log.ts";
import { controllerOf, createOperatorMetrics } from "./kube/metrics.ts";
import { startOps } from "./kube/ops.ts";
import { createKubeApi } from "./kube/resource.ts";
import { createSchemas, readSchema } from "./kube/schemas.ts";
import { watchServedCrds } from "./kube/served-crds.ts";
import { createStatusWriter } from "./kube/status.ts";
import { createTemplateReader } from "./kube/template-reader.ts";
import { createTransport } from "./kube/transport.ts";
import { startWatches } from "./kube/watches.ts";
import { AccessGrace } from "./loop/access-grace.ts";
import { Breakers } from "./loop/breaker.ts";
import { systemClock } from "./loop/clock.ts";
import { SeriesReader } from "./loop/cluster-series.ts";
import { Configurations } from "./loop/configuration.ts";
import { Controller, clusterOfKey, type WorkKey, workKey } from "./loop/controller.ts";
import { stuck } from "./loop/health.ts";
import { apiVersionOf } from "./loop/kinds.ts";
import { LiveTimes } from "./loop/live-times.ts";
import { keepSmall } from "./loop/memory.ts";
import { NewestObjects } from "./loop/newest.ts";
import { createPasses } from "./loop/passes.ts";
import type { WatchHandler } from "./loop/ports.ts";
import { createPusher } from "./loop/pusher.ts";
import { PRIORITY, WorkQueue } from "./loop/queue.ts";
import { Loads } from "./loop/scaling/loads.ts";
import { Scaling } from "./loop/scaling/memory.ts";
import { SecretSource } from "./loop/secret-source.ts";
import { TemplateBodies } from "./loop/template-bodies.ts";
import { TombstonePass } from "./loop/tombstone-pass.ts";
import { tombstoneKey } from "./loop/tombstones.ts";
import { worldOf } from "./loop/views.ts";
import { type OperatorOptions, parseOptions } from "./options.ts";
import { few } from "./status/conditions.ts";

type Env = Readonly<Record<string, string | undefined>>;

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
  const transport = createTransport({ access, userAgent, metrics: { request: metrics.request } });
  const times = { leaseMs: options.leaseSeconds * 1000, renewMs: options.renewSeconds * 1000, retryMs: options.retrySeconds * 1000 };
  const breakers = new Breakers({
    ...{ clock, random, most: Math.max(1, options.workers - OTHERS), onChange: () => queue.serve(), gauge: metrics.heldBack },
    onOpen: (cluster, forMs) => log.warn("cluster.held_back", { cluster, forMs: Math.round(forMs) }),
  });
  const groups = { of: (key: WorkKey) => clusterOfKey(key, watches.views), most: (cluster: string) => breakers.most(cluster) };
  const queue = new WorkQueue<WorkKey>({ clock, random, groups, metrics: metrics.queue });
  let controller: Controller | undefined;
  // Watches start before there is a controller: what they bring first is added again when we lead.
  const told =
    <T>(pick: (controller: Controller) => WatchHandler<T>): WatchHandler<T> =>
    (event) => {
      if (controller) pick(controller)(event);
    };
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
      // Without a controller there is nothing to look at yet; it looks at every cluster when it starts.
      if (controller) for (const key of watches.views.clusters.keys()) queue.add(workKey("cluster", key), PRIORITY.resync);
    },
    onError: (error) => log.warn("discovery.failed", { error }),
  });
  const elector = startElector({
    api: leaseApi(transport, times),
    namespace: options.leaseNamespace ?? access.namespace ?? "default",
    name: options.leaseName,
    identity: options.identity,
    times,
    onError: (error) => log.warn("lease.failed", { error }),
    onSlowPath: metrics.slowPath,
  });
  const { leadership } = elector;
  const { views } = watches;

  const stopCollecting = keepSmall({ clock, residentBytes: () => process.memoryUsage.rss(), collect: () => Bun.gc(true) });
  let isLeading = false;
  let series: SeriesReader | undefined;
  metrics.observe({
    isLeading: () => isLeading,
    workers: options.workers,
    *underWay() {
      for (const { key, forMs } of queue.underWay()) yield { controller: controllerOf(key), forMs };
    },
    heardMs: () => watches.heardMs(),
    renewedMs: () => elector.renewedMs(),
    series: () => (isLeading ? series?.read() : undefined),
  });
  const ops = startOps({
    port: options.port,
    metrics,
    isLeading: () => isLeading,
    isSynced: () => views.clusters.hasSynced() && views.tenants.hasSynced() && views.templates.hasSynced(),
    stuck: () =>
      stuck({
        underWay: queue.underWay(),
        leaseTriedMs: leadership.lost.aborted ? undefined : clock.monotonicMs() - elector.triedMs(),
        leaseMs: times.leaseMs,
      }),
  });
  const local = startLocalPort(options.localPort, levels);

  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let stopLoop: (() => Promise<void>) | undefined;
  let isStopping = false;
  leadership.lost.addEventListener("abort", () => {
    isLeading = false;
    if (isStopping) return;
    log.error("lease.lost", { identity: options.identity });
    end(1);
  });

  void Promise.all([elector.acquired, watches.synced, capabilities.looked]).then(([leads, synced]) => {
    if (!leads || !synced || isStopping) return;
    isLeading = true;
    log.info("lease.acquired", { identity: options.identity, term: String(leadership.term()) });
    const loop = startLoop();
    stopLoop = loop.stop;
    controller = loop.controller;
    controller.begin();
  });
  function startLoop() {
    const api = createKubeApi({ transport, fence: leadership });
    const contests = new ContestTracker(clock);
    const applier = createApplier({ api, contests, metrics: metrics.apply });
    const secrets = new SecretSource({ api, stores: [views.ownSecrets, views.watchedSecrets], clock });
    const onError = (error: unknown) => log.warn("boot.failed", { error });
    const events = createEventRecorder({
      api,
      clock,
      controller: "nexus.dev/operator",
      instance: options.identity,
      onError: (error) => log.warn("event.failed", { error }),
    });
    const tellReset = (key: string, pod: string) => {
      const regarding = views.clusters.get(key);
      const note = `${pod} had heard a later leader than there can be: etcd was restored; it takes the configuration of this one`;
      if (regarding) events.record({ regarding, type: "Warning", reason: "TermsWentBack", action: "Pushing", note });
    };
    const pusher = createPusher({
      admin: createAdminClient({ userAgent }),
      leadership,
      clock,
      random,
      onChange: (cluster, entryKeys) => loop.onPushChange(cluster, entryKeys),
      onLog: (event, fields) => {
        metrics.pushEvent(event);
        if (event === "push.reset") tellReset(String(fields.cluster), String(fields.pod));
        logPush(log, event, fields);
      },
      onPushed: metrics.pushed,
    });
    const grace = new AccessGrace({
      ...{ clock, wallMs: () => clock.wallMs() },
      isLive: ({ clusterKey, entryKey, uid }) => pusher.book(clusterKey).mark(entryKey)?.uid === uid,
      onChange: ({ kind, key, clusterKey, entryKey }) => {
        configurations.known(clusterKey)?.look(entryKey);
        queue.add(workKey("config", clusterKey));
        queue.add(workKey(kind, key), PRIORITY.resync);
      },
    });
    const world: World = {
      ...worldOf(views),
      mayStay: grace.mayStay,
      isPurging: (clusterKey, tenantId) => pusher.book(clusterKey).mark(tombstoneKey(tenantId)) !== undefined,
    };
    const tombstones = new TombstonePass({
      ...{ views, api, pusher, events, clock, onError, wallMs: () => clock.wallMs() },
      isWatched: (namespace) => watches.scopes.some((scope) => scope.namespace === undefined || scope.namespace === namespace),
    });
    const loads = new Loads({
      admin: createAdminClient({ userAgent }),
      ...{ leadership, clock, intervalMs: options.scalingSeconds * 1000 },
      onRound: (cluster) => queue.add(workKey("cluster", cluster), PRIORITY.resync),
    });
    const scaling = new Scaling(clock, loads);
    const newest = new NewestObjects(clock);
    const configurations = new Configurations({
      ...{ views, world, secrets, bodies, clock, book: (cluster) => pusher.book(cluster) },
      mustPurge: (cluster, tenantId, heir) => tombstones.mustPurge(cluster, tenantId, heir),
    });
    const passes = createPasses({
      ...{ api, applier, contests, secrets, views, capabilities, events, certificates, world, pusher, leadership, clock, random, onError },
      ...{ grace, tombstones, newest, scope, scaling, schemas: createSchemas(transport, clock) },
      context: {
        operatorId: options.operatorId,
        defaultImage: options.serverImage,
        ...(options.redisImage === undefined ? {} : { redisImage: options.redisImage }),
        ...(options.pods ? { operatorPods: options.pods } : {}),
      },
      wallMs: () => clock.wallMs(),
      configurations,
      content: createTemplateReader({ transport, api, scopes: watches.scopes, count: () => views.templates.size }),
      statuses: createStatusWriter(api, { metrics: metrics.status, clock }),
      wakeCluster: (cluster) => queue.addAfter(workKey("cluster", cluster), 250),
      wakeConfig: (cluster) => queue.add(workKey("config", cluster)),
      wakeObject: (wake, hasPods) => loop.onWake(wake, hasPods),
      recompile: (tenant) => {
        configurations.onTenant(tenant);
        queue.add(workKey("config", clusterKeyOf(tenant)));
      },
    });
    const live = new LiveTimes({
      clock,
      mark: (cluster, entryKey) => pusher.book(cluster).mark(entryKey),
      hasReadyPods: (cluster) => pusher.hasReadyPods(cluster),
      observe: metrics.live,
    });
    const loop = new Controller({
      ...{ queue, views, secrets, passes, newest, configurations, breakers, live },
      workers: options.workers,
      onOutcome: (key, outcome) => metrics.reconciled(controllerOf(key), outcome),
      onFailure: (key, error, retryInMs) => log.warn("reconcile.failed", { object: key, error, retryInMs }),
    });
    series = new SeriesReader({ views, pusher, secret: (namespace, name) => secrets.known(namespace, name) });
    const crds = watchServedCrds({
      read: (kind) => readSchema(transport, kind),
      clock,
      onChange({ kind, missing }) {
        metrics.missingFields(kind, missing.length);
        if (missing.length === 0) return;
        log.warn("crd.outdated", { kind, missing: missing.slice(0, 16), count: missing.length });
        const fields = few(missing, 8);
        const note = `the CRD of ${kind} is older than this operator: the API server drops ${fields}. Apply the CRDs of this release`;
        for (const regarding of views.clusters.list())
          events.record({ regarding, type: "Warning", reason: "CrdOutdated", action: "Checking", note });
      },
    });
    const running = loop.run();
    return {
      controller: loop,
      stop: async () => {
        crds.stop();
        passes.stop();
        breakers.stop();
        grace.stop();
        scaling.stop();
        await pusher.stop();
        await queue.shutDown();
        await running;
        await events.flush();
      },
    };
  }

  return {
    url: `http://127.0.0.1:${ops.port}`,
    localUrl: `http://127.0.0.1:${local.port}`,
    log,
    ended,
    async stop() {
      isStopping = true;
      stopCollecting();
      capabilities.stop();
      await stopLoop?.();
      await elector.release();
      await watches.stop();
      levels.stop();
      await Promise.all([ops.stop(), local.stop()]);
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
