// Why: one pass for each kind of key: look at the whole state, do what is missing, write one status. Rejections are the
// queue's to repeat; a pass that failed still says so in the status.

import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTenant, clusterKeyOf, keyOfObject, namespaceOf, tenantKeyOf, type World } from "../desired/acceptance.ts";
import { apiKeySecretName, childLabels, childNames, MANAGER, ownedBy, tenantLabels } from "../desired/names.ts";
import type { KubeObject } from "../plan/object.ts";
import { type AttachedState, templateStatus, tenantStatus } from "../status/attached.ts";
import { clusterStatus } from "../status/cluster.ts";
import { timestamp } from "../status/conditions.ts";
import { ACKNOWLEDGE_MS } from "../status/synced.ts";
import { BootCopy } from "./boot.ts";
import { urgencyOf } from "./boot-urgency.ts";
import type { Clock, Random } from "./clock.ts";
import { clusterSeen } from "./cluster-seen.ts";
import { type CompiledObject, type Configurations, isPaused } from "./configuration.ts";
import { type FleetDeps, type FleetFound, reconcileFleet } from "./fleet-pass.ts";
import { ensureKey } from "./generated-secrets.ts";
import { KINDS } from "./kinds.ts";
import { KubeError } from "./kube-error.ts";
import type { Leadership, StatusWriter } from "./ports.ts";
import { ADMIN_PORT } from "./push-ports.ts";
import type { Pusher } from "./pusher.ts";
import { isPodLive, isPodReady } from "./views.ts";
import type { Outcome } from "./workers.ts";

/** `waitsFor`: the cluster whose pods have to answer before there is more to say. */
export type AttachedOutcome = { readonly outcome: Outcome; readonly waitsFor?: string };

export interface Passes {
  config(clusterKey: string): Promise<Outcome>;
  cluster(clusterKey: string): Promise<Outcome>;
  tenant(key: string): Promise<AttachedOutcome>;
  template(key: string): Promise<AttachedOutcome>;
  stop(): void;
}

export type PassDeps = FleetDeps & {
  readonly configurations: Configurations;
  readonly world: World;
  readonly pusher: Pusher;
  readonly statuses: StatusWriter;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly random: Random;
  /** The boot copy moved: the cluster's status may say something else. Never compiles: compiling is what moves it. */
  readonly wakeCluster: (clusterKey: string) => void;
  /** A Secret of the configuration was made: compile again. */
  readonly wakeConfig: (clusterKey: string) => void;
  /** Something else became of an object: its status may say so. */
  readonly wakeObject: (kind: "tenant" | "template", key: string) => void;
  readonly onError: (error: unknown) => void;
};

const DONE: Outcome = { kind: "done" };
/** Secrets that nobody watches are read again after this long. */
const RESYNC_MS = 300_000;
/** A missing Secret may come without an event. */
const MISSING_MS = 10_000;
const CONNECTIONS_MS = 60_000;
/** A new leader has not heard from the pods yet: what the status says of them stands for so long, or a restart would write. */
const SETTLING_MS = 15_000;

export const createPasses = (deps: PassDeps): Passes => new Reconciler(deps);

class Reconciler implements Passes {
  readonly #deps: PassDeps;
  readonly #boots = new Map<string, BootCopy>();
  /** What the last config pass of a cluster found. */
  readonly #configs = new Map<string, { readonly missing: readonly string[]; readonly refused: string | undefined }>();
  /** When the number of sessions was published last, monotonic milliseconds. */
  readonly #connectionsAt = new Map<string, number>();
  readonly #startedMs: number;

  constructor(deps: PassDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
  }

  stop(): void {
    for (const boot of this.#boots.values()) boot.stop();
    this.#boots.clear();
  }

  async config(clusterKey: string): Promise<Outcome> {
    const { views, configurations, pusher, wakeObject } = this.#deps;
    const cluster = views.clusters.get(clusterKey);
    if (!cluster) {
      this.#forget(clusterKey);
      return DONE;
    }
    if (cluster.metadata.deletionTimestamp || isPaused(cluster)) return DONE;
    const { entries, keep, missing, refused, changed, waitsForSecrets } = await configurations.compile(cluster);
    const boot = await this.#boot(cluster);
    const notTemplates = entries.filter((entry) => entry.kind !== "template");
    const wanted = new Set(entries.map((entry) => `${entry.kind}:${entry.id}`));
    const remove = [...pusher.book(clusterKey).keys()].filter((key) => key.startsWith("tenant:") && !wanted.has(key) && !keep.has(key));
    const urgency = urgencyOf(pusher.book(clusterKey), { put: notTemplates, remove });
    pusher.setEntries(clusterKey, entries, keep);
    boot.changed(urgency);
    for (const { kind, key } of changed) wakeObject(kind, key);
    this.#configs.set(clusterKey, { missing, refused: refused?.message });
    return { kind: "again", afterMs: waitsForSecrets ? MISSING_MS : RESYNC_MS };
  }

  async cluster(clusterKey: string): Promise<Outcome> {
    const { views } = this.#deps;
    const cluster = views.clusters.get(clusterKey);
    if (!cluster || cluster.metadata.deletionTimestamp) return DONE;
    if (isPaused(cluster)) {
      await this.#writeCluster(cluster, { found: undefined, error: undefined });
      return DONE;
    }
    try {
      const found = await reconcileFleet(cluster, this.#deps);
      this.#tellPods(cluster, found);
      const settlesInMs = found.conflict === undefined ? this.#settlesInMs(cluster) : 0;
      if (settlesInMs > 0) return { kind: "again", afterMs: Math.min(settlesInMs, found.againMs ?? settlesInMs) };
      await this.#writeCluster(cluster, { found, error: undefined });
      return { kind: "again", afterMs: found.againMs ?? CONNECTIONS_MS };
    } catch (error) {
      if (!(error instanceof KubeError) || error.status === 0 || error.status === 409 || error.status >= 500) throw error;
      await this.#writeCluster(cluster, { found: undefined, error: error.message });
      throw error;
    }
  }

  async tenant(key: string): Promise<AttachedOutcome> {
    const { views, configurations, world, statuses, wakeConfig } = this.#deps;
    const tenant = views.tenants.get(key);
    if (!tenant || tenant.metadata.deletionTimestamp) {
      configurations.outcome("tenant", key);
      return { outcome: DONE };
    }
    const paused = isPaused(tenant);
    const keys = paused || !acceptTenant(tenant, world).ok ? undefined : await this.#ensureKeys(tenant);
    if (keys === "created") wakeConfig(clusterKeyOf(tenant));
    const compiled = this.#compiled("tenant", key);
    if (!compiled) return { outcome: DONE, waitsFor: clusterKeyOf(tenant) };
    const state = this.#attached(tenant, compiled, clusterKeyOf(tenant), tenant.spec.suspended);
    const status = tenantStatus(state, this.#context(tenant), tenant.status);
    await statuses.write({ kind: KINDS.Tenant, live: tenant, status });
    return this.#settle(state, clusterKeyOf(tenant), status.conditions ?? []);
  }

  async template(key: string): Promise<AttachedOutcome> {
    const { views, statuses } = this.#deps;
    const template = views.templates.get(key);
    const compiled = this.#compiled("template", key);
    if (!template || template.metadata.deletionTimestamp) return { outcome: DONE };
    const tenant = views.tenants.get(tenantKeyOf(template));
    const clusterKey = tenant ? clusterKeyOf(tenant) : "";
    if (!compiled) return { outcome: DONE, waitsFor: clusterKey };
    const state = this.#attached(template, compiled, clusterKey, false);
    const status = templateStatus(state, this.#context(template), template.status);
    await statuses.write({ kind: KINDS.Template, live: template, status });
    return this.#settle(state, clusterKey, status.conditions ?? []);
  }

  #compiled(kind: "tenant" | "template", key: string): CompiledObject | undefined {
    return this.#deps.configurations.outcome(kind, key);
  }

  #attached(object: Tenant | KubeObject, compiled: CompiledObject, clusterKey: string, suspended: boolean): AttachedState {
    if (compiled.kind === "refused") return { kind: "refused", refused: compiled.refused };
    if (compiled.kind === "paused") return { kind: "paused" };
    const { key, id, missing, unusable } = compiled;
    const acknowledgement = this.#deps.pusher.acknowledged(clusterKey, key, object.metadata.uid ?? "", object.metadata.generation ?? 1);
    return { kind: "accepted", id, missing, unusable, suspended, acknowledgement };
  }

  #context(object: KubeObject & { readonly status?: { readonly conditions?: NonNullable<NexusCluster["status"]>["conditions"] } }) {
    const { clock, wallMs } = this.#deps;
    return {
      previous: object.status?.conditions,
      generation: object.metadata.generation ?? 1,
      now: timestamp(wallMs()),
      nowMs: clock.monotonicMs(),
    };
  }

  #settle(
    state: AttachedState,
    clusterKey: string,
    conditions: readonly { readonly type: string; readonly status: string }[],
  ): AttachedOutcome {
    const isSynced = conditions.some((one) => one.type === "Synced" && one.status === "True");
    if (state.kind === "refused" || state.kind === "paused" || isSynced) {
      const missing = state.kind === "accepted" && state.missing.length > 0;
      return { outcome: missing ? { kind: "again", afterMs: MISSING_MS } : DONE, ...(missing ? { waitsFor: clusterKey } : {}) };
    }
    return { outcome: { kind: "again", afterMs: ACKNOWLEDGE_MS }, waitsFor: clusterKey };
  }

  /** A message: a Secret with a key's name belongs to somebody else. */
  async #ensureKeys(tenant: Tenant): Promise<string | undefined> {
    const { context, secrets } = this.#deps;
    const labels = tenantLabels(tenant.metadata.name, context.operatorId);
    let said: string | undefined;
    for (const key of tenant.spec.auth.apiKeys ?? []) {
      if (key.secretRef) continue;
      const head = {
        namespace: namespaceOf(tenant),
        name: apiKeySecretName(tenant.metadata.name, key.name),
        labels,
        ownerReferences: ownedBy(tenant),
      };
      const before = await secrets.get(head.namespace, head.name);
      const ensured = await ensureKey(head, key.rotation, { ...this.#deps, manager: MANAGER, wallMs: this.#deps.wallMs() });
      if (!ensured.ok)
        this.#deps.events.record({ regarding: tenant, type: "Warning", reason: "NameConflict", action: "Creating", note: ensured.message });
      else if (before?.metadata.resourceVersion !== ensured.secret.metadata.resourceVersion) said = "created";
    }
    return said;
  }

  async #boot(cluster: NexusCluster): Promise<BootCopy> {
    const key = keyOfObject(cluster);
    const known = this.#boots.get(key);
    if (known) return known;
    const { api, applier, clock, random, pusher, leadership, context, wakeCluster, onError } = this.#deps;
    const labels = childLabels(cluster.metadata.name, "server", context.operatorId);
    const ownerReferences = ownedBy(cluster);
    const identity = { labels, ...(cluster.metadata.uid === undefined ? {} : { ownerUid: cluster.metadata.uid }) };
    const boot = new BootCopy({
      owner: { namespace: namespaceOf(cluster), name: cluster.metadata.name, labels, ownerReferences, identity },
      book: pusher.book(key),
      mayWrite: () => leadership.mayWrite() && this.#deps.views.clusters.get(key) !== undefined,
      onChange: () => wakeCluster(key),
      ...{ api, applier, clock, random, onError },
    });
    // Before the book is filled otherwise: what was read back is not written again, and stays where a new version is refused.
    pusher.load(key, await boot.read());
    this.#boots.set(key, boot);
    return boot;
  }

  #forget(clusterKey: string): void {
    this.#boots.get(clusterKey)?.stop();
    this.#boots.delete(clusterKey);
    this.#configs.delete(clusterKey);
    this.#connectionsAt.delete(clusterKey);
    this.#deps.pusher.forget(clusterKey);
  }

  #tellPods(cluster: NexusCluster, { credentials }: FleetFound): void {
    const { pusher, views } = this.#deps;
    const key = keyOfObject(cluster);
    if (credentials) pusher.setTarget({ key, ...credentials, port: ADMIN_PORT });
    const pods = views.pods.byIndex("cluster", key).filter(isPodLive);
    const view = pods.map((pod) => ({
      uid: pod.metadata.uid ?? "",
      name: pod.metadata.name,
      address: pod.status?.podIP ?? "",
      ready: isPodReady(pod),
      restarts: pod.status?.containerStatuses?.[0]?.restartCount ?? 0,
    }));
    pusher.setPods(key, view);
  }

  /** How long to wait for the pods' first words before the status may change; 0 = it may. */
  #settlesInMs(cluster: NexusCluster): number {
    const { clock, pusher, views } = this.#deps;
    const key = keyOfObject(cluster);
    const state = pusher.state(key);
    const ready = views.pods.byIndex("cluster", key).filter((pod) => isPodLive(pod) && isPodReady(pod)).length;
    // Before the pusher was told of the pods it counts none, which is no word of theirs.
    const isKnown = this.#configs.has(key) && state !== undefined && state.podsTotal === ready && state.podsSynced === ready;
    // A new generation is told of at once.
    if (isKnown || cluster.status?.observedGeneration !== cluster.metadata.generation) return 0;
    return Math.max(0, this.#startedMs + SETTLING_MS - clock.monotonicMs());
  }

  async #writeCluster(
    cluster: NexusCluster,
    pass: { readonly found: FleetFound | undefined; readonly error: string | undefined },
  ): Promise<void> {
    const { clock, wallMs, statuses, pusher } = this.#deps;
    const key = keyOfObject(cluster);
    const deployment = this.#deps.views.deployments.get(`${namespaceOf(cluster)}/${childNames(cluster.metadata.name).server}`);
    const facts = { deployment, pushed: pusher.state(key), boot: this.#boots.get(key)?.state(), config: this.#configs.get(key), ...pass };
    const seen = clusterSeen(cluster, facts);
    const lastMs = this.#connectionsAt.get(key);
    const mayMoveConnections =
      lastMs === undefined ? cluster.status?.connections === undefined : clock.monotonicMs() - lastMs >= CONNECTIONS_MS;
    if (mayMoveConnections || lastMs === undefined) this.#connectionsAt.set(key, clock.monotonicMs());
    const status = clusterStatus(cluster, seen, { now: timestamp(wallMs()), isPaused: isPaused(cluster), mayMoveConnections });
    await statuses.write({ kind: KINDS.NexusCluster, live: cluster, status });
  }
}
