// Why: tests of who waits for the lead need one cluster's objects, boot Secrets and a pod, and several operators that see them, each by
// watches of its own that a test may hold back. All in memory; every request, write and push is counted.
import { clusterKeyOf, keyOfObject, tenantKeyOf } from "@nexus/operator/desired/acceptance.ts";
import { templateIdKey, tenantIdKey } from "@nexus/operator/desired/world.ts";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { secretsOfTenant } from "@nexus/operator/loop/config/secrets.ts";
import { ConfigPass, type ConfigPassDeps } from "@nexus/operator/loop/config-pass.ts";
import { Configurations } from "@nexus/operator/loop/configuration.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { ChildRequest, KubeApi, ObjectRef, Scope } from "@nexus/operator/loop/ports.ts";
import type { AdminPort } from "@nexus/operator/loop/push-ports.ts";
import { createPusher, podViews } from "@nexus/operator/loop/pusher.ts";
import { type SecretObject, SecretSource } from "@nexus/operator/loop/secret-source.ts";
import { TemplateBodies } from "@nexus/operator/loop/template-bodies.ts";
import { type TemplateIndex, TemplateIndexer } from "@nexus/operator/loop/template-index.ts";
import { TombstonePass } from "@nexus/operator/loop/tombstone-pass.ts";
import { type PodObject, type Views, worldOf } from "@nexus/operator/loop/views.ts";
import { EVERYTHING, type WatchScope } from "@nexus/operator/loop/watch-scope.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { PurgedTenant } from "@nexus/protocol/admin.ts";
import { BUCKET_COUNT, BUNDLE_FORMAT, type BundleEntry, bucketDigest, bucketOf, bundleDigest, entryKey } from "@nexus/protocol/bundle.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { FakeLeadership } from "../push/stage.ts";

export const CLUSTER = "prod/live";

const POD: PodObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "pod", namespace: "prod", uid: "pod", labels: { "app.kubernetes.io/component": "server" } },
  status: { podIP: "127.0.0.1", phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
};

type Stored = Template | Tenant | SecretObject;
const kindOf = (object: KubeObject): string => `${object.kind} ${keyOfObject(object)}`;

/** What is in etcd and on the one pod. */
export class Scene {
  readonly clock = new ManualClock();
  readonly cluster: NexusCluster;
  readonly objects = new Map<string, Stored>();
  /** Writes of Secrets, by name. */
  readonly writes: string[] = [];
  /** Reads, as `get Kind name` or `heads`. */
  readonly reads: string[] = [];
  /** What the pod holds, by entry key; and every push that brought something. */
  readonly pod = new Map<string, BundleEntry>();
  readonly pushes: string[][] = [];
  /** What the pod says it purged. */
  purged: PurgedTenant[] = [];
  /** Requests that fail from now on. */
  failing = 0;
  readonly #operators: StagedOperator[] = [];
  #version = 0;
  #told = { term: "0", sequence: 0 };

  constructor(cluster: NexusCluster = aCluster()) {
    this.cluster = cluster;
  }

  operator(options: { readonly isLeading?: boolean; readonly scope?: WatchScope } = {}): StagedOperator {
    const made = new StagedOperator(this, options);
    for (const object of this.objects.values()) made.see(object, true);
    this.#operators.push(made);
    return made;
  }

  /** As a user does; every operator's watch tells of it. */
  put(...objects: readonly Stored[]): void {
    for (const object of objects) {
      this.objects.set(kindOf(object), object);
      for (const one of this.#operators) one.see(object);
    }
  }

  remove(object: Stored): void {
    this.objects.delete(kindOf(object));
    for (const one of this.#operators) one.lose(object);
  }

  readonly api = {
    get: async ({ kind, namespace, name }: ObjectRef) => {
      this.reads.push(`get ${kind.kind} ${name}`);
      this.#fail();
      return this.objects.get(`${kind.kind} ${namespace}/${name}`);
    },
    heads: async (_kind: unknown, { labelSelector = "" }: Scope = {}) => {
      this.reads.push("heads");
      this.#fail();
      const wanted = labelSelector.split(",").map((one) => one.split("="));
      const has = ({ metadata: { labels = {} } }: KubeObject) => wanted.every(([name = "", value]) => labels[name] === value);
      return [...this.objects.values()]
        .filter((one) => one.kind === "Secret" && has(one))
        .map(({ data: _, ...head }: SecretObject) => head);
    },
  } as unknown as KubeApi; // the passes here use no other verb

  readonly applier = {
    apply: async ({ desired }: ChildRequest) => {
      this.writes.push(desired.metadata.name);
      const live = { ...desired, metadata: { ...desired.metadata, resourceVersion: String(++this.#version) } };
      this.objects.set(kindOf(live), live as SecretObject); // only boot Secrets come here
      return { kind: "applied", live, drift: [], foreign: [] } as const;
    },
  };

  /** The pod's admin port. It refuses old leaders, as servers do. */
  readonly admin: AdminPort = {
    status: async () => ({
      ...{ version: "1", cluster: CLUSTER, bundle_formats: [BUNDLE_FORMAT], ready: true, draining: false, sessions: 0, uptime_seconds: 1 },
      ...{ digest: bundleDigest(this.#digests()), buckets: this.#digests(), purged: this.purged, ...this.#told },
    }),
    push: async (_target, { term, sequence, digest, buckets }) => {
      if (BigInt(term) < BigInt(this.#told.term)) return { kind: "stale", stale: this.#told };
      this.#told = { term, sequence };
      for (const bucket of buckets) {
        const entries = JSON.parse(bucket.entriesJson) as BundleEntry[];
        if (bucket.full) for (const [key, { id }] of this.pod) if (bucketOf(id) === bucket.index) this.pod.delete(key);
        for (const key of bucket.removed) this.pod.delete(key);
        for (const entry of entries) this.pod.set(entryKey(entry), entry);
        this.pushes.push([...entries.map((entry) => entryKey(entry)), ...bucket.removed.map((key) => `-${key}`)]);
      }
      return { kind: "taken", result: { digest, applied: buckets.length, rejected: [] } };
    },
  };

  #digests(): string[] {
    const sorted = Array.from({ length: BUCKET_COUNT }, (): string[] => []);
    for (const { id, digest } of this.pod.values()) sorted[bucketOf(id)]?.push(digest);
    return sorted.map(bucketDigest);
  }

  #fail(): void {
    if (this.failing-- > 0) throw new KubeError({ status: 503, reason: "ServiceUnavailable", message: "away" });
    this.failing = 0;
  }
}

/** One process: its watches, its passes, its pusher. Only configuration passes run. */
export class StagedOperator {
  readonly leadership = new FakeLeadership();
  readonly pusher;
  readonly pass: ConfigPass;
  readonly secrets: SecretSource;
  readonly #scene: Scene;
  readonly #tenants: MemoryStore<Tenant>;
  readonly #templates: MemoryStore<TemplateIndex>;
  readonly #ownSecrets = new MemoryStore<SecretObject>();
  readonly #bodies = new TemplateBodies();
  readonly #indexer = new TemplateIndexer();
  readonly #configurations: Configurations;
  readonly #scope: WatchScope;
  /** While set, watches bring nothing. */
  isDeaf = false;
  #isLeading: boolean;

  constructor(scene: Scene, { isLeading = false, scope = EVERYTHING }: { readonly isLeading?: boolean; readonly scope?: WatchScope }) {
    this.#scene = scene;
    this.#scope = scope;
    this.#isLeading = isLeading;
    this.leadership.current = isLeading ? 100n : undefined;
    this.leadership.next = undefined; // a Lease that went to another does not come back
    const { clock, api, applier, cluster } = scene;
    const clusters = new MemoryStore<NexusCluster>({});
    clusters.set(CLUSTER, { uid: cluster.metadata.uid ?? "", resourceVersion: "1", value: cluster });
    this.#tenants = new MemoryStore<Tenant>({
      cluster: (one) => [clusterKeyOf(one)],
      id: (one) => [tenantIdKey(one)],
      secret: (one) => secretsOfTenant(one).map((name) => name.join("/")),
    });
    this.#templates = new MemoryStore<TemplateIndex>({ tenant: (one) => [tenantKeyOf(one)], id: (one) => [templateIdKey(one)] });
    const pods = new MemoryStore<PodObject>({ cluster: () => [CLUSTER] });
    pods.set("prod/pod", { uid: "pod", resourceVersion: "1", value: POD });
    const seen = { clusters, pods, tenants: this.#tenants, templates: this.#templates, namespaces: new MemoryStore() };
    const views = { ...seen, ownSecrets: this.#ownSecrets } as unknown as Views; // configurations look at these alone
    this.secrets = new SecretSource({ api, stores: [this.#ownSecrets], clock });
    this.pusher = createPusher({
      ...{ clock, admin: scene.admin, leadership: this.leadership },
      random: () => 0.5,
      onChange: () => undefined,
    });
    const { pusher } = this;
    pusher.setTarget({ key: CLUSTER, serverName: "live", ca: "", token: "", port: 1 });
    if (isLeading) pusher.setPods(CLUSTER, podViews(views, CLUSTER)); // as the pass over the fleet does
    const onError = (error: unknown) => {
      throw error;
    };
    const tombstones = new TombstonePass({
      ...{ views, api, pusher, clock, onError, wallMs: () => clock.wallMs() },
      events: { record: () => undefined, flush: async () => undefined },
      isWatched: (namespace) => scope.namespaces.length === 0 || scope.namespaces.includes(namespace),
    });
    const world = {
      ...worldOf(views),
      isPurging: (key: string, tenantId: string) => pusher.book(key).mark(`tombstone:${tenantId}`) !== undefined,
    };
    this.#configurations = new Configurations({
      ...{ views, world, clock, secrets: this.secrets, bodies: this.#bodies, book: (key: string) => pusher.book(key) },
      mustPurge: (key, tenantId, heir) => tombstones.mustPurge(key, tenantId, heir),
    });
    const deps: ConfigPassDeps = {
      ...{
        views,
        api,
        applier,
        pusher,
        tombstones,
        clock,
        onError,
        leadership: this.leadership as unknown as ConfigPassDeps["leadership"],
      },
      ...{ configurations: this.#configurations, random: () => 0.5, context: { operatorId: "default" } },
      content: {
        count: () => this.#templates.size,
        get: async (key) => {
          const [namespace, name] = key.split("/");
          return (await api.get({ kind: { kind: "Template" } as never, namespace: namespace ?? "", name: name ?? "" })) as
            | Template
            | undefined;
        },
        walk: async (page) => {
          scene.reads.push("walk");
          page([...scene.objects.values()].filter((one): one is Template => one.kind === "Template"));
        },
      },
      scope: this.#scope,
      isLeading: () => this.#isLeading,
      ...{ wakeCluster: () => undefined, wakeConfig: () => undefined, wakeObject: ({ key }) => void this.woken.push(key) },
    };
    this.pass = new ConfigPass(deps);
  }

  /** Objects whose status was to be looked at. */
  readonly woken: string[] = [];

  see(object: Stored, isInitial = false): void {
    if (this.isDeaf) return;
    const entry = { uid: object.metadata.uid ?? "", resourceVersion: "1" };
    const key = keyOfObject(object);
    if (!isInScope(object, this.#scope)) return;
    if (object.kind === "Secret") {
      if (object.metadata.labels === undefined) return; // a user's, which nobody watches
      this.#ownSecrets.set(key, { ...entry, value: object });
      this.secrets.invalidate(key);
      for (const tenant of this.#tenants.byIndex("secret", key)) this.#configurations.onTenant(tenant);
    } else if (object.kind === "Tenant") {
      this.#tenants.set(key, { ...entry, value: object as Tenant }); // by its kind
      this.#configurations.onTenant(object as Tenant);
    } else {
      const template = object as Template; // there is no fourth
      const index = this.#indexer.index(template);
      this.#templates.set(key, { ...entry, value: index });
      if (!isInitial) this.#bodies.put(template);
      this.#configurations.onTemplate(index);
    }
  }

  lose(object: Stored): void {
    if (this.isDeaf) return;
    const key = keyOfObject(object);
    if (object.kind === "Secret") this.#ownSecrets.delete(key);
    else if (object.kind === "Tenant") this.#tenants.delete(key);
    else this.#templates.delete(key);
    if (object.kind === "Tenant") this.#configurations.onTenant(object as Tenant);
    if (object.kind === "Template") this.#configurations.onTemplate(this.#indexer.index(object as Template));
  }

  /** Passes until there is nothing to do now. Rejects as a pass does. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 1_000; turn++) {
      let outcome: Awaited<ReturnType<ConfigPass["run"]>> | undefined;
      let failure: { readonly error: unknown } | undefined;
      const running = this.pass.run(CLUSTER).then(
        (one) => {
          outcome = one;
        },
        (error: unknown) => {
          failure = { error };
        },
      );
      while (!outcome && !failure) await this.#scene.clock.advance(0);
      await running;
      if (failure) throw failure.error;
      await this.#scene.clock.advance(0);
      const isLeft = this.#configurations.known(CLUSTER)?.hasWork ?? false;
      if (!isLeft && (this.#isLeading ? this.pass.found(CLUSTER) !== undefined : this.pass.isWarm(CLUSTER))) break;
    }
    await this.#scene.clock.advance(50); // pushes are gathered so long
  }

  /** The Lease is ours. */
  async lead(term = 200n): Promise<void> {
    this.leadership.current = term;
    this.#isLeading = true;
    await this.settle();
  }

  /** The process dies, or lost the Lease. */
  async stop(): Promise<void> {
    this.isDeaf = true;
    this.leadership.current = undefined;
    this.pass.stop();
    await this.pusher.stop();
  }

  /** What a status would be made of. */
  outcome(kind: "tenant" | "template", key: string) {
    return this.#configurations.outcome(kind, key);
  }

  entry(key: string): string | undefined {
    const mark = this.pusher.book(CLUSTER).mark(key);
    return mark && `${mark.uid}/${mark.generation}`;
  }
}

function isInScope({ kind, metadata }: KubeObject, { namespaces }: WatchScope): boolean {
  return kind === "Secret" || namespaces.length === 0 || namespaces.includes(metadata.namespace ?? "");
}
