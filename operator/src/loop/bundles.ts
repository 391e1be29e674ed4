// Why: collects what every object contributes to its cluster's bundle, and hands whole bundles to the pusher and the boot copy,
// gathered so that a burst of edits is one push. It must never publish before every object known at the start was looked at:
// a missing one would be read as a deletion.
import { type BundleEntry, entryKey } from "@nexus/protocol/bundle.ts";
import type { BootCopy, BootState } from "./boot.ts";
import { urgencyOf } from "./boot-urgency.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { SourceKey } from "./keys.ts";
import type { BundleBook } from "./push-book.ts";
import type { Pusher } from "./pusher.ts";

/** Changes within this time are one push. */
const GATHER_MS = 5;

export type BundlesOptions = {
  readonly pusher: Pick<Pusher, "setEntries" | "book" | "forget">;
  readonly clock: Clock;
  /** A bundle went out: these sources have news about themselves. */
  readonly onPublished: (cluster: string, sources: readonly SourceKey[]) => void;
};

type ClusterBundle = {
  readonly entries: Map<SourceKey, BundleEntry>;
  /** Sources whose present version cannot be used, by uid of the object: what pods have of them stays. */
  readonly kept: Map<SourceKey, string>;
  cluster: BundleEntry | undefined;
  /** Entries of the boot Secrets, for `kept` after a restart. */
  booted: readonly BundleEntry[];
  boot: BootCopy | undefined;
  isPublished: boolean;
  readonly news: Set<SourceKey>;
};

export class Bundles {
  readonly #options: BundlesOptions;
  readonly #clusters = new Map<string, ClusterBundle>();
  readonly #places = new Map<SourceKey, string>();
  readonly #unseen = new Set<SourceKey>();
  readonly #dirty = new Set<string>();
  #timer: Cancel | undefined;

  constructor(options: BundlesOptions) {
    this.#options = options;
  }

  /** Objects known at the start; nothing is published before each was `put`, `kept`, `removed` or `seen`. */
  expect(sources: Iterable<SourceKey>): void {
    for (const source of sources) this.#unseen.add(source);
  }

  /** A pass over `source` ended, in whatever way. */
  seen(source: SourceKey): void {
    if (this.#unseen.delete(source) && this.#unseen.size === 0) for (const cluster of this.#clusters.keys()) this.#touch(cluster);
  }

  /** The cluster can be published once its boot copy was read. */
  open(cluster: string, boot: BootCopy, booted: readonly BundleEntry[]): void {
    const bundle = this.#of(cluster);
    bundle.boot = boot;
    bundle.booted = booted;
    this.#touch(cluster);
  }

  isOpen(cluster: string): boolean {
    return this.#clusters.get(cluster)?.boot !== undefined;
  }

  isPublished(cluster: string): boolean {
    return this.#clusters.get(cluster)?.isPublished ?? false;
  }

  bootState(cluster: string): BootState | undefined {
    return this.#clusters.get(cluster)?.boot?.state();
  }

  /** The cluster's own entry. */
  putCluster(cluster: string, entry: BundleEntry): void {
    const bundle = this.#of(cluster);
    if (bundle.cluster?.digest === entry.digest && bundle.cluster.generation === entry.generation) return;
    bundle.cluster = entry;
    this.#touch(cluster);
  }

  /** True when that is news, which the next bundle will carry. */
  put(source: SourceKey, cluster: string, entry: BundleEntry): boolean {
    if (this.#places.get(source) !== cluster) this.remove(source);
    const bundle = this.#of(cluster);
    const before = bundle.entries.get(source);
    this.#places.set(source, cluster);
    bundle.kept.delete(source);
    if (before?.digest === entry.digest && before.uid === entry.uid && entryKey(before) === entryKey(entry)) return false;
    bundle.entries.set(source, entry);
    bundle.news.add(source);
    this.#touch(cluster);
    return true;
  }

  /** The object cannot be used as it is: what pods have of it (of this uid) stays. */
  keep(source: SourceKey, cluster: string, uid: string): void {
    const bundle = this.#of(cluster);
    if (bundle.entries.get(source)?.uid === uid || bundle.kept.get(source) === uid) return;
    this.#places.set(source, cluster);
    bundle.kept.set(source, uid);
    this.#touch(cluster);
  }

  /** The object is gone or not part of a cluster any more. */
  remove(source: SourceKey): void {
    const cluster = this.#places.get(source);
    if (cluster === undefined) return;
    this.#places.delete(source);
    const bundle = this.#of(cluster);
    const had = bundle.entries.delete(source);
    if (bundle.kept.delete(source) || had) this.#touch(cluster);
  }

  /** The cluster is gone. Its sources stay known: the cluster may be made anew. */
  drop(cluster: string): void {
    this.#clusters.get(cluster)?.boot?.stop();
    this.#clusters.delete(cluster);
    for (const [source, place] of this.#places) if (place === cluster) this.#places.delete(source);
    this.#options.pusher.forget(cluster);
  }

  stop(): void {
    this.#timer?.();
    for (const { boot } of this.#clusters.values()) boot?.stop();
  }

  #of(cluster: string): ClusterBundle {
    const found = this.#clusters.get(cluster) ?? {
      entries: new Map(),
      kept: new Map(),
      cluster: undefined,
      booted: [],
      boot: undefined,
      isPublished: false,
      news: new Set<SourceKey>(),
    };
    this.#clusters.set(cluster, found);
    return found;
  }

  #touch(cluster: string): void {
    this.#dirty.add(cluster);
    if (this.#unseen.size > 0) return;
    this.#timer ??= this.#options.clock.after(GATHER_MS, () => this.#flush());
  }

  #flush(): void {
    this.#timer = undefined;
    for (const cluster of [...this.#dirty]) {
      const bundle = this.#clusters.get(cluster);
      if (!bundle) this.#dirty.delete(cluster);
      else if (bundle.boot && bundle.cluster) this.#publish(cluster, bundle);
    }
  }

  #publish(cluster: string, bundle: ClusterBundle): void {
    this.#dirty.delete(cluster);
    const { pusher, onPublished } = this.#options;
    const entries = wholeBundle(bundle);
    const book = pusher.book(cluster);
    const urgency = book ? urgencyOf(book, { put: entries.values(), remove: gone(book, entries) }) : "calm";
    pusher.setEntries(cluster, [...entries.values()]);
    const news = bundle.isPublished ? [...bundle.news] : [...bundle.entries.keys()];
    bundle.isPublished = true;
    bundle.news.clear();
    bundle.boot?.changed(urgency);
    onPublished(cluster, news);
  }
}

function wholeBundle({ cluster, entries, kept, booted }: ClusterBundle): ReadonlyMap<string, BundleEntry> {
  const whole = new Map<string, BundleEntry>();
  const uids = new Set(kept.values());
  for (const entry of booted) if (uids.has(entry.uid)) whole.set(entryKey(entry), entry);
  for (const entry of entries.values()) whole.set(entryKey(entry), entry);
  if (cluster) whole.set(entryKey(cluster), cluster);
  return whole;
}

const gone = (book: BundleBook, entries: ReadonlyMap<string, BundleEntry>): readonly string[] =>
  [...book.keys()].filter((key) => !entries.has(key));
