// Why: decides what is looked at when: events become keys, keys become passes. Every pass reads the whole state; an event is
// only a hint. Four kinds of keys: `config` compiles and pushes, `cluster` brings the fleet's objects about, `tenant` and
// `template` write what became of one object.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { clusterKeyOf, keyOfObject, tenantKeyOf } from "../desired/acceptance.ts";
import { BUCKET_ANNOTATION } from "../desired/names.ts";
import type { KubeObject } from "../plan/object.ts";
import { isNotLeader, KubeError } from "./kube-error.ts";
import type { NewestObjects } from "./newest.ts";
import type { Passes } from "./passes.ts";
import type { WatchEvent } from "./ports.ts";
import { PRIORITY, type WorkQueue } from "./queue.ts";
import type { SecretObject, SecretSource } from "./secret-source.ts";
import type { Views } from "./views.ts";
import { type Outcome, runWorkers } from "./workers.ts";

export type WorkKind = "config" | "cluster" | "tenant" | "template";
export type WorkKey = `${WorkKind}:${string}`;

export const workKey = (kind: WorkKind, key: string): WorkKey => `${kind}:${key}`;

/** Pods come and go in bursts: one look at the fleet for all of them. */
const GATHER_MS = 250;

export type ControllerOptions = {
  readonly queue: WorkQueue<WorkKey>;
  readonly views: Views;
  readonly secrets: SecretSource;
  readonly passes: Passes;
  readonly newest: NewestObjects;
  readonly workers: number;
  readonly onFailure: (key: WorkKey, error: unknown, retryInMs: number | undefined) => void;
};

/** Watches call the `on…` handlers; none of them blocks or throws. */
export class Controller {
  readonly #options: ControllerOptions;
  /** Objects whose status waits for pods, by cluster. */
  readonly #waiting = new Map<string, Set<WorkKey>>();
  /** Answers so far, by cluster: one that comes during a pass may be news to it. */
  readonly #answers = new Map<string, number>();

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /** Runs until the queue is shut down. Call it when every store has its first list and we lead. */
  async run(): Promise<void> {
    const { queue, workers, onFailure } = this.#options;
    await runWorkers({ queue, workers, onFailure, reconcile: (key) => this.#reconcile(key) });
  }

  readonly onCluster = ({ key, object, previous, initial }: WatchEvent<NexusCluster>): void => {
    if (previous && isStatusOnly(previous, object)) return;
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    this.#add("config", key, priority);
    this.#add("cluster", key, priority);
    if (initial && previous === undefined) return; // its objects come with their own first list
    for (const tenant of this.#options.views.tenants.byIndex("cluster", key)) this.#add("tenant", keyOfObject(tenant), PRIORITY.resync);
    for (const tenant of this.#options.views.tenants.byIndex("cluster", key)) this.#addTemplatesOf(keyOfObject(tenant));
  };

  readonly onTenant = ({ key, object, previous, initial }: WatchEvent<Tenant>): void => {
    if (previous && isStatusOnly(previous, object)) return;
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    this.#add("tenant", key, priority);
    this.#add("config", clusterKeyOf(object), priority);
    if (initial) return;
    this.#addTemplatesOf(key);
    // One that was in conflict with it may have its id now.
    for (const other of this.#options.views.tenants.byIndex("cluster", clusterKeyOf(object))) {
      if (other.status?.conditions?.some((one) => one.reason === "NameConflict")) this.#add("tenant", keyOfObject(other), PRIORITY.resync);
    }
  };

  readonly onTemplate = ({ key, object, previous, initial }: WatchEvent<Template>): void => {
    if (previous && isStatusOnly(previous, object)) return;
    const priority = initial ? PRIORITY.initial : PRIORITY.edit;
    const tenant = this.#options.views.tenants.get(tenantKeyOf(object));
    if (tenant) this.#add("config", clusterKeyOf(tenant), priority);
    this.#add("template", key, priority);
    if (initial) return;
    for (const other of this.#options.views.templates.byIndex("tenant", tenantKeyOf(object))) {
      if (other.status?.conditions?.some((one) => one.reason === "NameConflict"))
        this.#add("template", keyOfObject(other), PRIORITY.resync);
    }
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
    this.#options.queue.addAfter(workKey("cluster", `${object.metadata.namespace}/${name}`), GATHER_MS, PRIORITY.resync);
  };

  readonly onSecret = ({ key, object, type, previous, initial }: WatchEvent<SecretObject>): void => {
    const { secrets, views } = this.#options;
    secrets.invalidate(key);
    if (initial || object.metadata.annotations?.[BUCKET_ANNOTATION] !== undefined) return;
    if (type === "modified" && previous && JSON.stringify(previous.data) === JSON.stringify(object.data)) return;
    this.onChild({ key, object, type, initial });
    for (const tenant of views.tenants.list()) if (tenant.metadata.namespace === object.metadata.namespace) this.#touch(tenant);
    for (const cluster of views.clusters.list()) {
      if (cluster.metadata.namespace !== object.metadata.namespace) continue;
      this.#add("config", keyOfObject(cluster), PRIORITY.edit);
      this.#add("cluster", keyOfObject(cluster), PRIORITY.edit); // it may be the certificate of the public port
    }
  };

  /** Pods answered, or their sessions moved. */
  readonly onPushChange = (cluster: string): void => {
    this.#answers.set(cluster, (this.#answers.get(cluster) ?? 0) + 1);
    for (const key of this.#waiting.get(cluster) ?? []) this.#options.queue.add(key, PRIORITY.resync);
    this.#waiting.delete(cluster);
    this.#options.queue.addAfter(workKey("cluster", cluster), GATHER_MS, PRIORITY.resync);
  };

  async #reconcile(key: WorkKey): Promise<Outcome> {
    const at = key.indexOf(":");
    const [kind, name] = [key.slice(0, at), key.slice(at + 1)];
    try {
      return await this.#pass(kind as WorkKind, name, key); // keys are made by workKey alone
    } catch (error) {
      // The namespace is going, with everything in it; or somebody else leads: nothing to repeat.
      if (isTerminating(error) || isNotLeader(error)) return { kind: "done" };
      throw error;
    }
  }

  async #pass(kind: WorkKind, name: string, key: WorkKey): Promise<Outcome> {
    const { passes } = this.#options;
    switch (kind) {
      case "config":
        return await passes.config(name);
      case "cluster":
        return await passes.cluster(name);
      case "tenant":
      case "template": {
        const answers = new Map(this.#answers);
        const { outcome, waitsFor } = kind === "tenant" ? await passes.tenant(name) : await passes.template(name);
        if (waitsFor === undefined) return outcome;
        if (this.#answers.get(waitsFor) === answers.get(waitsFor)) this.#waitsFor(waitsFor).add(key);
        else this.#options.queue.add(key, PRIORITY.resync);
        return outcome;
      }
      default:
        return kind satisfies never;
    }
  }

  #waitsFor(cluster: string): Set<WorkKey> {
    const set = this.#waiting.get(cluster) ?? new Set<WorkKey>();
    this.#waiting.set(cluster, set);
    return set;
  }

  #touch(tenant: Tenant): void {
    this.#add("tenant", keyOfObject(tenant), PRIORITY.edit);
    this.#add("config", clusterKeyOf(tenant), PRIORITY.edit);
  }

  #addTemplatesOf(tenantKey: string): void {
    for (const template of this.#options.views.templates.byIndex("tenant", tenantKey))
      this.#add("template", keyOfObject(template), PRIORITY.resync);
  }

  #add(kind: WorkKind, key: string, priority: number): void {
    this.#options.queue.add(workKey(kind, key), priority);
  }
}

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

const isTerminating = (error: unknown): boolean =>
  error instanceof KubeError && error.status === 403 && error.causes.some((cause) => cause.reason === "NamespaceTerminating");
