// Why: the loop and all it works with. A standby runs it too, to keep configurations up in memory; passes, pushes, events, and what is
// read of the pods are the leader's alone. It must write nothing before `begin`, and ends before the Lease is given back.
import { clusterKeyOf, type World } from "./desired/acceptance.ts";
import { createAdminClient } from "./kube/admin-client.ts";
import { createApplier } from "./kube/apply.ts";
import * as certificates from "./kube/certificates.ts";
import { ContestTracker } from "./kube/contest.ts";
import { createEventRecorder } from "./kube/events.ts";
import { logPush, type OperatorLog } from "./kube/log.ts";
import { controllerOf, type OperatorMetrics } from "./kube/metrics.ts";
import { createKubeApi } from "./kube/resource.ts";
import { createSchemas, readSchema } from "./kube/schemas.ts";
import { watchServedCrds } from "./kube/served-crds.ts";
import { createStatusWriter } from "./kube/status.ts";
import { createTemplateReader } from "./kube/template-reader.ts";
import type { OperatorTracing } from "./kube/tracing.ts";
import type { Transport } from "./kube/transport.ts";
import type { Watches } from "./kube/watches.ts";
import { AccessGrace } from "./loop/access-grace.ts";
import type { Breakers } from "./loop/breaker.ts";
import type { Clock, Random } from "./loop/clock.ts";
import { SeriesReader } from "./loop/cluster-series.ts";
import { Configurations } from "./loop/configuration.ts";
import { Controller, type WorkKey, workKey } from "./loop/controller.ts";
import { LiveTimes } from "./loop/live-times.ts";
import { NewestObjects } from "./loop/newest.ts";
import { createPasses } from "./loop/passes.ts";
import type { Capabilities, Leadership } from "./loop/ports.ts";
import { createPusher } from "./loop/pusher.ts";
import { PRIORITY, type WorkQueue } from "./loop/queue.ts";
import { Loads } from "./loop/scaling/loads.ts";
import { Scaling } from "./loop/scaling/memory.ts";
import { SecretSource } from "./loop/secret-source.ts";
import type { TemplateBodies } from "./loop/template-bodies.ts";
import { TombstonePass } from "./loop/tombstone-pass.ts";
import { tombstoneKey } from "./loop/tombstones.ts";
import { worldOf } from "./loop/views.ts";
import type { WatchScope } from "./loop/watch-scope.ts";
import type { OperatorOptions } from "./options.ts";
import { few } from "./status/conditions.ts";

/** What the loop needs of the rest. */
export type LeadingDeps = {
  readonly options: OperatorOptions;
  readonly userAgent: string;
  readonly transport: Transport;
  readonly watches: Watches;
  readonly bodies: TemplateBodies;
  readonly scope: WatchScope;
  readonly capabilities: Capabilities;
  readonly queue: WorkQueue<WorkKey>;
  readonly breakers: Breakers;
  readonly leadership: Leadership;
  readonly metrics: OperatorMetrics;
  readonly log: OperatorLog;
  readonly tracing: Pick<OperatorTracing, "pass" | "transport" | "admin">;
  readonly clock: Clock;
  readonly random: Random;
};

export type Leading = {
  readonly controller: Controller;
  /** What is known of every cluster now. */
  readonly series: SeriesReader;
  /** Call it when every store has its first list; resolves when all is done that can be done before the lead. */
  warm(): Promise<void>;
  /** Call it with the lead, after {@link Leading.warm} was called. */
  begin(): void;
  /** Resolves when no pass, push or event is under way. */
  stop(): Promise<void>;
};

/** Looks at nothing before {@link Leading.warm}. */
export function prepareLeading(deps: LeadingDeps): Leading {
  const { options, userAgent, watches, bodies, scope, capabilities, queue, breakers, leadership, metrics, log, tracing, clock, random } =
    deps;
  const transport = tracing.transport(deps.transport);
  const { views } = watches;
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
    admin: tracing.admin(createAdminClient({ userAgent })),
    leadership,
    clock,
    random,
    onChange: (cluster, entryKeys) => loop.onPushChange(cluster, entryKeys),
    onLog: (event, fields) => {
      metrics.pushEvent(event);
      if (event === "push.reset") tellReset(String(fields.cluster), String(fields.pod));
      logPush(log, event, fields);
    },
    onPushed({ cluster, pod, seconds, full, delta }) {
      metrics.pushed(seconds);
      log.debug("push.taken", { cluster, pod, buckets: full + delta, durationMs: Math.round(seconds * 1000) });
    },
  });
  const grace = new AccessGrace({
    ...{ clock, wallMs: () => clock.wallMs() },
    isLive: ({ clusterKey, entryKey, uid }) => pusher.book(clusterKey).mark(entryKey)?.uid === uid,
    onChange: ({ kind, key, clusterKey, entryKey }) => {
      configurations.known(clusterKey)?.look(entryKey);
      loop.look(workKey("config", clusterKey));
      loop.look(workKey(kind, key), PRIORITY.resync);
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
    isLeading: () => loop.isLeading,
    context: {
      operatorId: options.operatorId,
      defaultImage: options.serverImage,
      ...(options.redisImage === undefined ? {} : { redisImage: options.redisImage }),
      ...(options.runbookBaseURL === undefined ? {} : { runbookBaseURL: options.runbookBaseURL }),
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
  const series = new SeriesReader({
    ...{ views, pusher, wallMs: () => clock.wallMs() },
    secret: (namespace, name) => secrets.seen(namespace, name),
    boot: (cluster) => passes.boot(cluster),
    purges: (cluster) => tombstones.pending(cluster),
    isHeldBack: (cluster) => breakers.isHeldBack(cluster),
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
    trace: tracing.pass,
    onOutcome(key, outcome, tookMs) {
      metrics.reconciled(controllerOf(key), outcome);
      log.debug("reconcile.ended", { object: key, outcome: outcome.kind, durationMs: Math.round(tookMs) });
      if (key.startsWith("cluster:") && outcome.kind !== "failed") series.reconciled(key.slice("cluster:".length));
    },
    onFailure: (key, error, retryInMs) => log.warn("reconcile.failed", { object: key, error, retryInMs }),
  });
  let crds: { stop(): void } | undefined;
  const watchCrds = () =>
    watchServedCrds({
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
  let running: Promise<void> = Promise.resolve();
  return {
    controller: loop,
    series,
    async warm() {
      running = loop.run();
      await loop.warm();
    },
    begin() {
      crds = watchCrds();
      loop.begin();
    },
    stop: async () => {
      crds?.stop();
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
