// Why: one pass for each kind of key: look at the whole state, do what is missing, write one status. Rejections are the
// queue's to repeat; a pass that failed still says so in the status.

import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTenant, clusterKeyOf, keyOfObject, namespaceOf, tenantKeyOf, type World } from "../desired/acceptance.ts";
import { apiKeySecretName, childLabels, MANAGER, ownedBy, tenantLabels } from "../desired/names.ts";
import type { KubeObject } from "../plan/object.ts";
import { type AttachedState, templateStatus, tenantStatus } from "../status/attached.ts";
import { timestamp } from "../status/conditions.ts";
import { ACKNOWLEDGE_MS } from "../status/synced.ts";
import { BootCopy } from "./boot.ts";
import { urgencyOf } from "./boot-urgency.ts";
import type { Random } from "./clock.ts";
import { ClusterPass, type ClusterPassDeps, type ConfigFound } from "./cluster-pass.ts";
import { type CompiledObject, type Configurations, isPaused } from "./configuration.ts";
import { ensureKey } from "./generated-secrets.ts";
import { KINDS } from "./kinds.ts";
import type { Leadership } from "./ports.ts";
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

export type PassDeps = Omit<ClusterPassDeps, "boot" | "config"> & {
  readonly configurations: Configurations;
  readonly world: World;
  readonly leadership: Leadership;
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

export const createPasses = (deps: PassDeps): Passes => new Reconciler(deps);

class Reconciler implements Passes {
  readonly #deps: PassDeps;
  readonly #boots = new Map<string, BootCopy>();
  /** What the last config pass of a cluster found. */
  readonly #configs = new Map<string, ConfigFound>();
  readonly #clusters: ClusterPass;

  constructor(deps: PassDeps) {
    this.#deps = deps;
    this.#clusters = new ClusterPass({ ...deps, boot: (key) => this.#boots.get(key)?.state(), config: (key) => this.#configs.get(key) });
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

  cluster(clusterKey: string): Promise<Outcome> {
    return this.#clusters.run(clusterKey);
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
    this.#clusters.forget(clusterKey);
    this.#deps.pusher.forget(clusterKey);
  }
}
