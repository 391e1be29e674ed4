// Why: one reflector for each kind the loop looks at, with what is kept of it and by what it is found. It must never watch all
// Secrets: only those we made and those users labelled for us.
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import { WATCH_LABEL } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { clusterKeyOf, tenantKeyOf } from "../desired/acceptance.ts";
import { BUCKET_ANNOTATION, TENANT_LABEL } from "../desired/names.ts";
import { templateIdKey, tenantIdKey } from "../desired/world.ts";
import { secretsOfTenant } from "../loop/config/secrets.ts";
import { CHILD_KINDS, KINDS, type Kind } from "../loop/kinds.ts";
import type { KubeError } from "../loop/kube-error.ts";
import { isLean, lean } from "../loop/lean.ts";
import type { Scope, Store, WatchHandler } from "../loop/ports.ts";
import type { SecretObject } from "../loop/secret-source.ts";
import type { TemplateBodies } from "../loop/template-bodies.ts";
import { type TemplateIndex, TemplateIndexer } from "../loop/template-index.ts";
import type { DeploymentObject, PodObject, Views } from "../loop/views.ts";
import { scopesOf, type WatchScope } from "../loop/watch-scope.ts";
import type { KubeObject } from "../plan/object.ts";
import { complete } from "./complete.ts";
import { readListedNamespaces } from "./listed-namespaces.ts";
import { type Reflector, type ReflectorMetrics, type ReflectorOptions, startReflector, stripManagedFields } from "./reflector.ts";
import { MemoryStore, type Tally } from "./store.ts";
import type { Transport } from "./transport.ts";

/** What the loop hears of; see `loop/controller.ts`. */
export type Handlers = {
  readonly onCluster: WatchHandler<NexusCluster>;
  readonly onTenant: WatchHandler<Tenant>;
  readonly onTemplate: WatchHandler<TemplateIndex>;
  readonly onNamespace: WatchHandler<KubeObject>;
  readonly onChild: WatchHandler<KubeObject>;
  readonly onSecret: WatchHandler<SecretObject>;
};

export type WatchesOptions = {
  readonly transport: Transport;
  readonly scope: WatchScope;
  readonly handlers: Handlers;
  /** Takes the content of Templates that change. */
  readonly bodies: TemplateBodies;
  readonly onError: (kind: Kind, error: KubeError, retryInMs: number) => void;
  readonly metrics?: ReflectorMetrics;
  /** No event and no bookmark for so long = the connection is dead; default 90 s. */
  readonly silenceMs?: number;
};

export type Watches = {
  readonly views: Views;
  readonly synced: Promise<boolean>;
  /** What `synced` waits for, a sentence each: a kind that was never listed whole, and why when that is known. */
  missing(): readonly string[];
  /** When each kind was heard of last, wall clock in milliseconds: of all that watch it, the one that heard nothing for longest. */
  heardMs(): ReadonlyMap<string, number>;
  /** How many objects of each kind are kept. */
  counts(): ReadonlyMap<string, number>;
  /** Where our kinds are watched. */
  readonly scopes: readonly Scope[];
  /** From now on our children of an optional kind are watched; nothing when they are already. */
  watchChildren(kind: Kind): void;
  /** Nobody serves an optional kind any more: what is known of it is kept, and nothing is asked for. */
  unwatchChildren(kind: Kind): void;
  stop(): Promise<void>;
};

/** Several reflectors that fill one store, as one. */
const joined = <T>(store: MemoryStore<T>, parts: readonly Reflector<T>[]): Reflector<T> => ({
  store,
  synced: Promise.all(parts.map((part) => part.synced)).then((all) => all.every(Boolean)),
  heardMs: () => Math.min(...parts.map((part) => part.heardMs())),
  stop: async () => {
    await Promise.all(parts.map((part) => part.stop()));
  },
});

const OURS = "app.kubernetes.io/managed-by=nexus-operator";

/** Of an optional kind that nobody serves. */
const NOTHING = new MemoryStore<KubeObject>();
NOTHING.markSynced(); // nothing is all there is

/** What we compare is in the annotation; 64 buckets of every cluster in memory would be the bundle again. */
function withoutBootData(object: KubeObject): SecretObject {
  const secret: SecretObject = stripManagedFields(object);
  if (secret.metadata.annotations?.[BUCKET_ANNOTATION] === undefined) return secret;
  const { data: _data, ...rest } = secret;
  return rest;
}

const isSameContent = (a: Template, b: TemplateIndex | undefined): boolean =>
  a.metadata.uid === b?.metadata.uid && a.metadata.generation === b?.metadata.generation;

const instanceOf = (object: KubeObject): readonly string[] => {
  const name = object.metadata.labels?.["app.kubernetes.io/instance"];
  return name === undefined ? [] : [`${object.metadata.namespace}/${name}`];
};

const tenantOf = (object: KubeObject): readonly string[] => {
  const name = object.metadata.labels?.[TENANT_LABEL];
  return name === undefined ? [] : [`${object.metadata.namespace}/${name}`];
};

type StartOptions<T> = Omit<ReflectorOptions<T>, "transport"> & { readonly tally?: Tally<T> };

const isReady = (conditions: readonly Condition[] = []): boolean =>
  conditions.some(({ type, status }) => type === "Ready" && status === "True");

/** Starts every reflector at once. */
export function startWatches({ transport, scope, handlers, bodies, onError, metrics, silenceMs }: WatchesOptions): Watches {
  const running = new Map<Reflector<never>, Kind>();
  /** Of lists and watches that failed last. */
  const failures = new Map<Kind, string>();
  const failed = (kind: Kind) => (error: KubeError, retryInMs: number) => {
    failures.set(kind, error.message);
    onError(kind, error, retryInMs);
  };
  const start = <T>({ tally, ...options }: StartOptions<T>, labelSelector?: string): Reflector<T> => {
    const places: readonly Scope[] = scope.namespaces.length === 0 ? [{}] : scope.namespaces.map((namespace) => ({ namespace }));
    const store = new MemoryStore<T>(options.indexers, places.length, tally);
    const parts = places.map((place) =>
      startReflector<T>({
        ...options,
        ...{ transport, store, scope: { ...place, ...(labelSelector === undefined ? {} : { labelSelector }) } },
        onError: failed(options.kind),
        ...(metrics ? { metrics } : {}),
        ...(silenceMs === undefined ? {} : { silenceMs }),
      }),
    );
    return joined(store, parts);
  };
  const keep = <T>(kind: Kind, reflector: Reflector<T>): Reflector<T> => {
    running.set(reflector as unknown as Reflector<never>, kind); // what its store holds is not looked at from there
    return reflector;
  };
  const startStore = <T>(options: StartOptions<T>, labelSelector?: string) => keep(options.kind, start<T>(options, labelSelector)).store;
  const { onChild } = handlers;
  const indexer = new TemplateIndexer();
  const children = new Map<Kind, Store<KubeObject>>();
  const watched = new Map<Kind, Reflector<KubeObject>>();
  const watchChildren = (kind: Kind) => {
    if (watched.has(kind)) return;
    const reflector = keep(
      kind,
      start<KubeObject>({ kind, transform: (object) => (isLean(object) ? lean(object) : object), onEvent: onChild }, OURS),
    );
    watched.set(kind, reflector);
    children.set(kind, reflector.store);
  };
  const unwatchChildren = (kind: Kind) => {
    const reflector = watched.get(kind);
    if (!reflector) return;
    watched.delete(kind);
    running.delete(reflector as unknown as Reflector<never>); // as above
    void reflector.stop();
  };
  CHILD_KINDS.forEach(watchChildren);
  const namespaces = (): Store<KubeObject> => {
    const { onNamespace: onEvent } = handlers;
    const kind = KINDS.Namespace;
    if (scope.namespaces.length === 0) return startStore<KubeObject>({ kind, transform: stripManagedFields, onEvent });
    const listed = { transport, names: scope.namespaces, onEvent };
    return keep(kind, readListedNamespaces({ ...listed, onError: failed(kind) })).store;
  };
  const childStore = (kind: Kind): Store<KubeObject> => children.get(kind) ?? NOTHING;
  const views: Views = {
    clusters: startStore<NexusCluster>({ kind: KINDS.NexusCluster, transform: complete, onEvent: handlers.onCluster }, scope.selector),
    tenants: startStore<Tenant>(
      {
        kind: KINDS.Tenant,
        transform: complete,
        indexers: {
          cluster: (one) => [clusterKeyOf(one)],
          id: (one) => [tenantIdKey(one)],
          secret: (one) => secretsOfTenant(one).map(([namespace, name]) => `${namespace}/${name}`),
        },
        tally: (one) => (isReady(one.status?.conditions) ? "ready" : undefined),
        onEvent: handlers.onTenant,
      },
      scope.selector,
    ),
    templates: startStore<TemplateIndex>(
      {
        kind: KINDS.Template,
        transform: (object, { initial, previous }) => {
          const template = complete<Template>(object);
          // Of a first list most content is compiled already (it is read again where it is not), and a status has none.
          if (!initial && !isSameContent(template, previous)) bodies.put(template);
          return indexer.index(template);
        },
        indexers: { tenant: (one) => [tenantKeyOf(one)], id: (one) => [templateIdKey(one)] },
        tally: ({ status }) => (status === "settled" || isReady(status?.conditions) ? "ready" : undefined),
        onEvent: handlers.onTemplate,
      },
      scope.selector,
    ),
    namespaces: namespaces(),
    deployments: childStore(KINDS.Deployment) as Store<DeploymentObject>, // the API server answers objects of the kind that is watched
    children: childStore,
    pods: startStore<PodObject>(
      { kind: KINDS.Pod, transform: stripManagedFields, indexers: { cluster: instanceOf }, onEvent: onChild },
      OURS,
    ),
    ownSecrets: startStore<SecretObject>(
      {
        kind: KINDS.Secret,
        transform: withoutBootData,
        indexers: { tenant: tenantOf, cluster: instanceOf },
        onEvent: handlers.onSecret,
      },
      OURS,
    ),
    watchedSecrets: startStore<SecretObject>(
      { kind: KINDS.Secret, transform: stripManagedFields, onEvent: handlers.onSecret },
      `${WATCH_LABEL}=true`,
    ),
  };
  // Kinds that somebody may install or not are added later, and nothing waits for them.
  const needed = [...running];
  return {
    views,
    scopes: scopesOf(scope),
    watchChildren,
    unwatchChildren,
    synced: Promise.all(needed.map(([reflector]) => reflector.synced)).then((all) => all.every(Boolean)),
    missing: () => [
      ...new Set(
        needed
          .filter(([{ store }]) => !store.hasSynced())
          .map(([, kind]) => ["no list of every", kind.kind, failures.has(kind) ? `yet: ${failures.get(kind)}` : "yet"].join(" ")),
      ),
    ],
    heardMs: () => {
      const heard = new Map<string, number>();
      for (const [reflector, { kind }] of running)
        heard.set(kind, Math.min(reflector.heardMs(), heard.get(kind) ?? Number.POSITIVE_INFINITY));
      return heard;
    },
    counts: () => {
      const counts = new Map<string, number>();
      for (const [{ store }, { kind }] of running) counts.set(kind, (counts.get(kind) ?? 0) + store.size);
      return counts;
    },
    stop: async () => {
      await Promise.all([...running.keys()].map((reflector) => reflector.stop()));
    },
  };
}
