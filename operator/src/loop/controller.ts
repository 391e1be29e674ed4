// Why: decides what is looked at when: events become keys, keys become passes. Every pass reads the whole state; an event is
// only a hint. Four kinds of keys: `config` compiles and pushes, `cluster` brings the fleet's objects about, `tenant` and
// `template` write what became of one object.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { clusterKeyOf, keyOfObject, tenantKeyOf } from "../desired/acceptance.ts";
import type { KubeObject } from "../plan/object.ts";
import type { Breakers } from "./breaker.ts";
import type { Wake } from "./config/draft.ts";
import type { Configurations } from "./configuration.ts";
import { isNamespaceTerminating, isNotLeader } from "./kube-error.ts";
import type { Edited, LiveTimes } from "./live-times.ts";
import type { NewestObjects } from "./newest.ts";
import { type PassTrace, untraced } from "./pass-trace.ts";
import type { Passes } from "./passes.ts";
import { isPaused } from "./paused.ts";
import type { WatchEvent } from "./ports.ts";
import { PRIORITY, type WorkQueue } from "./queue.ts";
import type { SecretObject, SecretSource } from "./secret-source.ts";
import type { TemplateIndex } from "./template-index.ts";
import type { Views } from "./views.ts";
import { type Outcome, runWorkers } from "./workers.ts";

export type WorkKind = "config" | "cluster" | "tenant" | "template";
export type WorkKey = `${WorkKind}:${string}`;

export const workKey = (kind: WorkKind, key: string): WorkKey => `${kind}:${key}`;

/** The cluster a key is about; empty when that is not known. */
export function clusterOfKey(key: WorkKey, { tenants, templates }: Pick<Views, "tenants" | "templates">): string {
  const at = key.indexOf(":");
  const [kind, name] = [key.slice(0, at), key.slice(at + 1)];
  if (kind === "config" || kind === "cluster") return name;
  const template = kind === "template" ? templates.get(name) : undefined;
  const tenant = tenants.get(template ? tenantKeyOf(template) : name);
  return tenant && (kind === "tenant" || template) ? clusterKeyOf(tenant) : "";
}

/** Pods come and go in bursts: one look at the fleet for all of them. */
const GATHER_MS = 250;
/** Somebody who just edited is told of the waiting for pods after this long. */
const ANSWER_MS = 1_000;

export type ControllerOptions = {
  readonly queue: WorkQueue<WorkKey>;
  readonly views: Views;
  readonly secrets: SecretSource;
  readonly passes: Passes;
  readonly configurations: Configurations;
  readonly breakers: Breakers;
  readonly newest: NewestObjects;
  readonly live: LiveTimes;
  readonly workers: number;
  readonly trace?: PassTrace;
  readonly onFailure: (key: WorkKey, error: unknown, retryInMs: number | undefined) => void;
  readonly onOutcome: (key: WorkKey, outcome: Outcome, tookMs: number) => void;
};

/**
 * `waiting`: stores have no first list yet. `standby`: configurations are kept up in memory, nothing else is looked at. `leading`:
 * everything is.
 */
type Phase = "waiting" | "standby" | "leading";

/** Watches call the `on…` handlers; none of them blocks or throws. */
export class Controller {
  readonly #options: ControllerOptions;
  #phase: Phase = "waiting";
  /** Configurations that are not warm yet, while somebody waits for that. */
  readonly #cold = new Set<WorkKey>();
  readonly #warm = Promise.withResolvers<void>();

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  get isLeading(): boolean {
    return this.#phase === "leading";
  }

  /**
   * Call it when every store has its first list. Resolves when the configuration of every cluster there is was brought up to date
   * in memory, or could not be.
   */
  async warm(): Promise<void> {
    if (this.#phase === "waiting") this.#phase = "standby";
    for (const key of this.#options.views.clusters.keys()) {
      this.#cold.add(workKey("config", key));
      this.#add("config", key, PRIORITY.edit);
    }
    if (this.#cold.size === 0) this.#warm.resolve();
    await this.#warm.promise;
  }

  /** Runs until the queue is shut down. Call it when every store has its first list. */
  async run(): Promise<void> {
    const { queue, workers, trace = untraced, onFailure, onOutcome } = this.#options;
    await runWorkers({ queue, workers, onFailure, onOutcome, reconcile: (key) => trace(key, () => this.#reconcile(key)) });
  }

  /** Enqueues what a new leader has to look at. What belongs to a cluster is found by its configuration's first walk. */
  begin(): void {
    this.#phase = "leading";
    const { views } = this.#options;
    for (const key of views.clusters.keys()) {
      this.#add("config", key, PRIORITY.edit); // entries first: what belongs to it depends on them
      this.#add("cluster", key, PRIORITY.resync);
    }
    // With a warm configuration they come when it is whole: before that there is nothing to tell of them.
    for (const tenant of views.tenants.list())
      if (!this.#isWarm(clusterKeyOf(tenant))) this.#add("tenant", keyOfObject(tenant), PRIORITY.initial);
    for (const template of views.templates.list()) {
      const tenant = views.tenants.get(tenantKeyOf(template));
      if (!tenant || !views.clusters.get(clusterKeyOf(tenant))) this.#add("template", keyOfObject(template), PRIORITY.initial);
    }
  }

  readonly onCluster = ({ key, object, previous, initial }: WatchEvent<NexusCluster>): void => {
    if (previous && isStatusOnly(previous, object)) return;
    const { views, configurations } = this.#options;
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    configurations.onCluster(object, previous);
    this.#add("config", key, priority);
    this.#add("cluster", key, priority);
    if (previous || views.clusters.get(key)) return; // who belongs to it is the configuration's to find out
    // It is gone, and nobody looks at what belonged to it any more.
    this.#options.breakers.forget(key);
    for (const tenant of views.tenants.byIndex("cluster", key)) {
      this.#add("tenant", keyOfObject(tenant), PRIORITY.resync);
      this.#addTemplatesOf(keyOfObject(tenant));
    }
  };

  readonly onTenant = (event: WatchEvent<Tenant>): void => {
    const { key, object, previous, initial } = event;
    if (previous && isStatusOnly(previous, object)) return;
    this.#time(workKey("tenant", key), event, clusterKeyOf(object));
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    this.#options.configurations.onTenant(object);
    this.#add("config", clusterKeyOf(object), priority);
    this.#add("tenant", key, priority);
    if (!initial && !this.#options.views.clusters.get(clusterKeyOf(object))) this.#addTemplatesOf(key);
    if (!this.#options.views.tenants.get(key)) this.#addTemplatesOf(key);
  };

  readonly onTemplate = (event: WatchEvent<TemplateIndex>): void => {
    const { key, object, previous, initial } = event;
    if (previous && isSameTemplate(previous, object)) return;
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    const cluster = this.#options.configurations.onTemplate(object);
    this.#time(workKey("template", key), event, cluster);
    if (cluster !== undefined) this.#add("config", cluster, priority);
    this.#add("template", key, priority);
  };

  /** A namespace's labels decide who may attach. */
  readonly onNamespace = ({ key, object, previous, initial }: WatchEvent<KubeObject>): void => {
    if (initial || (previous && JSON.stringify(previous.metadata.labels) === JSON.stringify(object.metadata.labels))) return;
    for (const tenant of this.#options.views.tenants.list()) if (tenant.metadata.namespace === key) this.#touch(tenant);
    for (const template of this.#options.views.templates.list()) {
      if (template.metadata.namespace === key)
        this.onTemplate({ type: "modified", key: keyOfObject(template), object: template, initial: false });
    }
  };

  /** A child (or pod) of a fleet changed: owner by label. */
  readonly onChild = ({ type, object, initial }: WatchEvent<KubeObject>): void => {
    if (type === "deleted") this.#options.newest.forget(object);
    const name = object.metadata.labels?.["app.kubernetes.io/instance"];
    if (initial || name === undefined) return;
    this.#add("cluster", `${object.metadata.namespace}/${name}`, PRIORITY.resync, GATHER_MS);
  };

  readonly onSecret = ({ key, object, type, previous, initial }: WatchEvent<SecretObject>): void => {
    const { secrets, views } = this.#options;
    secrets.invalidate(key);
    if (initial) return;
    if (isBootSecret(object)) {
      this.#options.passes.bootSecret(object, type === "deleted");
      return;
    }
    if (type === "modified" && previous && isSameSecret(previous, object)) return;
    this.onChild({ key, object, type, initial });
    for (const tenant of views.tenants.byIndex("secret", key)) this.#touch(tenant);
    for (const cluster of views.clusters.list()) {
      if (cluster.metadata.namespace !== object.metadata.namespace) continue;
      this.#options.configurations.known(keyOfObject(cluster))?.cluster(false);
      this.#add("config", keyOfObject(cluster), PRIORITY.edit);
      this.#add("cluster", keyOfObject(cluster), PRIORITY.edit); // it may be the certificate of the public port
    }
  };

  /** Pods answered, or their sessions moved; of these entries they say something else than before. */
  readonly onPushChange = (cluster: string, entryKeys: ReadonlySet<string>): void => {
    const { configurations, live } = this.#options;
    for (const entryKey of entryKeys) {
      for (const { kind, key } of configurations.objectsOf(cluster, entryKey)) {
        live.answered(workKey(kind, key), cluster, entryKey);
        this.#add(kind, key, PRIORITY.resync);
      }
    }
    this.#add("cluster", cluster, PRIORITY.resync, GATHER_MS);
  };

  readonly onWake = ({ kind, key, when }: Wake, hasPods: boolean): void => {
    if (when === "now") this.#add(kind, key, PRIORITY.resync);
    else if (when === "first" || !hasPods) this.#add(kind, key, PRIORITY.initial);
    else if (when === "edited") this.#add(kind, key, PRIORITY.resync, ANSWER_MS);
    // `put`: pods are about to answer, and with their word it comes back.
  };

  async #reconcile(key: WorkKey): Promise<Outcome> {
    const at = key.indexOf(":");
    const [kind, name] = [key.slice(0, at), key.slice(at + 1)];
    const { breakers, views, passes } = this.#options;
    const cluster = clusterOfKey(key, views);
    try {
      const outcome = await this.#pass(kind as WorkKind, name); // keys are made by workKey alone
      breakers.succeeded(cluster);
      return outcome;
    } catch (error) {
      this.#cold.delete(key); // with the lead it is tried again
      // The namespace is going, with everything in it; or somebody else leads: nothing to repeat.
      if (isNamespaceTerminating(error) || isNotLeader(error)) return { kind: "done" };
      breakers.failed(cluster, error);
      throw error;
    } finally {
      if (this.#cold.has(key) && passes.isWarm(name)) this.#cold.delete(key);
      if (this.#cold.size === 0 && this.#phase !== "waiting") this.#warm.resolve();
    }
  }

  async #pass(kind: WorkKind, name: string): Promise<Outcome> {
    const { passes } = this.#options;
    switch (kind) {
      case "config":
        return await passes.config(name);
      case "cluster":
        return await passes.cluster(name);
      case "tenant":
        return await passes.tenant(name);
      case "template":
        return await passes.template(name);
      default:
        return kind satisfies never;
    }
  }

  /** An edit that pods will answer for; what a namespace's labels or a start bring is none. */
  #time(key: WorkKey, { type, object, previous, initial }: WatchEvent<Edited>, cluster: string | undefined): void {
    if (!this.isLeading) return; // pods answer to the leader
    const { live } = this.#options;
    const isEdit = type === "added" || (previous !== undefined && !isSameVersion(object, previous));
    if (type === "deleted") live.forget(key);
    else if (isEdit && !initial && cluster !== undefined) live.seen(key, object, cluster);
  }

  #touch(tenant: Tenant): void {
    this.#options.configurations.onTenant(tenant);
    this.#add("tenant", keyOfObject(tenant), PRIORITY.edit);
    this.#add("config", clusterKeyOf(tenant), PRIORITY.edit);
  }

  #addTemplatesOf(tenantKey: string): void {
    for (const template of this.#options.views.templates.byIndex("tenant", tenantKey))
      this.#add("template", keyOfObject(template), PRIORITY.resync);
  }

  #isWarm(clusterKey: string): boolean {
    const cluster = this.#options.views.clusters.get(clusterKey);
    return cluster !== undefined && !isPaused(cluster) && this.#options.configurations.known(clusterKey)?.isStandby === true;
  }

  /** Something that no watch tells of has to be looked at. */
  look(key: WorkKey, priority: number = PRIORITY.edit): void {
    const at = key.indexOf(":");
    this.#add(key.slice(0, at) as WorkKind, key.slice(at + 1), priority); // keys are made by workKey alone
  }

  /** Something has to be looked at, as far as this process looks at anything: see {@link Phase}. */
  #add(kind: WorkKind, key: string, priority: number, afterMs = 0): void {
    if (this.#phase === "waiting" || (this.#phase === "standby" && kind !== "config")) return;
    if (afterMs > 0) this.#options.queue.addAfter(workKey(kind, key), afterMs, priority);
    else this.#options.queue.add(workKey(kind, key), priority);
  }
}

const isSameVersion = (a: Edited, b: Edited): boolean =>
  a.metadata.uid === b.metadata.uid && a.metadata.generation === b.metadata.generation;

/** Only the status moved: the object's own passes wrote it. */
function isStatusOnly(before: KubeObject, after: KubeObject): boolean {
  const { metadata: a } = before;
  const { metadata: b } = after;
  return (
    a.uid === b.uid &&
    a.generation === b.generation &&
    a.deletionTimestamp === b.deletionTimestamp &&
    JSON.stringify(a.annotations) === JSON.stringify(b.annotations) &&
    JSON.stringify(a.labels) === JSON.stringify(b.labels)
  );
}

/** Nothing moved but the status. One that was settled and is not any more is looked at: it may be older than what we know. */
const isSameTemplate = (before: TemplateIndex, after: TemplateIndex): boolean =>
  before.metadata.uid === after.metadata.uid &&
  before.metadata.generation === after.metadata.generation &&
  before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
  before.isPaused === after.isPaused &&
  (before.status !== "settled" || after.status === "settled");

/** By its name, which is API: what it says of itself may have been edited. */
function isBootSecret({ metadata: { name, labels } }: KubeObject): boolean {
  const instance = labels?.["app.kubernetes.io/instance"];
  return instance !== undefined && name.startsWith(`${instance}-boot-`);
}

/** In what we use of it: its content, and whose it is. */
const isSameSecret = (before: SecretObject, after: SecretObject): boolean =>
  JSON.stringify([before.data, before.metadata.labels, before.metadata.ownerReferences]) ===
  JSON.stringify([after.data, after.metadata.labels, after.metadata.ownerReferences]);
