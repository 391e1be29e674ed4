// Why: what the reconciler knows of pushing: whole bundles in, acknowledgements out. The engine (`push.ts`) works by changes;
// this keeps it from pods until a bundle is known. It must never let a cluster without a bundle look like an empty one:
// that would wipe its servers.
import type { AdminStatus, BrokerWord, PurgedTenant, RejectedEntry } from "@nexus/protocol/admin.ts";
import { BUCKET_COUNT, type Bucket, type BundleEntry, makeBucket } from "@nexus/protocol/bundle.ts";
import type { Acknowledgement } from "../status/synced.ts";
import type { StoredBucket } from "./boot-bucket.ts";
import type { Clock, Random } from "./clock.ts";
import type { Leadership } from "./ports.ts";
import { createPusher as createEngine, type Pusher as Engine } from "./push.ts";
import { type BundleBook, type BundleChange, bucketOfKey } from "./push-book.ts";
import type { AdminPort, AdminTarget, PushEvent } from "./push-ports.ts";
import { isPodLive, isPodReady, isServerPod, type Views } from "./views.ts";

/** Requests under way at once, over all clusters. */
const CONCURRENCY = 16;

/**
 * A server pod; without an address it is left out. `restarts`: restart count of its container, when known; otherwise a
 * pod that was ready and is not any more is asked anew what it holds.
 */
export type PodView = {
  readonly uid: string;
  readonly name: string;
  readonly address: string;
  readonly ready: boolean;
  readonly restarts?: number;
};
/** Of a cluster, by its key: the pods that serve and are there to stay. */
export const podViews = ({ pods }: Pick<Views, "pods">, clusterKey: string): PodView[] =>
  pods
    .byIndex("cluster", clusterKey)
    .filter((pod) => isServerPod(pod) && isPodLive(pod))
    .map((pod) => ({
      uid: pod.metadata.uid ?? "",
      name: pod.metadata.name,
      address: pod.status?.podIP ?? "",
      ready: isPodReady(pod),
      restarts: pod.status?.containerStatuses?.[0]?.restartCount ?? 0,
    }));
/** `key`: `namespace/name`. `ca`: PEM, may hold an old and a new authority. */
export type ClusterTarget = {
  readonly key: string;
  readonly serverName: string;
  readonly ca: string;
  readonly token: string;
  readonly port: number;
};

export type PushState = {
  readonly digest: string;
  /** Ready pods at that digest, and ready pods. */
  readonly podsSynced: number;
  readonly podsTotal: number;
  /** Ready pods that are not at it; `why` is for people and holds no secret. */
  readonly lagging: readonly { readonly pod: string; readonly why: string }[];
  /** Entries that some pod cannot use, one of each key, sorted by key. */
  readonly rejected: readonly RejectedEntry[];
  /** Version of the servers, of the pod with the first name; undefined before any answered. */
  readonly version: string | undefined;
  /** What pods say of their broker. */
  readonly brokers: { readonly up: number; readonly down: readonly { readonly pod: string; readonly why: string }[] };
  /** Sessions of all pods, each as it last said (about once a minute). */
  readonly sessions: number;
  /** Tombstones that a pod says are done. */
  readonly purged: readonly PurgedTenant[];
};

/** How far the ready pods of a cluster are; the age is 0 when all have everything, or none is ready. */
export type PushProgress = { readonly podsSynced: number; readonly podsTotal: number; readonly oldestSeconds: number };

/** `cluster` is `namespace/name`. */
export interface Pusher {
  /** The whole wanted bundle; keys in `keep` stay as they are (objects whose new version was refused). Returns at once; `changed` are bucket indexes, sorted; unchanged buckets cost a look-up. */
  setEntries(
    cluster: string,
    entries: readonly BundleEntry[],
    keep?: ReadonlySet<string>,
  ): { readonly digest: string; readonly changed: readonly number[] };
  /** Changes entries; pods hear of it once the bundle is known. */
  change(cluster: string, change: BundleChange): void;
  /** The bundle is whole from now on: pods may be told. */
  known(cluster: string): void;
  /** What the boot Secrets hold, before the bundle is known. Tells no pod. */
  load(cluster: string, bucket: StoredBucket): void;
  hasReadyPods(cluster: string): boolean;
  /** Asks the cluster's pods how they are, soon. */
  look(cluster: string): void;
  setTarget(target: ClusterTarget): void;
  setPods(cluster: string, pods: readonly PodView[]): void;
  forget(cluster: string): void;
  /** By index; undefined before the bundle is known. With `indexes` only those, which is cheaper. */
  buckets(cluster: string, indexes?: Iterable<number>): readonly Bucket[] | undefined;
  /** The live bundle itself, for the boot copy; empty before the bundle is known. Never change it. */
  book(cluster: string): BundleBook;
  /** Undefined before the bundle is known. */
  state(cluster: string): PushState | undefined;
  /** Cheaper than the state, and known before the bundle is. */
  progress(cluster: string): PushProgress;
  /** What the pods that were ready when this generation came said about it. */
  acknowledged(cluster: string, entryKey: string, uid: string, generation: number): Acknowledgement;
  stop(): Promise<void>;
}

/** What the log and the metrics call it. */
export type PushLogEvent = `push.${Exclude<PushEvent["kind"], "pushed">}`;

export type PusherOptions = {
  readonly admin: AdminPort;
  readonly leadership: Pick<Leadership, "mayWrite" | "writeBudgetMs" | "term" | "raiseTerm">;
  readonly clock: Clock;
  readonly random: Random;
  /** Acknowledgements, lagging pods or sessions of this cluster moved, and what pods say of these entries; gathered over one turn. Must not throw. */
  readonly onChange: (cluster: string, entryKeys: ReadonlySet<string>) => void;
  /** Everything but pushes that went well; fields hold names and numbers only. */
  readonly onLog?: (event: PushLogEvent, fields: Readonly<Record<string, unknown>>) => void;
  /** A pod took a push; `seconds` from its start to the pod's word. */
  readonly onPushed?: (push: Extract<PushEvent, { kind: "pushed" }>) => void;
};

/** What a pod said of itself last. */
type Word = {
  readonly version: string | undefined;
  readonly sessions: number;
  readonly rejected: readonly RejectedEntry[];
  readonly broker: BrokerWord | undefined;
  readonly purged: readonly PurgedTenant[];
};
const NO_KEYS: ReadonlySet<string> = new Set();
const SILENT: Word = { version: undefined, sessions: 0, rejected: [], broker: undefined, purged: [] };

type Known = PodView & { readonly restarts: number };
type Place = {
  hasEntries: boolean;
  target: ClusterTarget | undefined;
  pods: readonly Known[];
  /** Since when there are ready pods that cannot be told: no bundle yet, or no credentials; monotonic milliseconds. */
  untoldMs: number | undefined;
  /** By address and port. */
  readonly words: Map<string, Word>;
};

export const createPusher = (options: PusherOptions): Pusher => new ClusterPushes(options);

class ClusterPushes implements Pusher {
  readonly #options: PusherOptions;
  readonly #engine: Engine;
  readonly #places = new Map<string, Place>();
  readonly #moved = new Map<string, Set<string>>();
  #isStopped = false;

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#engine = createEngine({
      admin: this.#overheard(options.admin),
      leadership: options.leadership,
      clock: options.clock,
      random: options.random,
      observe: (event) => this.#log(event),
      concurrency: CONCURRENCY,
    });
    this.#engine.onChange((cluster, keys) => this.#changed(cluster, keys));
    this.#engine.start();
  }

  setEntries(cluster: string, entries: readonly BundleEntry[], keep?: ReadonlySet<string>) {
    const place = this.#place(cluster);
    const keys = this.#engine.replace(cluster, entries, keep);
    this.#open(cluster, place);
    const changed = [...new Set(keys.map(bucketOfKey))].sort((a, b) => a - b);
    return { digest: this.#engine.book(cluster).digest(), changed };
  }

  change(cluster: string, change: BundleChange): void {
    this.#engine.change(cluster, change);
  }

  known(cluster: string): void {
    this.#engine.known(cluster);
    this.#open(cluster, this.#place(cluster));
  }

  look(cluster: string): void {
    this.#engine.look(cluster);
  }

  hasReadyPods(cluster: string): boolean {
    return this.#places.get(cluster)?.pods.some((pod) => pod.ready) ?? false;
  }

  load(cluster: string, bucket: StoredBucket): void {
    if (!this.#place(cluster).hasEntries) this.#engine.load(cluster, bucket);
  }

  setTarget(target: ClusterTarget): void {
    const place = this.#place(target.key);
    const hadPort = place.target?.port;
    place.target = target;
    this.#engine.setAccess(target.key, { serverName: target.serverName, caPem: target.ca, token: target.token });
    if (hadPort !== target.port) this.#tellPods(target.key, place);
  }

  setPods(cluster: string, pods: readonly PodView[]): void {
    const place = this.#place(cluster);
    const before = new Map(place.pods.map((pod) => [pod.uid, pod]));
    const next = pods.map((pod) => ({ ...pod, restarts: pod.restarts ?? restartsOf(before.get(pod.uid), pod) }));
    const isSame = next.length === place.pods.length && next.every((pod) => samePod(pod, before.get(pod.uid)));
    if (isSame) return;
    place.pods = next;
    const addresses = new Set(next.map((pod) => pod.address));
    for (const address of place.words.keys()) if (!addresses.has(address)) place.words.delete(address);
    this.#tellPods(cluster, place);
  }

  forget(cluster: string): void {
    this.#places.delete(cluster);
    this.#engine.forget(cluster);
  }

  buckets(cluster: string, indexes: Iterable<number> = Array.from({ length: BUCKET_COUNT }, (_, index) => index)) {
    if (!this.#places.get(cluster)?.hasEntries) return undefined;
    const book = this.#engine.book(cluster);
    return [...indexes].map((index) => makeBucket(index, book.bucket(index).entries()));
  }

  book(cluster: string): BundleBook {
    return this.#engine.book(cluster);
  }

  state(cluster: string): PushState | undefined {
    const place = this.#places.get(cluster);
    if (!place?.hasEntries) return undefined;
    const { digest, podsSynced, podsTotal, pods } = this.#engine.state(cluster);
    const lagging = pods.filter((pod) => pod.ready && !pod.synced).map((pod) => ({ pod: pod.name, why: whyOf(pod.failure) }));
    const told = [...place.pods].sort(byName).map((pod) => ({ pod, word: place.words.get(pod.address) ?? SILENT }));
    const words = told.map(({ word }) => word);
    const rejected = new Map(words.flatMap((word) => word.rejected).map((entry) => [entry.key, entry]));
    return {
      digest,
      podsSynced,
      podsTotal,
      lagging: lagging.sort((a, b) => (a.pod < b.pod ? -1 : 1)),
      rejected: [...rejected.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
      version: words.find((word) => word.version !== undefined)?.version,
      brokers: brokersOf(told),
      sessions: words.reduce((sum, word) => sum + word.sessions, 0),
      purged: words.flatMap((word) => word.purged),
    };
  }

  progress(cluster: string): PushProgress {
    const place = this.#places.get(cluster);
    const readyPods = place?.pods.filter((pod) => pod.ready).length ?? 0;
    if (!place?.hasEntries || !place.target) {
      const oldestMs = place?.untoldMs === undefined ? 0 : this.#options.clock.monotonicMs() - place.untoldMs;
      return { podsSynced: 0, podsTotal: readyPods, oldestSeconds: oldestMs / 1000 };
    }
    const { podsSynced, podsTotal, behindMs } = this.#engine.progress(cluster);
    return { podsSynced, podsTotal, oldestSeconds: behindMs / 1000 };
  }

  acknowledged(cluster: string, key: string, uid: string, generation: number): Acknowledgement {
    if (!this.#places.get(cluster)?.hasEntries) return { kind: "nobody" };
    return this.#engine.acknowledgement(cluster, { key, uid, generation });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#engine.stop();
  }

  #open(cluster: string, place: Place): void {
    if (place.hasEntries) return;
    place.hasEntries = true;
    this.#tellPods(cluster, place);
  }

  #place(cluster: string): Place {
    const found = this.#places.get(cluster) ?? { hasEntries: false, target: undefined, pods: [], untoldMs: undefined, words: new Map() };
    this.#places.set(cluster, found);
    return found;
  }

  #tellPods(cluster: string, place: Place): void {
    const { hasEntries, target, pods } = place;
    const isUntold = (!hasEntries || !target) && pods.some((pod) => pod.ready);
    place.untoldMs = isUntold ? (place.untoldMs ?? this.#options.clock.monotonicMs()) : undefined;
    if (!hasEntries || !target) return;
    const list = pods.map(({ uid, name, address, ready, restarts }) => ({ uid, name, ip: address, ready, restarts, port: target.port }));
    this.#engine.setPods(cluster, list);
  }

  /** The engine keeps digests only; what pods say besides is taken down as it passes. */
  #overheard(admin: AdminPort): AdminPort {
    return {
      status: async (target, call) => {
        const status = await admin.status(target, call);
        this.#hear(target, (word) => ({ ...word, ...aboutItself(status) }));
        return status;
      },
      push: async (target, request, call) => {
        const answer = await admin.push(target, request, call);
        if (answer.kind === "taken") this.#hear(target, (word) => ({ ...word, rejected: answer.result.rejected }));
        return answer;
      },
    };
  }

  #hear(target: AdminTarget, next: (before: Word) => Word): void {
    for (const [cluster, place] of this.#places) {
      if (place.target?.serverName !== target.serverName || !place.pods.some((pod) => pod.address === target.ip)) continue;
      const before = place.words.get(target.ip) ?? SILENT;
      const word = next(before);
      place.words.set(target.ip, word);
      const isSame = word.sessions === before.sessions && word.version === before.version && isSameBroker(word.broker, before.broker);
      if (!isSame) this.#changed(cluster);
    }
  }

  #changed(cluster: string, keys: ReadonlySet<string> = NO_KEYS): void {
    if (this.#moved.size === 0) queueMicrotask(() => this.#tell());
    const moved = this.#moved.get(cluster) ?? new Set();
    this.#moved.set(cluster, moved);
    for (const key of keys) moved.add(key);
  }

  #tell(): void {
    const moved = [...this.#moved];
    this.#moved.clear();
    if (!this.#isStopped) for (const [cluster, keys] of moved) if (this.#places.has(cluster)) this.#options.onChange(cluster, keys);
  }

  /** Pushes that went well are for metrics, not for the log. */
  #log(event: PushEvent): void {
    if (event.kind === "pushed") {
      this.#options.onPushed?.(event);
      return;
    }
    const { kind, ...fields } = event;
    this.#options.onLog?.(`push.${kind}`, "error" in fields ? { ...fields, error: whyOf(fields.error) } : fields);
  }
}

/** A pod that stops being ready may have restarted: a higher number makes the engine ask it anew. */
const restartsOf = (before: Known | undefined, now: PodView): number => (before?.restarts ?? 0) + (before?.ready && !now.ready ? 1 : 0);

const samePod = (a: Known, b: Known | undefined): boolean =>
  b !== undefined && a.address === b.address && a.ready === b.ready && a.name === b.name && a.restarts === b.restarts;

const byName = (a: PodView, b: PodView): number => (a.name < b.name ? -1 : 1);
const aboutItself = ({ version, sessions, broker, purged = [] }: AdminStatus) => ({ version, sessions, broker, purged });
const isSameBroker = (a: BrokerWord | undefined, b: BrokerWord | undefined): boolean => a?.state === b?.state && a?.detail === b?.detail;

/** One that cannot tell got its broker's answer before it became ready. */
function brokersOf(told: readonly { readonly pod: PodView; readonly word: Word }[]): PushState["brokers"] {
  const isUp = ({ pod, word }: (typeof told)[number]) =>
    word.broker ? word.broker.state === "up" : pod.ready && word.version !== undefined;
  return {
    up: told.filter(isUp).length,
    down: told.flatMap(({ pod, word }) => (word.broker?.state === "down" ? [{ pod: pod.name, why: word.broker.detail }] : [])),
  };
}

function whyOf(failure: unknown): string {
  if (failure === undefined) return "not told yet";
  return failure instanceof Error ? failure.message : "failed";
}
