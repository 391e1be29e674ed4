// Why: keeps a store of one kind equal to the API server's, whatever happens to the connection between them: a list in
// pages, then a watch, resumed where it stopped, and a new list when it cannot be. It must never read a list that failed
// or is unfinished as deletions, and never lose a change without a later one that covers it.
import { backoffDelayMs, WATCH_BACKOFF } from "../loop/backoff.ts";
import { type Clock, type Random, sleep, systemClock } from "../loop/clock.ts";
import type { Kind } from "../loop/kinds.ts";
import { isExpired, KubeError } from "../loop/kube-error.ts";
import { keyOf, type Scope, type Store, type WatchEvent, type WatchHandler } from "../loop/ports.ts";
import type { KubeObject } from "../plan/object.ts";
import { readPages } from "./pages.ts";
import { collectionPath, scopeQuery, withQuery } from "./paths.ts";
import { type Indexer, MemoryStore } from "./store.ts";
import type { Transport } from "./transport.ts";
import { decodeWatchLine } from "./watch-event.ts";
import { Watchdog } from "./watchdog.ts";

export type ReflectorMetrics = {
  /** A watch ended: `timeout` = the server's planned end, `expired` = 410, `silent` = the watchdog, `error` = all else. */
  watchEnded(kind: Kind, why: "timeout" | "expired" | "silent" | "error"): void;
  listed(kind: Kind, items: number, seconds: number): void;
  listFailed(kind: Kind): void;
};

export type ReflectorOptions<T> = {
  readonly transport: Transport;
  readonly kind: Kind;
  readonly scope?: Scope;
  /** What is kept of an object; default everything. `stripManagedFields` is one. `initial`: it is of the first list. `previous`: what was kept before. */
  readonly transform?: (object: KubeObject, known: { readonly initial: boolean; readonly previous: T | undefined }) => T;
  readonly indexers?: Readonly<Record<string, Indexer<T>>>;
  /** A store that others fill too, each with a namespace of its own; `indexers` are its maker's then. */
  readonly store?: MemoryStore<T>;
  readonly onEvent?: WatchHandler<T>;
  /** Each failed list or watch, before its back-off. For the log. */
  readonly onError?: (error: KubeError, retryInMs: number) => void;
  readonly metrics?: ReflectorMetrics;
  readonly clock?: Clock;
  readonly random?: Random;
  /** No event and no bookmark for so long = the connection is dead; default 90 s (bookmarks come about every 60 s). */
  readonly silenceMs?: number;
  /** The server ends each watch after a random time in here; default 5 to 10 min. */
  readonly watchSeconds?: { readonly min: number; readonly max: number };
};

export interface Reflector<T> {
  readonly store: Store<T>;
  /** Resolves after the first complete list; false when stopped before. */
  readonly synced: Promise<boolean>;
  /** Wall clock in milliseconds: when a list ended or a watch brought anything last; when it was started, before the first. */
  heardMs(): number;
  /** Ends everything; no event is delivered after it was called. Resolves when nothing runs any more. */
  stop(): Promise<void>;
}

/** A transform that drops `metadata.managedFields`, often half of an object. */
export function stripManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Starts at once and runs until stopped. */
export function startReflector<T = KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
  const run = new ReflectorRun(options);
  const running = run.run();
  return {
    store: run.store,
    synced: run.synced,
    heardMs: () => run.heardMs,
    async stop() {
      run.stop();
      await running;
    },
  };
}

class ReflectorRun<T> {
  readonly store: MemoryStore<T>;
  readonly synced: Promise<boolean>;
  heardMs: number;
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stopped = new AbortController();
  #resolveSynced: (synced: boolean) => void;
  /** Where to watch from; undefined = list first. */
  #resourceVersion: string | undefined;
  #hasListed = false;
  #failures = 0;
  /** 410s since a watch last said anything: a list that works does not end them. */
  #expirations = 0;
  /** Watches in a row that said nothing at all. */
  #silences = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.heardMs = this.#clock.wallMs();
    this.store = options.store ?? new MemoryStore<T>(options.indexers);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.synced = promise;
    this.#resolveSynced = resolve;
  }

  stop(): void {
    this.#stopped.abort();
    this.#resolveSynced(false);
  }

  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) this.#resourceVersion = await this.#list();
        else await this.#watch(this.#resourceVersion);
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        await this.#recover(error);
      }
    }
  }

  /** Decides between resuming and a new list, and waits. A first 410 lists at once; the next ones back off like the rest. */
  async #recover(error: unknown): Promise<void> {
    const known = error instanceof KubeError ? error : new KubeError({ status: 0, reason: "Internal", message: String(error) }, error);
    // What we do not understand may have been a change: only a list is safe then.
    if (isExpired(known) || known.reason === "Malformed" || known.reason === "Internal") this.#resourceVersion = undefined;
    // After an etcd restore our version lies in the future: watches from there are silent, or refused as too large.
    if (this.#silences >= 2 || known.causes.some((cause) => cause.reason === "ResourceVersionTooLarge")) this.#resourceVersion = undefined;
    this.#failures++;
    if (isExpired(known)) this.#expirations++;
    const backoffMs =
      isExpired(known) && this.#expirations === 1
        ? 0
        : backoffDelayMs(WATCH_BACKOFF, Math.max(this.#failures, this.#expirations), this.#random);
    const delayMs = Math.max(backoffMs, (known.retryAfterSeconds ?? 0) * 1000);
    this.#options.onError?.(known, delayMs);
    if (delayMs > 0) await sleep(this.#clock, delayMs, this.#stopped.signal);
  }

  /** Of a store that is shared, the keys of our namespace. */
  #isOurs(key: string): boolean {
    const { store, scope } = this.#options;
    return store === undefined || scope?.namespace === undefined || key.startsWith(`${scope.namespace}/`);
  }

  async #list(): Promise<string> {
    const { transport, kind, metrics } = this.#options;
    const startedMs = this.#clock.monotonicMs();
    const isInitial = !this.#hasListed;
    let seen = new Set<string>();
    const options = { scope: this.#options.scope ?? {}, signal: this.#stopped.signal, clock: this.#clock, random: this.#random };
    let resourceVersion: string;
    try {
      resourceVersion = await readPages<KubeObject>(transport, kind, options, {
        page: (page) => {
          if (this.#stopped.signal.aborted) return;
          for (const object of page.items) {
            seen.add(keyOf(object));
            this.#upsert(object, isInitial);
          }
        },
        restarted: () => {
          seen = new Set();
        },
      });
    } catch (error) {
      metrics?.listFailed(kind);
      throw error;
    }
    if (this.#stopped.signal.aborted) return resourceVersion;
    // Only here, after the last page of one snapshot, does absence mean deletion.
    for (const key of [...this.store.keys()]) if (!seen.has(key) && this.#isOurs(key)) this.#remove(key, undefined);
    metrics?.listed(kind, seen.size, (this.#clock.monotonicMs() - startedMs) / 1000);
    this.heardMs = this.#clock.wallMs();
    this.#failures = 0;
    this.#silences = 0;
    if (isInitial) this.store.markSynced();
    this.#hasListed = true;
    this.#resolveSynced(true);
    return resourceVersion;
  }

  async #watch(from: string): Promise<void> {
    const { transport, kind, metrics, scope = {}, watchSeconds = { min: 300, max: 600 } } = this.#options;
    const timeoutSeconds = Math.round(watchSeconds.min + this.#random() * (watchSeconds.max - watchSeconds.min));
    const query = { ...scopeQuery(scope), watch: true, allowWatchBookmarks: true, resourceVersion: from, timeoutSeconds };
    const hangUp = new AbortController();
    const dog = new Watchdog(this.#clock, this.#options.silenceMs ?? 90_000, hangUp);
    let failure: KubeError | undefined;
    const onStop = () => hangUp.abort();
    this.#stopped.signal.addEventListener("abort", onStop, { once: true });
    const startedMs = this.#clock.monotonicMs();
    try {
      const call = { method: "GET", path: withQuery(collectionPath(kind, scope.namespace), query), signal: hangUp.signal } as const;
      const onLine = (line: string) => {
        if (failure || this.#stopped.signal.aborted) return;
        dog.heard();
        failure = this.#onLine(line);
        if (failure) hangUp.abort();
      };
      await transport.stream(call, onLine, () => dog.heard());
    } catch (error) {
      const why = failure ?? (dog.barked ? silence(kind, error) : error);
      if (dog.barked) this.#silences++;
      metrics?.watchEnded(kind, isExpired(why) ? "expired" : dog.barked ? "silent" : "error");
      throw why;
    } finally {
      dog.stop();
      this.#stopped.signal.removeEventListener("abort", onStop);
    }
    if (failure) {
      metrics?.watchEnded(kind, isExpired(failure) ? "expired" : "error");
      throw failure;
    }
    metrics?.watchEnded(kind, "timeout");
    // A server that ends every watch at once (a proxy with a short timeout) must not be asked in a tight loop.
    if (this.#clock.monotonicMs() - startedMs < 1000)
      await sleep(this.#clock, backoffDelayMs(WATCH_BACKOFF, 2, this.#random), this.#stopped.signal);
  }

  /** Takes one line; an answer is the reason to end this watch. */
  #onLine(line: string): KubeError | undefined {
    const event = decodeWatchLine(this.#options.kind, line);
    if (event.type === "ERROR") return event.error;
    this.heardMs = this.#clock.wallMs();
    this.#failures = 0;
    this.#expirations = 0;
    this.#silences = 0;
    if (event.type === "BOOKMARK") {
      this.#resourceVersion = event.resourceVersion;
      return undefined;
    }
    if (event.type === "DELETED") this.#remove(keyOf(event.object), event.object);
    else this.#upsert(event.object, false);
    this.#resourceVersion = event.object.metadata.resourceVersion;
    return undefined;
  }

  #upsert(object: KubeObject, initial: boolean): void {
    const key = keyOf(object);
    const { uid = "", resourceVersion = "" } = object.metadata;
    let before = this.store.entry(key);
    if (before?.resourceVersion === resourceVersion && before.uid === uid) return;
    if (before && before.uid !== uid) {
      this.#remove(key, undefined); // deleted and made anew while nobody watched
      before = undefined;
    }
    const value = this.#transformed(object, { initial, previous: before?.value });
    this.store.set(key, { uid, resourceVersion, value });
    if (before) this.#tell({ type: "modified", key, object: value, previous: before.value, initial: false });
    else this.#tell({ type: "added", key, object: value, initial });
  }

  #remove(key: string, last: KubeObject | undefined): void {
    const before = this.store.entry(key);
    if (!before) return;
    this.store.delete(key);
    this.#tell({
      type: "deleted",
      key,
      object: last ? this.#transformed(last, { initial: false, previous: before.value }) : before.value,
      initial: false,
    });
  }

  /** A handler that throws is a bug of ours; the watch and the store must survive it. */
  #tell(event: WatchEvent<T>): void {
    try {
      this.#options.onEvent?.(event);
    } catch (error) {
      const { kind, onError } = this.#options;
      onError?.(
        new KubeError({ status: 0, reason: "Internal", message: `handler of ${kind.resource} failed: ${String(error)}` }, error),
        0,
      );
    }
  }

  #transformed(object: KubeObject, known: { readonly initial: boolean; readonly previous: T | undefined }): T {
    // Without a transform, T is KubeObject by the default of startReflector.
    return this.#options.transform ? this.#options.transform(object, known) : (object as unknown as T);
  }
}

const silence = (kind: Kind, cause: unknown): KubeError =>
  new KubeError({ status: 0, reason: "Timeout", message: `watch of ${kind.resource}: no event and no bookmark in time` }, cause);
