// Why: `kubectl describe` is where people look first. Events are best effort: repeats become a count, floods are cut, and
// a failure is counted but never reaches the reconcile that wanted to tell something. No secret may be put into a note.
import type { Clock } from "../loop/clock.ts";
import { apiVersionOf, KINDS } from "../loop/kinds.ts";
import type { EventNote, EventRecorder, KubeApi } from "../loop/ports.ts";

export type EventOptions = {
  readonly api: Pick<KubeApi, "create" | "mergePatch">;
  readonly clock: Clock;
  /** `reportingController`, e.g. `nexus.dev/operator`. */
  readonly controller: string;
  /** `reportingInstance`: the pod. */
  readonly instance: string;
  readonly onError?: (error: unknown) => void;
};

/** The same note within this time is one event with a count. */
const SERIES_MS = 600_000;
/** A series is written again at most so often. */
const SERIES_WRITE_MS = 30_000;
/** Per object: a burst, then one per minute. */
const BURST = 10;
const REFILL_MS = 60_000;
const MAX_TRACKED = 2_000;
const NOTE_BYTES = 1024;

type Series = {
  readonly name: string;
  readonly namespace: string;
  count: number;
  startedMs: number;
  writtenMs: number;
  ready: Promise<unknown>;
};
type Bucket = { tokens: number; atMs: number };

export const createEventRecorder = (options: EventOptions): EventRecorder => new Recorder(options);

class Recorder implements EventRecorder {
  readonly #options: EventOptions;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #inFlight = new Set<Promise<unknown>>();
  #sequence = 0;

  constructor(options: EventOptions) {
    this.#options = options;
  }

  record(note: EventNote): void {
    const nowMs = this.#options.clock.monotonicMs();
    const { uid = "", name } = note.regarding.metadata;
    const key = JSON.stringify([uid || name, note.type, note.reason, note.action, note.note]);
    const series = this.#series.get(key);
    if (series && nowMs - series.startedMs < SERIES_MS) {
      series.count++;
      if (nowMs - series.writtenMs < SERIES_WRITE_MS) return;
      series.writtenMs = nowMs;
      this.#track(series.ready.then(() => this.#repeat(series)));
      return;
    }
    if (!this.#take(uid || name, nowMs)) return;
    const body = this.#event(note, nowMs);
    const ready = this.#options.api.create(KINDS.Event, body, { manager: "nexus-operator" }).catch((error: unknown) => {
      this.#series.delete(key); // the next one tries anew
      throw error;
    });
    const { name: eventName, namespace } = body.metadata;
    bounded(this.#series, key, { name: eventName, namespace, count: 1, startedMs: nowMs, writtenMs: nowMs, ready });
    this.#track(ready);
  }

  async flush(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all([...this.#inFlight]);
  }

  async #repeat(series: Series): Promise<void> {
    const lastObservedTime = this.#now();
    const patch = { series: { count: series.count, lastObservedTime } };
    const { name, namespace } = series;
    await this.#options.api.mergePatch({ kind: KINDS.Event, namespace, name }, patch, { manager: "nexus-operator" });
  }

  #event(note: EventNote, nowMs: number) {
    const { apiVersion, kind, metadata } = note.regarding;
    const namespace = metadata.namespace ?? "default"; // where events about cluster-scoped objects live
    const unique = `${Math.floor(this.#options.clock.wallMs()).toString(16)}${(++this.#sequence).toString(16)}${Math.floor(nowMs).toString(16)}`;
    return {
      apiVersion: apiVersionOf(KINDS.Event),
      kind: "Event",
      metadata: { name: `${metadata.name.slice(0, 200)}.${unique}`, namespace },
      eventTime: this.#now(),
      type: note.type,
      reason: note.reason,
      action: note.action,
      note: cut(note.note),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      regarding: {
        apiVersion,
        kind,
        name: metadata.name,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
        ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
      },
    };
  }

  #take(key: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, atMs: nowMs };
    const tokens = Math.min(BURST, bucket.tokens + (nowMs - bucket.atMs) / REFILL_MS);
    const isAllowed = tokens >= 1;
    bounded(this.#buckets, key, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs });
    return isAllowed;
  }

  #track(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error) => this.#options.onError?.(error),
    );
    this.#inFlight.add(settled);
    void settled.finally(() => this.#inFlight.delete(settled));
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString().replace(/Z$/, "000Z");
  }
}

/** Sets a member as the newest and drops the oldest beyond the limit. */
function bounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= MAX_TRACKED) break;
    map.delete(oldest);
  }
}

/** At most 1 KiB of UTF-8, the API server's limit, without half a character at the end. */
const cut = (note: string): string =>
  Buffer.byteLength(note) <= NOTE_BYTES
    ? note
    : new TextDecoder().decode(Buffer.from(note).subarray(0, NOTE_BYTES - 3)).replace(/\uFFFD$/, "");
