// Why: the last good configuration lies in Secrets, so that pods start while the operator is dead. They are written behind the
// pushes, rarely, and only where content changed. It must never write what is there already, nor take over a foreign Secret.
import { BOOT_SECRET_KEY, BUCKET_COUNT } from "@nexus/protocol/bundle.ts";
import { COMPILER_REVISION } from "../desired/bundle.ts";
import { BUCKET_ANNOTATION, CHECKSUM_ANNOTATION, COMPILER_ANNOTATION, childNames, MANAGER, SCOPE_ANNOTATION } from "../desired/names.ts";
import { bootSecret } from "../desired/secrets.ts";
import type { KubeObject, OwnerReference } from "../plan/object.ts";
import { foreignReason, type Identity } from "../plan/ownership.ts";
import { backoffDelayMs } from "./backoff.ts";
import { BOOT_BYTES, packBucket, readStored, type StoredBucket } from "./boot-bucket.ts";
import { nextWriteMs, PACE_MS, type Urgency } from "./boot-pace.ts";
import { holds, newSlot, type Slot } from "./boot-slot.ts";
import type { Cancel, Clock, Random } from "./clock.ts";
import { KINDS } from "./kinds.ts";
import { isNamespaceTerminating } from "./kube-error.ts";
import type { ChildApplier, KubeApi } from "./ports.ts";
import type { BundleBook } from "./push-book.ts";
import { EVERYTHING, scopeFromText, scopeText, union, type WatchScope } from "./watch-scope.ts";

/** The cluster whose boot copy this is: what its Secrets carry. */
export type BootOwner = {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  readonly identity: Identity;
};

export type BootState = {
  /** The Secrets hold what they can hold of the present bundle. */
  readonly isWritten: boolean;
  /** Entries that did not fit: they are pushed only. */
  readonly left: number;
  /** How full the fullest Secret is, from 0 to 1. */
  readonly fullest: number;
  /** Age of the oldest change that no Secret holds, in milliseconds; 0 when they hold all they can. */
  readonly behindMs: number;
  /** Why the last write failed, or whose Secret has our name. */
  readonly problem: string | undefined;
};

export type BootOptions = {
  readonly owner: BootOwner;
  readonly book: BundleBook;
  readonly api: Pick<KubeApi, "get" | "heads">;
  readonly applier: ChildApplier;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked right before each write: only the leader writes. */
  readonly mayWrite: () => boolean;
  /** The state may have changed. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
  /** Nothing is written before {@link BootCopy.release}: somebody else leads. */
  readonly isHeld?: boolean;
  /** What this operator looks at; absent: everything. */
  readonly scope?: WatchScope;
  /** What a Secret may hold, in bytes. */
  readonly maxBytes?: number;
};

const READERS = 8;
const RETRY = { baseMs: 1_000, capMs: 60_000 };
const secretRef = ({ namespace, name }: BootOwner, index: number) => ({
  kind: KINDS.Secret,
  namespace,
  name: childNames(name).boot(index),
});

export class BootCopy {
  readonly #options: BootOptions;
  readonly #slots: readonly Slot[] = Array.from({ length: BUCKET_COUNT }, newSlot);
  #timer: Cancel | undefined;
  #isBusy = false;
  #isStopped = false;
  #isHeld: boolean;
  #isFirst = false;
  /** What was looked at for what lies there: entries out of our sight stay in it. */
  #scope: WatchScope | undefined;
  #problem: string | undefined;
  /** Buckets whose entries another revision of the compiler made. */
  readonly #outdated = new Set<number>();

  constructor(options: BootOptions) {
    this.#options = options;
    this.#isHeld = options.isHeld ?? false;
  }

  /**
   * Reads the Secrets back; call it once, before the first `changed`. `each` gets their buckets, for `Pusher.load`, one by one:
   * all at once would be the whole bundle in the clear. Rejects with `KubeError`: without an answer nothing may be concluded. A
   * Secret that does not hold a bucket counts as none.
   */
  async read(each: (bucket: StoredBucket) => void): Promise<void> {
    await this.#readAll(this.#slots.keys(), (_index, bucket) => {
      if (bucket) each(bucket);
    });
  }

  /**
   * Reads what the former leader wrote since {@link read}; ask it with the lead, when nobody else can write any more. Secrets that
   * hold a state the book was in are not read again. `each` gets the others; undefined = it holds no bucket of ours. Rejects with
   * `KubeError`; what was read until then is not read again.
   */
  async refresh(each: (index: number, bucket: StoredBucket | undefined) => void): Promise<void> {
    const { api, owner } = this.#options;
    const scope = {
      namespace: owner.namespace,
      labelSelector: `app.kubernetes.io/instance=${owner.name},app.kubernetes.io/component=server`,
    };
    const heads = new Map((await api.heads(KINDS.Secret, scope)).map((head) => [head.metadata.name, head]));
    const stale = [...this.#slots.keys()].filter((index) => !this.#isAsKnown(index, heads.get(secretRef(owner, index).name)));
    await this.#readAll(stale.values(), (index, bucket) => {
      this.#slot(index).seenRev = -1; // what the book holds beyond it is due
      each(index, bucket);
    });
  }

  /** From now on it writes. */
  release(): void {
    this.#isHeld = false;
    this.#arm();
  }

  /** Tells that the book changed. `urgent`: a credential was removed, suspended or rotated (`urgencyOf`). */
  changed(urgency: Urgency = "calm"): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [index, slot] of this.#slots.entries()) {
      const bucket = this.#options.book.bucket(index);
      if (bucket.rev === slot.seenRev) continue;
      slot.seenRev = bucket.rev;
      // E.g. what was just read back.
      if (slot.dirtySinceMs === undefined && holds(slot, bucket)) continue;
      slot.dirtySinceMs ??= nowMs;
      slot.changedMs = nowMs;
      // The first copy is what the first pods boot with.
      if (urgency === "urgent" || this.#isFirst) slot.urgency = "urgent";
    }
    this.#arm();
    this.#options.onChange();
  }

  /**
   * A watch shows the Secret of bucket `index` in this version; undefined = it is gone. What we did not write ourselves is
   * compared, and put back, soon; the second time within a minute at the usual pace.
   */
  seen(index: number, resourceVersion: string | undefined): void {
    const slot = this.#slots[index];
    if (!slot || this.#isStopped || (resourceVersion !== undefined && resourceVersion === slot.version)) return;
    if (slot.isApplying) {
      slot.seenMeanwhile = { version: resourceVersion };
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    if (resourceVersion === undefined) slot.written = undefined;
    else slot.isDoubtful = true;
    if (slot.touchedMs === undefined || nowMs - slot.touchedMs > PACE_MS) slot.lastWriteMs = undefined;
    slot.touchedMs = nowMs;
    slot.dirtySinceMs ??= nowMs;
    slot.changedMs = nowMs;
    this.#arm();
  }

  /** What was read back (of one bucket, or any) was made by another revision of the compiler: the same objects may make other entries now. */
  isOutdated(index?: number): boolean {
    return index === undefined ? this.#outdated.size > 0 : this.#outdated.has(index);
  }

  /** Every entry was compiled by this revision: the Secrets may say so. */
  compiled(): void {
    for (const index of this.#outdated) this.seen(index, "");
    this.#outdated.clear();
  }

  /** The scope in which all of this was seen, by whoever wrote it and by us. */
  scope(): WatchScope {
    return this.#scope ?? this.#options.scope ?? EVERYTHING;
  }

  state(): BootState {
    const nowMs = this.#options.clock.monotonicMs();
    const waiting = this.#slots.flatMap(({ dirtySinceMs }) => dirtySinceMs ?? []);
    return {
      isWritten: waiting.length === 0,
      behindMs: waiting.length === 0 ? 0 : nowMs - Math.min(...waiting),
      left: this.#slots.reduce((sum, slot) => sum + slot.left, 0),
      fullest: Math.max(...this.#slots.map(({ bytes }) => bytes)) / (this.#options.maxBytes ?? BOOT_BYTES),
      problem: this.#problem,
    };
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.();
  }

  async #readAll(indexes: Iterator<number>, each: (index: number, bucket: StoredBucket | undefined) => void): Promise<void> {
    const reader = async () => {
      for (let next = indexes.next(); !next.done; next = indexes.next()) each(next.value, await this.#readOne(next.value));
    };
    await Promise.all(Array.from({ length: READERS }, reader));
    this.#isFirst = this.#slots.every(({ written }) => written === undefined);
  }

  /** Whether a Secret is as it was read, or holds a state that the book was in since. */
  #isAsKnown(index: number, head: KubeObject | undefined): boolean {
    const { owner, book } = this.#options;
    const slot = this.#slot(index);
    if (head?.metadata.resourceVersion === slot.version) return true;
    const digest = head?.metadata.annotations?.[BUCKET_ANNOTATION];
    const isOurs = head !== undefined && foreignReason(head, owner.identity) === undefined && this.#isOwned(head);
    if (!isOurs || digest === undefined || book.bucket(index).revOf(digest) === undefined) return false;
    this.#note(index, head);
    slot.written = digest;
    slot.seenRev = -1; // what the book holds beyond it is due
    return true;
  }

  #isOwned({ metadata }: KubeObject): boolean {
    return metadata.ownerReferences?.some(({ uid }) => uid === this.#options.owner.identity.ownerUid) ?? false;
  }

  /** What a Secret of ours says of what is in it. */
  #note(index: number, { metadata }: KubeObject): void {
    this.#sawIn(scopeFromText(metadata.annotations?.[SCOPE_ANNOTATION]));
    if (metadata.annotations?.[COMPILER_ANNOTATION] !== COMPILER_REVISION) this.#outdated.add(index);
    else this.#outdated.delete(index);
    this.#slot(index).version = metadata.resourceVersion;
  }

  async #readOne(index: number): Promise<StoredBucket | undefined> {
    const { api, owner, book } = this.#options;
    const slot = this.#slot(index);
    slot.seenRev = book.bucket(index).rev;
    const secret = await api.get<KubeObject & { readonly data?: Readonly<Record<string, string>> }>(secretRef(owner, index));
    // Whoever made a Secret under our name must not configure a fleet by that.
    const isOurs = secret !== undefined && foreignReason(secret, owner.identity) === undefined;
    const data = isOurs ? secret.data?.[BOOT_SECRET_KEY] : undefined;
    const bucket =
      data === undefined ? undefined : readStored(index, Buffer.from(data, "base64"), secret?.metadata.annotations?.[CHECKSUM_ANNOTATION]);
    if (bucket && secret) this.#note(index, secret);
    slot.written = bucket?.digest;
    slot.bytes = bucket ? Buffer.byteLength(data ?? "", "base64") : 0;
    slot.version = secret?.metadata.resourceVersion;
    // Orphaned, or restored without its owner: nothing else would ever write it again.
    if (isOurs && !this.#isOwned(secret)) this.seen(index, "");
    return bucket;
  }

  #sawIn(scope: WatchScope): void {
    this.#scope = this.#scope === undefined ? scope : union(this.#scope, scope);
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (!slot) throw new RangeError(`no bucket ${index}`);
    return slot;
  }

  #arm(): void {
    if (this.#isStopped || this.#isHeld || this.#isBusy) return;
    this.#timer?.();
    this.#timer = undefined;
    const nowMs = this.#options.clock.monotonicMs();
    const due = this.#slots.map((slot) => nextWriteMs(slot)).filter((atMs) => atMs !== undefined);
    if (due.length === 0) return;
    this.#timer = this.#options.clock.after(Math.max(0, Math.min(...due) - nowMs), () => void this.#writeDue());
  }

  async #writeDue(): Promise<void> {
    this.#timer = undefined;
    this.#isBusy = true;
    for (const [index, slot] of this.#slots.entries()) {
      const atMs = nextWriteMs(slot);
      if (this.#isStopped || atMs === undefined || atMs > this.#options.clock.monotonicMs()) continue;
      await this.#writeGuarded(index, slot);
    }
    this.#isBusy = false;
    this.#isFirst &&= this.#slots.some((slot) => slot.dirtySinceMs !== undefined);
    this.#arm();
    this.#options.onChange();
  }

  async #writeGuarded(index: number, slot: Slot): Promise<void> {
    const { clock, random, onError } = this.#options;
    try {
      this.#problem = await this.#write(index, slot);
      if (this.#problem === undefined) {
        slot.failures = 0;
        slot.retryMs = 0;
        return;
      }
    } catch (error) {
      if (isNamespaceTerminating(error)) return this.stop();
      slot.isDoubtful = true; // nobody knows what it holds now
      onError(error);
      this.#problem = error instanceof Error ? error.message : String(error);
    }
    slot.failures++;
    slot.retryMs = clock.monotonicMs() + backoffDelayMs(RETRY, slot.failures, random);
  }

  /** Undefined when the Secret holds the bucket now; otherwise why not. */
  async #write(index: number, slot: Slot): Promise<string | undefined> {
    const { book, mayWrite, maxBytes, clock } = this.#options;
    if (!mayWrite()) return "not leading";
    const bucket = book.bucket(index);
    const { rev } = bucket;
    const packed = packBucket(index, bucket.lines(), maxBytes);
    slot.left = packed.left;
    slot.bytes = packed.data.length;
    const isEmptyAndAbsent = bucket.size === 0 && slot.written === undefined;
    if ((packed.digest !== slot.written || slot.isDoubtful) && !isEmptyAndAbsent) {
      slot.isDoubtful = false;
      slot.isApplying = true;
      const problem = await this.#apply(index, slot, packed).finally(() => {
        slot.isApplying = false;
      });
      if (problem !== undefined) return problem;
      slot.written = packed.digest;
      slot.lastWriteMs = clock.monotonicMs();
    }
    // A change that came while the request was under way stays due, as urgent as it was.
    if (bucket.rev !== rev) {
      slot.dirtySinceMs = slot.changedMs;
      return undefined;
    }
    slot.urgency = "calm";
    slot.dirtySinceMs = undefined;
    const { seenMeanwhile } = slot;
    slot.seenMeanwhile = undefined;
    if (seenMeanwhile) this.seen(index, seenMeanwhile.version);
    return undefined;
  }

  async #apply(index: number, slot: Slot, packed: { readonly digest: string; readonly data: Buffer }): Promise<string | undefined> {
    const { owner, applier } = this.#options;
    const { namespace, name } = secretRef(owner, index);
    const { labels, ownerReferences, identity } = owner;
    const scope = union(this.scope(), this.#options.scope ?? EVERYTHING);
    const head = { namespace, name, labels, ownerReferences };
    const desired = bootSecret(head, { digest: packed.digest, scope: scopeText(scope), data: packed.data });
    const outcome = await applier.apply({ kind: KINDS.Secret, desired, live: undefined, manager: MANAGER, identity });
    switch (outcome.kind) {
      case "nameConflict":
        return outcome.message;
      case "terminating":
      case "stale":
      case "contested":
        return `Secret ${name} cannot be written now (${outcome.kind})`;
      case "created":
      case "applied":
      case "inSync":
      case "unchanged":
        slot.version = outcome.live.metadata.resourceVersion;
        return undefined;
      default:
        return outcome satisfies never;
    }
  }
}
