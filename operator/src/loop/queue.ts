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
  worked(seconds: number): void;
  retried(): void;
};

export type QueueOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff?: BackoffLimits;
  readonly metrics?: QueueMetrics;
};

export type QueueItem<K> = { readonly key: K; readonly priority: number };

type Ready = { priority: number; readonly sinceMs: number };
type Delayed = { readonly dueMs: number; readonly priority: number; readonly cancel: Cancel };

export class WorkQueue<K extends string> {
  readonly #clock: Clock;
  readonly #backoff: KeyedBackoff<K>;
  readonly #metrics: QueueMetrics | undefined;
  /** Keys ready to be taken; `#lanes` has the same keys in order, per priority, with stale entries skipped on take. */
  readonly #ready = new Map<K, Ready>();
  readonly #lanes = new Map<number, Lane<K>>();
  readonly #delayed = new Map<K, Delayed>();
  readonly #working = new Map<K, number>();
  /** Keys added while they were being worked on. */
  readonly #dirty = new Map<K, number>();
  readonly #takers: ((item: QueueItem<K> | undefined) => void)[] = [];
  readonly #idlers: (() => void)[] = [];
  #closed = false;

  constructor(options: QueueOptions) {
    this.#clock = options.clock;
    this.#backoff = new KeyedBackoff<K>(options.backoff ?? QUEUE_BACKOFF, options.random);
    this.#metrics = options.metrics;
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
    const startedMs = this.#working.get(key);
    if (startedMs === undefined) return;
    this.#working.delete(key);
    this.#metrics?.worked((this.#clock.monotonicMs() - startedMs) / 1000);
    const dirty = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (dirty !== undefined) this.add(key, dirty);
    if (this.#working.size === 0) for (const idle of this.#idlers.splice(0)) idle();
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
      this.#ready.set(key, { priority, sinceMs: this.#clock.monotonicMs() });
      this.#metrics?.added();
    }
    let lane = this.#lanes.get(priority);
    if (!lane) {
      lane = new Lane<K>();
      this.#lanes.set(priority, lane);
    }
    lane.push(key);
    this.#metrics?.depth(this.#ready.size);
    const taker = this.#takers.shift();
    if (!taker) return;
    taker(this.#next());
  }

  #next(): QueueItem<K> | undefined {
    for (const priority of [...this.#lanes.keys()].sort((a, b) => b - a)) {
      const lane = this.#lanes.get(priority);
      for (let key = lane?.shift(); key !== undefined; key = lane?.shift()) {
        const waiting = this.#ready.get(key);
        if (waiting?.priority !== priority) continue;
        return this.#start(key, waiting);
      }
      this.#lanes.delete(priority);
    }
    return undefined;
  }

  #start(key: K, waiting: Ready): QueueItem<K> {
    const nowMs = this.#clock.monotonicMs();
    this.#ready.delete(key);
    this.#working.set(key, nowMs);
    this.#metrics?.depth(this.#ready.size);
    this.#metrics?.waited((nowMs - waiting.sinceMs) / 1000);
    return { key, priority: waiting.priority };
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
