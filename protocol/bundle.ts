// Why: the compiled configuration of one cluster, as it travels from operator to servers and lies in the boot Secrets.
// Both sides compute digests from this module, so they can never disagree. It must stay pure: no clock, no I/O.
import { type Static, Type } from "@sinclair/typebox";
import { digestOf, sha256 } from "./canonical.ts";
import { Priority } from "./frames.ts";
import { JWT_ALGORITHMS, KEY_SCOPES } from "./resources/credentials.ts";
import { ChannelRule, Delivery, Limits, TenantQuotas } from "./resources/settings.ts";

/** The bundle format this code writes; servers state which they read (`bundle_formats`). */
export const BUNDLE_FORMAT = 1;
export const BUCKET_COUNT = 64;

/** An API key as the servers see it: only its hash, never the key. `not_after` ends the overlap of a rotated key. */
export const KeyHash = Type.Object({
  sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  not_after: Type.Optional(Type.String({ format: "date-time" })),
});

export const ClusterSettings = Type.Object({
  tenancy: Type.Union([Type.Literal("Multiple"), Type.Literal("Single")]),
  limits: Limits,
  delivery: Delivery,
  channels: Type.Array(ChannelRule),
  platform_keys: Type.Array(Type.Object({ name: Type.String(), hashes: Type.Array(KeyHash) })),
  /** Absent: nothing is traced. */
  tracing: Type.Optional(Type.Object({ endpoint: Type.String(), sample_percent: Type.Integer({ minimum: 0, maximum: 100 }) })),
  log_level: Type.Optional(Type.Union((["debug", "info", "warn", "error"] as const).map((level) => Type.Literal(level)))),
});
export type ClusterSettings = Static<typeof ClusterSettings>;

/** Where the verification key of an issuer is: HMAC secret (base64 of its bytes), PEM of a public key, or a JWKS address. */
export const IssuerKey = Type.Union([
  Type.Object({ type: Type.Literal("secret"), base64: Type.String() }),
  Type.Object({ type: Type.Literal("public"), pem: Type.String() }),
  Type.Object({ type: Type.Literal("jwks"), url: Type.String() }),
]);

export const TenantIssuer = Type.Object({
  name: Type.String(),
  /** When present the token's `iss` must be this. */
  issuer: Type.Optional(Type.String()),
  /** When not empty the token's `aud` must name one of these. */
  audiences: Type.Array(Type.String()),
  algorithms: Type.Array(Type.Union(JWT_ALGORITHMS.map((value) => Type.Literal(value)))),
  key: IssuerKey,
  clock_skew_seconds: Type.Integer({ minimum: 0 }),
});
export type TenantIssuer = Static<typeof TenantIssuer>;

export const TenantSettings = Type.Object({
  suspended: Type.Boolean(),
  issuers: Type.Array(TenantIssuer),
  api_keys: Type.Array(
    Type.Object({
      name: Type.String(),
      scopes: Type.Array(Type.Union(KEY_SCOPES.map((value) => Type.Literal(value)))),
      hashes: Type.Array(KeyHash),
    }),
  ),
  quotas: TenantQuotas,
  channels: Type.Array(ChannelRule),
  /** Empty: any origin. */
  allowed_origins: Type.Array(Type.String()),
  /** The custom resource it comes from. It is asked for when it seems to be gone, and data are never handed on across namespaces. */
  origin: Type.Optional(Type.Object({ namespace: Type.String(), name: Type.String() })),
  /** `Delete`: when the object is gone its data are purged. Travels with the entry, because the object cannot be asked then. */
  deletion_policy: Type.Optional(Type.Literal("Delete")),
});
export type TenantSettings = Static<typeof TenantSettings>;

/**
 * A tenant whose data have to go, in place of its entry. `uid` and `generation` are the deleted object's, so that a tenant
 * deleted twice is two purges.
 */
export const TombstoneSettings = Type.Object({ deleted_at: Type.String({ format: "date-time" }) });
export type TombstoneSettings = Static<typeof TombstoneSettings>;
/** After this a tombstone goes even if no server has said that it purged, in milliseconds. */
export const TOMBSTONE_LIFE_MS = 7 * 86_400_000;

export const VARIABLE_TYPES = ["string", "number", "integer", "boolean", "object", "array", "any"] as const;
export type VariableType = (typeof VARIABLE_TYPES)[number];

export const TemplateVariable = Type.Object({
  name: Type.String(),
  type: Type.Union(VARIABLE_TYPES.map((value) => Type.Literal(value))),
  required: Type.Boolean(),
  default: Type.Optional(Type.Unknown()),
});
export type TemplateVariable = Static<typeof TemplateVariable>;

export const TemplateSettings = Type.Object({
  tenant_id: Type.String(),
  template_id: Type.String(),
  event_type: Type.String(),
  priority: Priority,
  ttl_seconds: Type.Optional(Type.Integer({ minimum: 0 })),
  engine: Type.Union([Type.Literal("Simple"), Type.Literal("Liquid")]),
  variables: Type.Array(TemplateVariable),
  payload: Type.Unknown(),
  locales: Type.Array(Type.Object({ locale: Type.String(), payload: Type.Unknown() })),
});
export type TemplateSettings = Static<typeof TemplateSettings>;

const envelope = { id: Type.String(), uid: Type.String(), generation: Type.Integer(), digest: Type.String() };

/**
 * One object of the live configuration. `id`: `cluster`, the effective tenant id (tombstones too), or `<tenant id>/<template id>`.
 * `uid` and `generation` are the custom resource's: a server acknowledges exactly those.
 */
export const BundleEntry = Type.Union([
  Type.Object({ kind: Type.Literal("cluster"), ...envelope, spec: ClusterSettings }),
  Type.Object({ kind: Type.Literal("tenant"), ...envelope, spec: TenantSettings }),
  Type.Object({ kind: Type.Literal("template"), ...envelope, spec: TemplateSettings }),
  Type.Object({ kind: Type.Literal("tombstone"), ...envelope, spec: TombstoneSettings }),
]);
export type BundleEntry = Static<typeof BundleEntry>;
export type EntryKind = BundleEntry["kind"];
type Undigested<T> = T extends { digest: string } ? Omit<T, "digest"> : never;

/** The id of a cluster's own entry. */
export const CLUSTER_ENTRY_ID = "cluster";
export const templateEntryId = (tenantId: string, templateId: string): string => `${tenantId}/${templateId}`;
/** One key over all kinds, for maps and removals: `tenant:acme`. */
export const entryKey = (entry: { readonly kind: EntryKind; readonly id: string }): string => `${entry.kind}:${entry.id}`;

/** Adds the digest: SHA-256 of the canonical JSON of everything else. */
export function sealEntry<T extends Undigested<BundleEntry>>(entry: T): T & { digest: string } {
  return { ...entry, digest: digestOf(entry) };
}

/** Whether the digest an entry carries is that of its content. */
export function isIntact(entry: BundleEntry): boolean {
  const { digest, ...rest } = entry;
  return digest === digestOf(rest);
}

/** 0..63, from the entry's id alone: an entry never moves while others come and go. */
export const bucketOf = (id: string): number => Number.parseInt(sha256(id).slice(0, 8), 16) % BUCKET_COUNT;

/** A bucket's digest is that of its sorted entry digests: order of arrival does not count. */
export const bucketDigest = (entryDigests: Iterable<string>): string => sha256([...entryDigests].sort().join("\n"));

export const EMPTY_BUCKET = bucketDigest([]);

/** `bucketDigests` has {@link BUCKET_COUNT} items, by index. */
export const bundleDigest = (bucketDigests: readonly string[]): string => sha256(bucketDigests.join("\n"));

/** A whole bucket, as in a boot Secret (`bucket.json.zst`, zstd level 3) and in a full push. */
export const Bucket = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  index: Type.Integer({ minimum: 0, maximum: BUCKET_COUNT - 1 }),
  digest: Type.String(),
  entries: Type.Array(BundleEntry),
});
export type Bucket = Static<typeof Bucket>;

/** Sorts entries by key and seals the bucket. */
export function makeBucket(index: number, entries: readonly BundleEntry[]): Bucket {
  const sorted = [...entries].sort((a, b) => (entryKey(a) < entryKey(b) ? -1 : 1));
  return { format: BUNDLE_FORMAT, index, digest: bucketDigest(sorted.map((entry) => entry.digest)), entries: sorted };
}

/** Spreads entries over all {@link BUCKET_COUNT} buckets, by index; empty buckets included. */
export function makeBuckets(entries: Iterable<BundleEntry>): readonly Bucket[] {
  const sorted: BundleEntry[][] = Array.from({ length: BUCKET_COUNT }, () => []);
  for (const entry of entries) sorted[bucketOf(entry.id)]?.push(entry);
  return sorted.map((list, index) => makeBucket(index, list));
}

/** File name of bucket `index` in the mounted boot volume, and number in the Secret's name: two digits. */
export const bucketName = (index: number): string => String(index).padStart(2, "0");
/** The key inside each boot Secret. */
export const BOOT_SECRET_KEY = "bucket.json.zst";
