// Why: what the loop needs from the outside world, as interfaces with their guarantees. `kube/` implements them, `main`
// wires them, tests put an in-memory cluster in their place. No implementation lives here.
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Difference, ForeignEntry } from "../plan/compare.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";
import type { Identity } from "../plan/ownership.ts";
import type { DigestAt } from "../plan/rendered.ts";
import type { Kind } from "./kinds.ts";

/** Addresses one object. `namespace` is left out for cluster-scoped kinds. */
export type ObjectRef = { readonly kind: Kind; readonly namespace?: string; readonly name: string };

/** Store and queue key of an object: `namespace/name`, or `name` when it has no namespace. */
export const keyOf = (object: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string =>
  object.metadata.namespace === undefined ? object.metadata.name : `${object.metadata.namespace}/${object.metadata.name}`;

/** Where to list or watch. No namespace = all namespaces. Selectors in Kubernetes' own text form. */
export type Scope = { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string };

export type Page<T> = { readonly items: readonly T[]; readonly resourceVersion: string; readonly remaining?: number };

export type ApplyOptions = {
  /** Field manager. */
  readonly manager: string;
  /** Take fields owned by others (default true). */
  readonly force?: boolean;
  readonly subresource?: "status";
};

export type DeleteOptions = {
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default `Background`. */
  readonly propagation?: "Background" | "Foreground" | "Orphan";
};

/** Options of every call: `signal` aborts it (reason `Aborted`). Each call has a timeout in any case. */
export type CallOptions = { readonly signal?: AbortSignal };

/**
 * Typed access to the API server. Every method rejects with `KubeError` (`loop/kube-error.ts`) and nothing else. Reads are
 * consistent (not from a cache). No write is repeated, except by HTTP itself: a PUT or DELETE whose reused connection broke
 * before any answer (a PUT then meets its own resourceVersion, a 409). None is sent after the write fence closed: it is
 * refused with reason `NotLeader`. A write that ends in `Timeout` or `Network` may have happened.
 */
export interface KubeApi {
  /** The object, or undefined when it does not exist. */
  get<T extends KubeObject = Manifest>(ref: ObjectRef, options?: CallOptions): Promise<T | undefined>;
  /** All objects, collected from pages of 500 of one consistent snapshot. */
  list<T extends KubeObject = Manifest>(kind: Kind, scope?: Scope, options?: CallOptions): Promise<Page<T>>;
  /** Name, labels, annotations and version of all objects, of one consistent snapshot; what is in them is not sent. */
  heads(kind: Kind, scope?: Scope, options?: CallOptions): Promise<readonly KubeObject[]>;
  /** POST. `AlreadyExists` is a 409 (`isAlreadyExists`). */
  create<T extends KubeObject>(kind: Kind, object: T, options?: CallOptions & { readonly manager?: string }): Promise<T>;
  /** PUT; the object's `resourceVersion` is compared (`isConflict`). */
  update<T extends KubeObject>(kind: Kind, object: T, options?: CallOptions & { readonly manager?: string }): Promise<T>;
  /** False when it was gone already. A uid or resourceVersion that does not match is a 409 `Conflict`. */
  delete(ref: ObjectRef, options?: CallOptions & DeleteOptions): Promise<boolean>;
  /** Server-side apply. `metadata.resourceVersion` in the object, when given, is compared. `created` tells 201 from 200. */
  apply<T extends KubeObject = Manifest>(
    kind: Kind,
    object: KubeObject,
    options: CallOptions & ApplyOptions,
  ): Promise<{ readonly object: T; readonly created: boolean }>;
  /** JSON merge patch (RFC 7386). */
  mergePatch<T extends KubeObject = Manifest>(
    ref: ObjectRef,
    patch: unknown,
    options: CallOptions & { readonly manager: string; readonly subresource?: "status" },
  ): Promise<T>;
  /** Size asked for and seen, from the scale subresource; undefined when the object does not exist. */
  getScale(ref: ObjectRef, options?: CallOptions): Promise<Scale | undefined>;
  /** Sets `spec.replicas` through the scale subresource; `resourceVersion`, when given, is compared. */
  setScale(
    ref: ObjectRef,
    scale: { readonly replicas: number; readonly resourceVersion?: string },
    options: CallOptions & { readonly manager: string },
  ): Promise<Scale>;
  /** What the API server serves now. Groups whose backend does not answer are in `unavailable`, never read as absent. */
  discover(options?: CallOptions): Promise<Discovery>;
}

export type Scale = { readonly specReplicas: number; readonly statusReplicas: number; readonly resourceVersion: string };

export type Discovery = {
  readonly kinds: readonly Kind[];
  /** `group/version` strings. */
  readonly unavailable: readonly string[];
};

/**
 * What the API server serves besides Kubernetes' own kinds. Discovery only adds: a kind counts as absent when two
 * successful discoveries in 10 min did not name it, and its store keeps what it has even then.
 */
export interface Capabilities {
  has(kind: Kind): boolean;
  /** A kind that is wanted is not there: asks again now, unless that was done a moment ago. Does not wait and never throws. */
  look(): void;
}

/**
 * A reflector's copy of one kind, keyed by `keyOf`. It lags the API server; reconcile must be right with any older state.
 * Objects in it are shared: never change them.
 */
export interface Store<T> {
  readonly size: number;
  get(key: string): T | undefined;
  list(): T[];
  keys(): IterableIterator<string>;
  /** Objects for which the indexer `name` returned `value`; throws when there is no such indexer. */
  byIndex(name: string, value: string): T[];
  /** How many objects are counted under `what`, kept with every change; 0 when nothing is. */
  counted(what: string): number;
  /** True after the first complete list. Before that, absence means nothing. */
  hasSynced(): boolean;
}

/** The content of Templates, which no store keeps. Consistent reads; rejects with `KubeError`. */
export interface TemplateReader {
  get(key: string): Promise<Template | undefined>;
  /** How many Templates there are, as far as known. */
  count(): number;
  /** Every Template in scope, in pages; one may come twice when the list had to begin again. `page` must not keep them. */
  walk(page: (templates: readonly Template[]) => void): Promise<void>;
}

/**
 * What happened to an object. For `deleted`, `object` is the last state known. `initial` is true for what the first list
 * brought (queue it with low priority). Delivered in order per key; after an interruption several changes come as one.
 */
export type WatchEvent<T> = {
  readonly type: "added" | "modified" | "deleted";
  readonly key: string;
  readonly object: T;
  /** The state before, for `modified`. */
  readonly previous?: T;
  readonly initial: boolean;
};

/** Must not throw and must not block: it enqueues keys. */
export type WatchHandler<T> = (event: WatchEvent<T>) => void;

/** Whether we lead, and since which term. Fencing: see `writeBudgetMs`. */
export interface Leadership {
  /** True while a renewal that began within the fence holds. Ask right before each side effect. */
  mayWrite(): boolean;
  /** Milliseconds in which a write must have ended; 0 = do not start one. */
  writeBudgetMs(): number;
  /** resourceVersion of the Lease update that won; undefined while not leading. Compared as BigInt by receivers. */
  term(): bigint | undefined;
  /** One more Lease update; resolves with the new, higher term, or undefined when the Lease is no longer ours. Rejects with `KubeError` when no answer came. */
  raiseTerm(): Promise<bigint | undefined>;
  /** Aborted for ever when leadership is lost or given back. */
  readonly lost: AbortSignal;
}

export type ChildRequest = {
  readonly kind: Kind;
  /** The rendering, without `nexus.dev/rendered`: the digest is added here. */
  readonly desired: KubeObject;
  /** The state from a store or a GET; undefined = not known to exist (it is read again before creating). */
  readonly live: KubeObject | undefined;
  readonly manager: string;
  readonly identity: Identity;
  /** Where the digest annotation goes; default `metadata`. `podTemplate` = `spec.template.metadata`. */
  readonly digestAt?: DigestAt;
};

/** One path of ours that somebody else had changed, as it was found. */
export type Drift = Difference;

/**
 * What applying one child came to. `foreign` lists extra containers, initContainers, volumes and env entries that others
 * added: reported, never removed.
 * - `inSync`: nothing was sent. `created`/`applied`: one request, `live` is its answer. `applied.drift` is empty when the
 *   rendering itself changed.
 * - `unchanged`: an apply that changed nothing, a bug of the comparer (also counted).
 * - `nameConflict`: the object belongs to somebody else; nothing was changed.
 * - `terminating`: it is being deleted; look again when it is gone.
 * - `stale`: it changed again and again while we looked, or is gone; look again with the new state.
 * - `contested`: somebody puts the same path back again and again; not applied, look again after `retryAfterMs`.
 */
export type ChildOutcome =
  | { readonly kind: "inSync"; readonly live: KubeObject; readonly foreign: readonly ForeignEntry[] }
  | { readonly kind: "created"; readonly live: KubeObject }
  | {
      readonly kind: "applied";
      readonly live: KubeObject;
      readonly drift: readonly Drift[];
      readonly foreign: readonly ForeignEntry[];
    }
  | { readonly kind: "unchanged"; readonly live: KubeObject; readonly paths: readonly string[]; readonly foreign: readonly ForeignEntry[] }
  | { readonly kind: "nameConflict"; readonly message: string }
  | { readonly kind: "terminating" }
  | { readonly kind: "stale" }
  | { readonly kind: "contested"; readonly drift: readonly Drift[]; readonly retryAfterMs: number };

/** Brings one child to its rendering with at most one write. */
export interface ChildApplier {
  apply(request: ChildRequest, options?: CallOptions): Promise<ChildOutcome>;
}

/** Who keeps undoing what we write: counted by thing and path, in memory. */
export interface Contests {
  /** Whether this process has written exactly this to `thing` before. */
  hasApplied(thing: string, digest: string): boolean;
  /** Counts that others changed `paths` of `thing`. Answers the milliseconds until it may be written again; 0 = now. */
  found(thing: string, paths: readonly string[]): number;
  /** It was written; something else than before ends every contest. */
  applied(thing: string, digest: string): void;
}

export type StatusRequest = {
  readonly kind: Kind;
  /** The object as last seen: name, namespace, uid and the status to compare with. */
  readonly live: KubeObject & { readonly status?: unknown };
  /** The whole status. */
  readonly status: unknown;
};

/** Writes a whole status when it differs from the live one: `written`, `inSync`, or `gone` (deleted or made anew meanwhile). */
export interface StatusWriter {
  write(request: StatusRequest, options?: CallOptions): Promise<"written" | "inSync" | "gone">;
}

export type EventNote = {
  readonly regarding: KubeObject;
  readonly type: "Normal" | "Warning";
  /** CamelCase, from the closed list of reasons. */
  readonly reason: string;
  /** What we did, a verb: `Applying`, `Pushing`. */
  readonly action: string;
  /** Shown to people, cut at 1 KiB. Never a secret. */
  readonly note: string;
};

/** Records events for people, best effort: repeats are merged, floods cut, failures counted, never thrown. */
export interface EventRecorder {
  record(note: EventNote): void;
  /** Waits for what is in flight. */
  flush(): Promise<void>;
}
