// Why: tells every server pod of every cluster its configuration, and knows who acknowledged what. It must never push without
// the lead, never wait for one pod before telling another, and never forget a pod that did not answer.
import type { BundleEntry } from "@nexus/protocol/bundle.ts";
import type { Acknowledgement } from "../status/synced.ts";
import type { StoredBucket } from "./boot-bucket.ts";
import type { Clock, Random } from "./clock.ts";
import type { Leadership } from "./ports.ts";
import type { BundleBook, BundleChange } from "./push-book.ts";
import { type ClusterListener, type ClusterProgress, ClusterPusher, type ClusterPushState, type SyncedQuestion } from "./push-cluster.ts";
import { PushFence } from "./push-fence.ts";
import { Gate } from "./push-gate.ts";
import { PUSH_TIMES, type PushShared, type PushTimes } from "./push-pod.ts";
import type { AdminAccess, AdminPort, PushObserver, PushPod } from "./push-ports.ts";

export type PusherOptions = {
  readonly admin: AdminPort;
  readonly leadership: Pick<Leadership, "mayWrite" | "writeBudgetMs" | "term" | "raiseTerm">;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: PushObserver;
  /** Requests under way at once, over all clusters (default 32), and of them to pods that did not answer last time (4 more). */
  readonly concurrency?: number;
  readonly times?: Partial<PushTimes>;
};

/** `cluster` is `namespace/name` everywhere. Nothing is sent before `start`, nor to a cluster's pods before `known` or its first `replace`. */
export interface Pusher {
  /** Begins to push; call it when we lead. */
  start(): void;
  stop(): void;
  /** Address book and credentials of a cluster's pods. */
  setAccess(cluster: string, access: AdminAccess): void;
  /** All server pods that have an address, ready or not (a new pod becomes ready by being confirmed). */
  setPods(cluster: string, pods: readonly PushPod[]): void;
  /** What the boot Secrets hold, before anything else is known of the cluster. Not pushed: it may be older than the pods'. */
  load(cluster: string, bucket: StoredBucket): void;
  /** Changes entries; answers the keys whose content changed. */
  change(cluster: string, change: BundleChange): readonly string[];
  /** Makes these entries the whole bundle, except keys in `keep` (objects whose new version was refused). */
  replace(cluster: string, entries: readonly BundleEntry[], keep?: ReadonlySet<string>): readonly string[];
  /** The book is the whole bundle from now on: pods may be told. */
  known(cluster: string): void;
  /** The live bundle, for the boot copy. */
  book(cluster: string): BundleBook;
  /** Asks the cluster's pods how they are, soon. */
  look(cluster: string): void;
  /** The cluster is gone. */
  forget(cluster: string): void;
  state(cluster: string): ClusterPushState;
  progress(cluster: string): ClusterProgress;
  /** What pods said about the generation of an object whose entry is `key`, for its `Synced` condition. */
  acknowledgement(cluster: string, question: SyncedQuestion): Acknowledgement;
  /** Hears of answers; returns how to stop. */
  onChange(listener: ClusterListener): () => void;
}

export function createPusher(options: PusherOptions): Pusher {
  const { admin, clock, random, observe, concurrency = 32 } = options;
  const times = { ...PUSH_TIMES, ...options.times };
  const fence = new PushFence(options.leadership);
  const shared: PushShared = { admin, fence, clock, random, observe, healthy: new Gate(concurrency), failing: new Gate(4), times };
  const clusters = new Map<string, ClusterPusher>();
  const listeners = new Set<ClusterListener>();
  let isStarted = false;

  const of = (name: string): ClusterPusher => {
    let cluster = clusters.get(name);
    if (!cluster) {
      cluster = new ClusterPusher(name, shared, (...told) => {
        for (const listener of listeners) listener(...told);
      });
      clusters.set(name, cluster);
      if (isStarted) cluster.start();
    }
    return cluster;
  };

  return {
    start() {
      isStarted = true;
      for (const cluster of clusters.values()) cluster.start();
    },
    stop() {
      isStarted = false;
      for (const cluster of clusters.values()) cluster.stop();
    },
    setAccess: (name, access) => of(name).setAccess(access),
    setPods: (name, pods) => of(name).setPods(pods),
    load: (name, bucket) => of(name).load(bucket),
    change: (name, change) => of(name).change(change),
    replace(name, entries, keep) {
      const cluster = of(name);
      const keys = cluster.changed(cluster.book.replace(entries, keep));
      cluster.known();
      return keys;
    },
    known: (name) => of(name).known(),
    book: (name) => of(name).book,
    look: (name) => clusters.get(name)?.look(),
    forget(name) {
      clusters.get(name)?.stop();
      clusters.delete(name);
    },
    state: (name) => of(name).state(),
    progress: (name) => of(name).progress(),
    acknowledgement: (name, question) => clusters.get(name)?.acknowledgement(question) ?? { kind: "nobody" },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
