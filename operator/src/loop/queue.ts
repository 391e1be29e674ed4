// Why: events are only hints. The queue holds keys, never objects; a key is in it once, is never worked on twice at the
// same time, and comes back after what happened while it was being worked on. It must never lose a key, except on
// shutdown, where every key is rebuilt by the next process's first list.
import { type BackoffLimits, KeyedBackoff, QUEUE_BACKOFF } from "./backoff.ts";
import type { Cancel, Clock, Random } from "./clock.ts";

/** Higher goes first; equal priorities are first in, first out. A user's edit overtakes a resync, and both the first list. */
export const PRIORITY = { edit: 0, resync: -50, initial: -100 } as const;

/** Workqueue metrics; all durations in seconds. Each is called at the moment it describes. */
export type QueueMetrics = {
  depth(keys: number): void;
  added(): void;
  /** From being added to being handed to a worker. */
  waited(seconds: number): void;
  worked(seconds: number, key: string): void;
  retried(): void;
};

/**
 * Keys of one group (a cluster) are worked on `most(group)` at a time; 0 = none for now, tell the queue by `serve` when that ends.
 * Groups take turns, so that 100,000 keys of one do not delay another's. Keys without a group (`""`) are one of their own.
 */
export type QueueGroups<K> = { readonly of: (key: K) => string; readonly most: (group: string) => number };

export type QueueOptions<K> = {
  readonly groups?: QueueGroups<K>;
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff?: BackoffLimits;
  readonly metrics?: QueueMetrics;
};

export type QueueItem<K> = { readonly key: K; readonly priority: number };

type Ready = { priority: number; readonly group: string; readonly sinceMs: number };
type Working = { readonly group: string; readonly startedMs: number };
type Delayed = { readonly dueMs: number; readonly priority: number; readonly cancel: Cancel };

export class WorkQueue<K extends string> {
  readonly #clock: Clock;
  readonly #backoff: KeyedBackoff<K>;
  readonly #metrics: QueueMetrics | undefined;
  readonly #groups: QueueGroups<K>;
  /** Keys ready to be taken; `#lanes` has the same keys in order, per priority and group, with stale entries skipped on take. */
  readonly #ready = new Map<K, Ready>();
  /** Groups in the order of their turns. */
  readonly #lanes = new Map<number, Map<string, Lane<K>>>();
  readonly #delayed = new Map<K, Delayed>();
  readonly #working = new Map<K, Working>();
  /** How many keys of a group are being worked on. */
  readonly #busy = new Map<string, number>();
  /** Keys added while they were being worked on. */
  readonly #dirty = new Map<K, number>();
  readonly #takers: ((item: QueueItem<K> | undefined) => void)[] = [];
  readonly #idlers: (() => void)[] = [];
  #closed = false;

  constructor(options: QueueOptions<K>) {
    this.#clock = options.clock;
    this.#backoff = new KeyedBackoff<K>(options.backoff ?? QUEUE_BACKOFF, options.random);
    this.#metrics = options.metrics;
    this.#groups = options.groups ?? { of: () => "", most: () => Number.POSITIVE_INFINITY };
  }

  /** Keys ready to be taken. */
  get depth(): number {
    return this.#ready.size;
  }

  /** Keys waiting for a time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  get working(): number {
    return this.#working.size;
  }

  /** Keys that belong to somebody now, and for how long they have. */
  *underWay(): Generator<{ readonly key: K; readonly forMs: number }> {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { startedMs }] of this.#working) yield { key, forMs: nowMs - startedMs };
  }

  /** For how long somebody has had `key`, in milliseconds; 0 when nobody has. */
  heldMs(key: K): number {
    const working = this.#working.get(key);
    return working === undefined ? 0 : this.#clock.monotonicMs() - working.startedMs;
  }

  /** Makes `key` ready now. A key that waits in any form is not added twice; the higher priority wins. */
  add(key: K, priority: number = PRIORITY.edit): void {
    if (this.#closed) return;
    const delayed = this.#delayed.get(key);
    if (delayed) {
      delayed.cancel();
      this.#delayed.delete(key);
    }
    if (this.#working.has(key)) {
      this.#dirty.set(key, Math.max(this.#dirty.get(key) ?? priority, priority));
      return;
    }
    this.#enqueue(key, priority);
  }

  /** Makes `key` ready in `delayMs`; the earlier of two times wins, and an `add` in between replaces both. */
  addAfter(key: K, delayMs: number, priority: number = PRIORITY.resync): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key, priority);
      return;
    }
    if (this.#ready.has(key)) return; // comes sooner anyway, and reconcile reads the whole state
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const before = this.#delayed.get(key);
    if (before && before.dueMs <= dueMs) return;
    before?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key, priority);
    });
    this.#delayed.set(key, { dueMs, priority, cancel });
  }

  /** Counts a failure of `key` and makes it ready after its back-off, at least `atLeastMs`; returns that delay in milliseconds. */
  retry(key: K, priority: number = PRIORITY.resync, atLeastMs = 0): number {
    const delayMs = Math.max(atLeastMs, this.#backoff.nextDelayMs(key));
    this.#metrics?.retried();
    this.addAfter(key, delayMs, priority);
    return delayMs;
  }

  /** Forgets the failures of `key`. */
  forget(key: K): void {
    this.#backoff.reset(key);
  }

  failures(key: K): number {
    return this.#backoff.failures(key);
  }

  /** The next key, which then belongs to the caller until `done`; undefined once the queue is shut down. */
  take(): Promise<QueueItem<K> | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const item = this.#next();
    if (item) return Promise.resolve(item);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** Gives `key` back; it is ready again at once if it was added meanwhile. */
  done(key: K): void {
    const working = this.#working.get(key);
    if (working === undefined) return;
    this.#working.delete(key);
    const busy = (this.#busy.get(working.group) ?? 1) - 1;
    if (busy === 0) this.#busy.delete(working.group);
    else this.#busy.set(working.group, busy);
    this.#metrics?.worked((this.#clock.monotonicMs() - working.startedMs) / 1000, key);
    const dirty = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (dirty !== undefined) this.add(key, dirty);
    this.serve();
    if (this.#working.size === 0) for (const idle of this.#idlers.splice(0)) idle();
  }

  /** Hands out what may be taken now: the limit of a group may have changed. */
  serve(): void {
    while (this.#takers.length > 0) {
      const item = this.#next();
      if (!item) return;
      this.#takers.shift()?.(item);
    }
  }

  /** Drops all waiting keys, answers waiting takers, and resolves when the keys being worked on are done. */
  shutDown(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#dirty.clear();
    this.#ready.clear();
    this.#lanes.clear();
    this.#metrics?.depth(0);
    for (const taker of this.#takers.splice(0)) taker(undefined);
    if (this.#working.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  #enqueue(key: K, priority: number): void {
    const waiting = this.#ready.get(key);
    if (waiting) {
      if (priority <= waiting.priority) return;
      waiting.priority = priority; // its entry in the old lane is stale now
    } else {
      this.#ready.set(key, { priority, group: this.#groups.of(key), sinceMs: this.#clock.monotonicMs() });
      this.#metrics?.added();
    }
    this.#laneOf(priority, this.#ready.get(key)?.group ?? "").push(key);
    this.#metrics?.depth(this.#ready.size);
    this.serve();
  }

  #laneOf(priority: number, group: string): Lane<K> {
    const lanes = this.#lanes.get(priority) ?? new Map<string, Lane<K>>();
    this.#lanes.set(priority, lanes);
    const lane = lanes.get(group) ?? new Lane<K>();
    lanes.set(group, lane);
    return lane;
  }

  #next(): QueueItem<K> | undefined {
    for (const priority of [...this.#lanes.keys()].sort((a, b) => b - a)) {
      const lanes = this.#lanes.get(priority) ?? new Map<string, Lane<K>>();
      for (const [group, lane] of [...lanes]) {
        if ((this.#busy.get(group) ?? 0) >= this.#groups.most(group)) continue;
        lanes.delete(group);
        for (let key = lane.shift(); key !== undefined; key = lane.shift()) {
          const waiting = this.#ready.get(key);
          if (waiting?.priority !== priority || waiting.group !== group) continue;
          lanes.set(group, lane); // its next turn comes after all others'
          return this.#start(key, waiting);
        }
      }
      if (lanes.size === 0) this.#lanes.delete(priority);
    }
    return undefined;
  }

  #start(key: K, { priority, group, sinceMs }: Ready): QueueItem<K> {
    const nowMs = this.#clock.monotonicMs();
    this.#ready.delete(key);
    this.#working.set(key, { group, startedMs: nowMs });
    this.#busy.set(group, (this.#busy.get(group) ?? 0) + 1);
    this.#metrics?.depth(this.#ready.size);
    this.#metrics?.waited((nowMs - sinceMs) / 1000);
    return { key, priority };
  }
}

/** First in, first out with amortised O(1) `shift` (an array's own is O(n), which hurts at 100,000 keys). */
class Lane<K> {
  #items: K[] = [];
  #head = 0;

  push(item: K): void {
    this.#items.push(item);
  }

  shift(): K | undefined {
    const item = this.#items[this.#head];
    if (this.#head < this.#items.length) this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
