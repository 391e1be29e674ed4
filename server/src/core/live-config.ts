// Why: the configuration of a running server: loaded once from the boot copy, then changed by pushes of the leading
// operator, entry by entry. It must never end up half changed, and a bad entry must never take a good one's place.

import type { PushMismatch, PushResult, PushStale, RejectedEntry } from "@nexus/protocol/admin.ts";
import { BUNDLE_FORMAT, type Bucket, type ClusterSettings, entryKey } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import { Delivery, Limits } from "@nexus/protocol/resources/settings.ts";
import { Value } from "@sinclair/typebox/value";
import { type EntryEnvelope, type HeldSpec, holdSpec, readEntry } from "./bundle-entries.ts";
import { BundleIndex, type SettingsOverrides } from "./bundle-index.ts";
import { BundleState, isBucketIntact, type StagedBucket, type Told } from "./bundle-state.ts";
import type { Clock, Log, Tenants } from "./ports.ts";
import type { Tombstone } from "./purge-ports.ts";

/** `PushRequest` whose entries are known by their envelope only: each is checked, and refused, by itself. */
export type Push = {
  readonly format: number;
  readonly term: string;
  readonly sequence: number;
  readonly reset?: boolean;
  readonly digest: string;
  readonly buckets: readonly PushedBucket[];
};
export type PushedBucket = {
  readonly index: number;
  readonly from: string;
  readonly to: string;
  readonly full: boolean;
  readonly entries: readonly EntryEnvelope[];
  readonly removed: readonly string[];
};

/** What one step changed. `tenants`, `tombstones`: ids added, changed or removed; `templates`: `<tenant>/<template>` likewise. */
export type ConfigChange = {
  readonly cluster: boolean;
  readonly tenants: ReadonlySet<string>;
  readonly templates: ReadonlySet<string>;
  readonly tombstones: ReadonlySet<string>;
};

/** `skipped`: buckets that were not what their digest says; nothing of them was taken. */
export type LoadReport = {
  readonly buckets: number;
  readonly entries: number;
  readonly rejected: readonly RejectedEntry[];
  readonly skipped: readonly { readonly index: number; readonly reason: string }[];
};

export type PushOutcome =
  | { readonly kind: "applied"; readonly result: PushResult }
  | { readonly kind: "mismatch"; readonly mismatch: PushMismatch }
  | { readonly kind: "stale"; readonly stale: PushStale }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export type LiveConfig = Tenants & {
  /** Takes the boot copy. Each bucket stands for itself: a bad one is skipped, logged and reported. */
  load(buckets: readonly Bucket[]): LoadReport;
  /**
   * Takes a push as a whole or not at all: an older leader is `stale`, a bucket at another digest `mismatch`, a push that
   * contradicts itself `refused` (`validation_error`). Entries that cannot be used are named in the result; what was live
   * for them stays live. Synchronous, and cheap for small changes: cost follows the change, not the bundle.
   */
  push(push: Push): PushOutcome;
  /** Digest of everything told, by content. */
  digest(): string;
  bucketDigests(): readonly string[];
  /** The youngest leader heard. `term` in decimal. */
  fence(): { readonly term: string; readonly sequence: number };
  /** Whether a leader's push has ended at our digest. */
  confirmed(): boolean;
  /** Monotonic milliseconds of the last push that ended at our digest. */
  confirmedAt(): number | undefined;
  /** Deleted tenants whose data have to go. */
  tombstones(): readonly Tombstone[];
  counts(): { readonly tenants: number; readonly templates: number; readonly rejected: number };
  /** Called after each step that changed something, with the new state in place. Returns how to stop. */
  onChange(listener: (change: ConfigChange) => void): () => void;
};

/** What holds where no bundle has said anything: the schema's defaults. */
export const defaultClusterSettings = (): ClusterSettings => ({
  tenancy: "Multiple",
  // The schemas fill every field they require.
  limits: Value.Default(Limits, {}) as Limits,
  delivery: Value.Default(Delivery, {}) as Delivery,
  channels: [],
  platform_keys: [],
});

export type LiveConfigOptions = {
  readonly defaults?: ClusterSettings;
  readonly overrides?: SettingsOverrides;
  readonly log: Log;
  readonly clock: Clock;
};

export function createLiveConfig({ defaults = defaultClusterSettings(), overrides = {}, log, clock }: LiveConfigOptions): LiveConfig {
  const state = new BundleState();
  const index = new BundleIndex({ defaults, overrides, clock });
  const listeners = new Set<(change: ConfigChange) => void>();
  let fence = { term: 0n, sequence: 0 };
  let confirmedAt: number | undefined;

  function take(staged: readonly StagedBucket[]): void {
    const change = { cluster: false, tenants: new Set<string>(), templates: new Set<string>(), tombstones: new Set<string>() };
    for (const bucket of staged) {
      state.take(bucket, (before, after) => {
        index.replace(before, after);
        noteChange(change, after ?? before);
      });
    }
    if (!change.cluster && change.tenants.size + change.templates.size + change.tombstones.size === 0) return;
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        log.error("config.listener_failed", { error });
      }
    }
  }

  /** Every entry that cannot be used is logged once, when it comes. */
  function takeAndTell(staged: readonly StagedBucket[]): void {
    const known = new Set(state.rejected());
    take(staged);
    for (const entry of state.rejected()) {
      if (!known.has(entry)) log.error("config.entry_rejected", { entry: entry.key, reason: entry.reason });
    }
  }

  return {
    cluster: () => index.cluster(),
    tenant: (id) => index.tenant(id),
    tenantIds: () => index.tenantIds(),
    template: (tenant, id) => index.template(tenant, id),
    templateIds: (tenant) => index.templateIds(tenant),
    tombstones: () => index.tombstones(),
    keyHolder: (apiKey) => index.keyHolder(apiKey),
    digest: () => state.digest(),
    bucketDigests: () => state.bucketDigests(),
    fence: () => ({ term: fence.term.toString(), sequence: fence.sequence }),
    confirmed: () => confirmedAt !== undefined,
    confirmedAt: () => confirmedAt,
    counts: () => ({ ...index.counts(), rejected: state.rejected().length }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    load(buckets) {
      const skipped: { index: number; reason: string }[] = [];
      const staged: StagedBucket[] = [];
      let entries = 0;
      for (const bucket of buckets) {
        const reason = bootBucketError(bucket);
        if (reason !== undefined) {
          skipped.push({ index: bucket.index, reason });
          log.error("boot.bucket_skipped", { bucket: bucket.index, reason });
          continue;
        }
        entries += bucket.entries.length;
        staged.push(state.stage(bucket.index, changesOf(state, { ...bucket, full: true, removed: [] })));
      }
      takeAndTell(staged);
      return { buckets: staged.length, entries, rejected: state.rejected(), skipped };
    },

    push(push) {
      const pair = { term: BigInt(push.term), sequence: push.sequence };
      if (isOlder(pair, fence) && !push.reset) {
        log.warn("config.push_refused", { reason: "older leader", term: push.term, sequence: push.sequence });
        return { kind: "stale", stale: { term: fence.term.toString(), sequence: fence.sequence } };
      }
      if (push.format !== BUNDLE_FORMAT) return refuse("/format", `this server reads format ${BUNDLE_FORMAT}`);
      fence = pair;
      const mismatched = push.buckets.filter((bucket) => !bucket.full && bucket.from !== state.bucketDigest(bucket.index));
      if (mismatched.length > 0) return { kind: "mismatch", mismatch: mismatchOf(state, mismatched) };
      const staged: StagedBucket[] = [];
      for (const [position, bucket] of push.buckets.entries()) {
        if (staged.some((other) => other.index === bucket.index)) return refuse(`/buckets/${position}/index`, "is there twice");
        const next = state.stage(bucket.index, changesOf(state, bucket));
        if (next.digest !== bucket.to) return refuse(`/buckets/${position}/to`, "is not the digest of what was pushed");
        staged.push(next);
      }
      takeAndTell(staged);
      const digest = state.digest();
      if (push.digest === digest) confirmedAt = clock.monotonic();
      return { kind: "applied", result: { digest, rejected: [...state.rejected()] } };
    },
  };
}

const isOlder = (pair: { term: bigint; sequence: number }, fence: { term: bigint; sequence: number }): boolean =>
  pair.term < fence.term || (pair.term === fence.term && pair.sequence < fence.sequence);

const refuse = (pointer: string, detail: string): PushOutcome => ({
  kind: "refused",
  refusal: { code: "validation_error", detail: "The push contradicts itself", fields: [{ pointer, detail }] },
});

const mismatchOf = (state: BundleState, buckets: readonly PushedBucket[]): PushMismatch => ({
  digest: state.digest(),
  buckets: buckets.map(({ index }) => ({ index, digest: state.bucketDigest(index) })),
});

function bootBucketError(bucket: Bucket): string | undefined {
  if (bucket.format !== BUNDLE_FORMAT) return `is of format ${bucket.format}, this server reads ${BUNDLE_FORMAT}`;
  return isBucketIntact(bucket.digest, bucket.entries) ? undefined : "its digest is not that of its entries";
}

/** What a pushed (or loaded) bucket means, key by key. An entry whose digest we were told already is not read again. */
function changesOf(state: BundleState, bucket: Omit<PushedBucket, "from" | "to">): ReadonlyMap<string, Told | undefined> {
  const changes = new Map<string, Told | undefined>();
  if (bucket.full) for (const key of state.keys(bucket.index)) changes.set(key, undefined);
  for (const key of bucket.removed) if (state.told(bucket.index, key)) changes.set(key, undefined);
  for (const envelope of bucket.entries) {
    // An unknown kind has a key too: it is told, counted in the digest, and rejected.
    const key = entryKey(envelope as { kind: "tenant"; id: string });
    const before = state.told(bucket.index, key);
    if (before?.digest === envelope.digest) changes.set(key, before);
    else changes.set(key, tell(envelope, bucket.index, before?.held));
  }
  return changes;
}

function tell(envelope: EntryEnvelope, bucket: number, held: HeldSpec | undefined): Told {
  const { digest, uid, generation } = envelope;
  const read = readEntry(envelope, bucket);
  if (read.ok) return { digest, held: holdSpec(read.entry) };
  const rejected = { key: `${envelope.kind}:${envelope.id}`, uid, generation, reason: read.reason };
  return { digest, rejected, ...(held ? { held } : {}) };
}

type Noted = { cluster: boolean; tenants: Set<string>; templates: Set<string>; tombstones: Set<string> };

function noteChange(change: Noted, held: HeldSpec | undefined): void {
  if (held?.kind === "cluster") change.cluster = true;
  else if (held?.kind === "tenant") change.tenants.add(held.id);
  else if (held?.kind === "template") change.templates.add(held.id);
  else if (held?.kind === "tombstone") change.tombstones.add(held.id);
}
