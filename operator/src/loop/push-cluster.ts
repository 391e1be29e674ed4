// Why: one cluster's pods, bundle and latches belong together: an answer of a pod moves the `Synced` verdicts of objects.
// It tells listeners which verdicts moved; it must never tell of objects whose verdict stayed.
import { BUCKET_COUNT } from "@nexus/protocol/bundle.ts";
import { ACKNOWLEDGE_MS, type Acknowledgement } from "../status/synced.ts";
import type { StoredBucket } from "./boot-bucket.ts";
import type { Cancel } from "./clock.ts";
import { BundleBook, type BundleChange, bucketOfKey } from "./push-book.ts";
import { Gate } from "./push-gate.ts";
import { PodPusher, type PushShared } from "./push-pod.ts";
import type { AdminAccess, PushPod } from "./push-ports.ts";
import { acknowledgementOf, type Latch, type LatchView, lateAtMs, openLatch, stepLatch, verdictOf } from "./synced.ts";

/** An object as its status knows it. `key`: `entryKey`. `live`: its `Synced` condition now. */
export type SyncedQuestion = {
  readonly key: string;
  readonly uid: string;
  readonly generation: number;
  readonly live?: { readonly status: string; readonly observedGeneration?: number } | undefined;
};

export type PodState = {
  readonly uid: string;
  readonly name: string;
  readonly ready: boolean;
  /** Digest of its bundle as far as known. */
  readonly digest: string | undefined;
  readonly synced: boolean;
  /** Keys of entries it could not use. */
  readonly rejected: readonly string[];
  /** Why it was not told, after the last try. */
  readonly failure: unknown;
};

export type ClusterPushState = {
  readonly digest: string;
  /** Ready pods that hold this digest, and ready pods. */
  readonly podsSynced: number;
  readonly podsTotal: number;
  readonly pods: readonly PodState[];
};

/** The same in numbers alone. `behindMs`: age of the oldest change that a ready pod has not acknowledged; 0 when all have everything. */
export type ClusterProgress = { readonly podsSynced: number; readonly podsTotal: number; readonly behindMs: number };

/** Told after something moved: `keys` are those whose verdict moved, the state may have moved as well. */
export type ClusterListener = (cluster: string, keys: ReadonlySet<string>) => void;

/** `told`: the verdict listeners heard of last. */
type Open = { readonly latch: Latch; readonly told: string };
/** Requests to one cluster's pods at once. */
const PLACES = 10;
const ALL_BUCKETS: readonly number[] = Array.from({ length: BUCKET_COUNT }, (_, index) => index);

export class ClusterPusher {
  readonly book = new BundleBook();
  readonly #name: string;
  readonly #shared: PushShared;
  readonly #tell: ClusterListener;
  readonly #pods = new Map<string, PodPusher>();
  /** By bucket, because an answer concerns some buckets only. */
  readonly #latches: readonly Map<string, Open>[] = Array.from({ length: BUCKET_COUNT }, () => new Map());
  /** However many pods of one cluster do not answer, others find places. */
  readonly #gate = new Gate(PLACES);
  #access: AdminAccess | undefined;
  #isStarted = false;
  /** Until somebody said what the whole bundle is, an empty book means nothing: pushing it would wipe the servers. */
  #isKnown = false;
  #lateTimer: Cancel | undefined;
  #isTelling = false;
  #moved = new Set<string>();

  constructor(name: string, shared: PushShared, tell: ClusterListener) {
    this.#name = name;
    this.#shared = shared;
    this.#tell = tell;
  }

  start(): void {
    this.#isStarted = true;
    this.#kickAll(true);
  }

  stop(): void {
    for (const pod of this.#pods.values()) pod.stop();
    this.#lateTimer?.();
  }

  setAccess(access: AdminAccess): void {
    const before = this.#access;
    this.#access = access;
    const isSame = before?.token === access.token && before.caPem === access.caPem && before.serverName === access.serverName;
    if (!isSame) this.#kickAll(true);
  }

  setPods(pods: readonly PushPod[]): void {
    const wanted = new Map(pods.filter((pod) => pod.ip !== "").map((pod) => [pod.uid, pod]));
    for (const [uid, pusher] of this.#pods) {
      if (wanted.has(uid)) continue;
      pusher.stop();
      this.#pods.delete(uid);
    }
    for (const [uid, pod] of wanted) {
      const pusher = this.#pods.get(uid);
      if (pusher) pusher.update(pod);
      else this.#add(pod);
    }
    this.#answered(ALL_BUCKETS);
  }

  /** The book is the whole bundle from now on: pods may be told. */
  known(): void {
    if (this.#isKnown) return;
    this.#isKnown = true;
    const view = this.#view();
    for (const index of ALL_BUCKETS) {
      for (const [key, mark] of this.book.bucket(index).marks()) {
        if (!mark.acknowledged && !this.#latchesOf(index).has(key)) this.#keep(index, key, openLatch(view(index, key)), view(index, key));
      }
    }
    this.#armLateTimer();
    this.#kickAll(true);
  }

  /** Takes over what an earlier process left; nothing is pending by that, and nothing is pushed: pods may know better. */
  load(bucket: StoredBucket): void {
    this.book.fill(bucket);
  }

  /** Answers the keys whose content changed. */
  changed(changes: ReadonlyMap<number, readonly string[]>): readonly string[] {
    const keys = [...changes.values()].flat();
    const view = this.#view();
    for (const [index, changed] of changes) {
      for (const key of changed) {
        const mark = this.book.mark(key);
        // Nobody is awaited before somebody is told.
        if (mark && !mark.acknowledged && this.#isKnown) this.#keep(index, key, openLatch(view(index, key)), view(index, key));
        else this.#latchesOf(index).delete(key);
      }
    }
    if (keys.length === 0) return keys;
    this.#armLateTimer();
    for (const pod of this.#pods.values()) pod.changed();
    this.#kickAll(false);
    this.#notify();
    return keys;
  }

  change(change: BundleChange): readonly string[] {
    return this.changed(this.book.change(change));
  }

  /** Asks pods that answer how they are, before they would be asked anyway. */
  look(): void {
    for (const pod of this.#pods.values()) if (pod.failure() === undefined) pod.compare();
  }

  acknowledgement({ key, uid, generation, live }: SyncedQuestion): Acknowledgement {
    const mark = this.book.mark(key);
    if (mark?.uid !== uid || mark.generation !== generation) {
      const view = this.#view()(bucketOfKey(key), key);
      return acknowledgementOf(openLatch(view), view); // not in the bundle yet: everybody is awaited
    }
    if (live?.status === "True" && live.observedGeneration === generation) mark.acknowledged = true;
    const index = bucketOfKey(key);
    const latches = this.#latchesOf(index);
    const view = this.#view()(index, key);
    const stepped = mark.acknowledged ? "acknowledged" : stepLatch(latches.get(key)?.latch ?? openLatch(view), view);
    if (stepped === "acknowledged") {
      mark.acknowledged = true;
      latches.delete(key);
      return { kind: "all" };
    }
    this.#keep(index, key, stepped, view);
    this.#armLateTimer();
    return acknowledgementOf(stepped, view);
  }

  state(): ClusterPushState {
    const pods = [...this.#pods.values()].map((pusher) => ({
      uid: pusher.pod.uid,
      name: pusher.pod.name,
      ready: pusher.pod.ready,
      digest: pusher.digest(),
      synced: pusher.isSynced(),
      rejected: pusher.rejected(),
      failure: pusher.failure(),
    }));
    const ready = pods.filter((pod) => pod.ready);
    const synced = ready.filter((pod) => pod.synced);
    return { digest: this.book.digest(), podsSynced: synced.length, podsTotal: ready.length, pods };
  }

  /** Makes nothing: it is asked for at every scrape, for every cluster. */
  progress(): ClusterProgress {
    let [podsSynced, podsTotal, behindMs] = [0, 0, 0];
    for (const pusher of this.#pods.values()) {
      if (!pusher.pod.ready) continue;
      podsTotal++;
      if (pusher.isSynced()) podsSynced++;
      behindMs = Math.max(behindMs, pusher.behindMs());
    }
    return { podsSynced, podsTotal, behindMs };
  }

  #add(pod: PushPod): void {
    const cluster = {
      name: this.#name,
      book: this.book,
      gate: this.#gate,
      access: () => (this.#isKnown ? this.#access : undefined),
      onAnswer: (buckets: Iterable<number>) => this.#answered(buckets),
    };
    const pusher = new PodPusher(pod, cluster, this.#shared);
    this.#pods.set(pod.uid, pusher);
    if (this.#isStarted && this.#isKnown) pusher.kick(true);
  }

  #kickAll(urgent: boolean): void {
    if (this.#isStarted && this.#isKnown) for (const pod of this.#pods.values()) pod.kick(urgent);
  }

  #answered(buckets: Iterable<number>): void {
    const view = this.#view();
    for (const index of buckets) this.#step(index, view);
    this.#armLateTimer();
    this.#notify();
  }

  #latchesOf(index: number): Map<string, Open> {
    const latches = this.#latches[index];
    if (!latches) throw new RangeError(`no bucket ${index}`);
    return latches;
  }

  #keep(index: number, key: string, latch: Latch, view: LatchView): void {
    this.#latchesOf(index).set(key, { latch, told: verdictOf(latch, view) });
  }

  /** What latches see: ready pods and their word on a key. */
  #view(): (index: number, key: string) => LatchView {
    const nowMs = this.#shared.clock.monotonicMs();
    const ready = new Map<string, { name: string }>();
    for (const [uid, { pod }] of this.#pods) if (pod.ready) ready.set(uid, { name: pod.name });
    return (index, key) => {
      const mark = this.book.bucket(index).mark(key);
      return { nowMs, ready, answer: (uid) => (mark && this.#pods.get(uid)?.answer(key, index, mark)) ?? "silent" };
    };
  }

  #step(index: number, view: (index: number, key: string) => LatchView): void {
    for (const [key, { latch, told }] of this.#latchesOf(index)) {
      const seen = view(index, key);
      const mark = this.book.bucket(index).mark(key);
      const stepped = mark ? stepLatch(latch, seen) : undefined;
      if (stepped === undefined || stepped === "acknowledged") {
        if (mark) mark.acknowledged = true;
        this.#latchesOf(index).delete(key);
        this.#moved.add(key);
        continue;
      }
      const verdict = verdictOf(stepped, seen);
      if (stepped === latch && verdict === told) continue;
      this.#latchesOf(index).set(key, { latch: stepped, told: verdict });
      // The first pods to be told are no news: their answers are.
      if (verdict !== told && latch.awaited !== undefined) this.#moved.add(key);
    }
  }

  /** One timer for the latch that becomes late first. */
  #armLateTimer(): void {
    if (this.#lateTimer) return;
    const nowMs = this.#shared.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const latches of this.#latches) {
      for (const { latch } of latches.values()) {
        const atMs = lateAtMs(latch);
        if (atMs !== undefined && atMs > nowMs) nextMs = Math.min(nextMs, atMs);
        if (nextMs <= nowMs + ACKNOWLEDGE_MS / 2) break; // soon enough to look again
      }
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#lateTimer = this.#shared.clock.after(nextMs - nowMs, () => {
      this.#lateTimer = undefined;
      this.#answered(ALL_BUCKETS);
    });
  }

  /** Gathers what moved in this turn into one call. */
  #notify(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      const keys = this.#moved;
      this.#moved = new Set();
      this.#tell(this.#name, keys);
    });
  }
}
