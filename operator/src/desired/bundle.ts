// Why: turns accepted resources into the entries of a cluster's configuration. The operator and `nexus dev` call the same
// functions. Pure and deterministic: no clock, no API, no I/O; one entry never depends on another, so that one edit
// compiles one entry.
import {
  type BundleEntry,
  CLUSTER_ENTRY_ID,
  type ClusterSettings,
  type EntryKind,
  entryKey,
  sealEntry,
  type TemplateSettings,
  type TenantIssuer,
  type TenantSettings,
  templateEntryId,
} from "@nexus/protocol/bundle.ts";
import type { ConditionReason, Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { type AcceptedTemplate, type AcceptedTenant, isOlder, keyOfObject, namespaceOf } from "./acceptance.ts";
import { channelsComplaint } from "./bundle/channels.ts";
import { issuerKey, keyHashes, named, type SecretReader } from "./bundle/credentials.ts";
import { placeholderWarnings } from "./bundle/placeholders.ts";
import { apiKeySecretName, childNames } from "./names.ts";
import { payloadComplaint } from "./payload.ts";

export type EntryOf<K extends EntryKind> = Extract<BundleEntry, { kind: K }>;

/**
 * An entry, and what was left out of it so that the rest works. `missing`: Secrets that are not there or empty (reason
 * `SecretNotFound`). `unusable`: Secrets whose content does not serve (reason `InvalidSpec`); sentences, never content.
 */
export type Compiled<E extends BundleEntry = BundleEntry> = {
  readonly entry: E;
  readonly missing: readonly string[];
  readonly unusable: readonly string[];
};

type Identified = { readonly metadata: { readonly uid?: string; readonly generation?: number } };
const identity = ({ metadata }: Identified) => ({ uid: metadata.uid ?? "", generation: metadata.generation ?? 1 });
const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
const invalid = (message: string): Refused => ({ reason: "InvalidSpec", message });

/**
 * Raise it with every change after which the same object makes another entry: a start takes entries of a boot copy for right by
 * the object's uid and generation alone, and only another revision makes it compile them all anew.
 */
export const COMPILER_REVISION = "2";

/** Tells the two outcomes of {@link clusterEntry}, {@link tenantEntry} and {@link templateEntry} apart. */
export const isRefused = (value: BundleEntry | Compiled | Refused): value is Refused => "reason" in value;

/** The cluster's own entry: limits, delivery, channels, platform keys, tracing. Refused: `InvalidSpec`. */
export function clusterEntry(cluster: NexusCluster, read: SecretReader): Compiled<EntryOf<"cluster">> | Refused {
  const { spec, metadata } = cluster;
  const { tracing } = spec.monitoring;
  const complaint = channelsComplaint(spec.channels ?? []);
  if (complaint !== undefined) return invalid(complaint);
  const missing: string[] = [];
  const platformKeys = [...(spec.platformKeys ?? [])].sort(byName).map((key) => {
    const ref = key.secretRef ?? { name: childNames(metadata.name).platformKey(key.name), key: "key" };
    const hashes = [...keyHashes(read, namespaceOf(cluster), ref)];
    if (hashes.length === 0) missing.push(named(ref));
    return { name: key.name, hashes };
  });
  const settings: ClusterSettings = {
    tenancy: spec.tenancy,
    limits: spec.limits,
    delivery: spec.delivery,
    channels: spec.channels ?? [],
    platform_keys: platformKeys.filter((key) => key.hashes.length > 0),
    ...(tracing ? { tracing: { endpoint: tracing.endpoint, sample_percent: tracing.samplePercent } } : {}),
  };
  return { entry: sealEntry({ kind: "cluster", id: CLUSTER_ENTRY_ID, ...identity(cluster), spec: settings }), missing, unusable: [] };
}

/** A tenant's entry. An issuer or key without its Secret is left out and named; the rest works. Refused: `InvalidSpec`. */
export function tenantEntry({ tenant, tenantId }: AcceptedTenant, read: SecretReader): Compiled<EntryOf<"tenant">> | Refused {
  const { spec } = tenant;
  const complaint = channelsComplaint(spec.channels ?? []);
  if (complaint !== undefined) return invalid(complaint);
  const namespace = namespaceOf(tenant);
  const missing: string[] = [];
  const unusable: string[] = [];
  const issuers: TenantIssuer[] = [];
  for (const issuer of [...(spec.auth.issuers ?? [])].sort(byName)) {
    const outcome = issuerKey(issuer, namespace, read);
    if (outcome.kind === "key") issuers.push(issuerSettings(issuer, outcome.key));
    else (outcome.kind === "missing" ? missing : unusable).push(outcome.what);
  }
  const apiKeys = [...(spec.auth.apiKeys ?? [])].sort(byName).map(({ name, scopes, secretRef }) => {
    const ref = secretRef ?? { name: apiKeySecretName(tenant.metadata.name, name), key: "key" };
    const hashes = [...keyHashes(read, namespace, ref)];
    if (hashes.length === 0) missing.push(named(ref));
    return { name, scopes: [...scopes].sort(), hashes };
  });
  const settings: TenantSettings = {
    suspended: spec.suspended,
    issuers,
    api_keys: apiKeys.filter((key) => key.hashes.length > 0),
    quotas: spec.quotas,
    channels: spec.channels ?? [],
    allowed_origins: [...(spec.allowedOrigins ?? [])].sort(),
    origin: { namespace, name: tenant.metadata.name },
    ...(spec.deletionPolicy === "Delete" ? { deletion_policy: "Delete" as const } : {}),
  };
  return { entry: sealEntry({ kind: "tenant", id: tenantId, ...identity(tenant), spec: settings }), missing, unusable };
}

type IssuerSpec = NonNullable<AcceptedTenant["tenant"]["spec"]["auth"]["issuers"]>[number];

const issuerSettings = (issuer: IssuerSpec, key: TenantIssuer["key"]): TenantIssuer => ({
  name: issuer.name,
  ...(issuer.issuer === undefined ? {} : { issuer: issuer.issuer }),
  audiences: [...(issuer.audiences ?? [])].sort(),
  algorithms: [...issuer.algorithms].sort(),
  key,
  clock_skew_seconds: issuer.clockSkewSeconds,
});

/** A template's entry, or why servers could not use it: `InvalidSpec`. A text instead of a payload is the payload. */
export function templateEntry({ template, owner, templateId }: AcceptedTemplate): EntryOf<"template"> | Refused {
  const { spec } = template;
  const complaint = payloadComplaint(spec, owner.tenant.spec.quotas.payloadBytes);
  if (complaint !== undefined) return invalid(`${complaint.path} ${complaint.message}`);
  const settings: TemplateSettings = {
    tenant_id: owner.tenantId,
    template_id: templateId,
    event_type: spec.eventType,
    priority: spec.priority,
    ...(spec.ttlSeconds === undefined ? {} : { ttl_seconds: spec.ttlSeconds }),
    engine: spec.engine,
    variables: [...(spec.variables ?? [])].sort(byName),
    payload: spec.payloadText ?? spec.payload,
    locales: (spec.locales ?? [])
      .map(({ locale, payload, payloadText }) => ({ locale, payload: payloadText ?? payload }))
      .sort((a, b) => (a.locale < b.locale ? -1 : 1)),
  };
  return sealEntry({ kind: "template", id: templateEntryId(owner.tenantId, templateId), ...identity(template), spec: settings });
}

/** What people should know about a template that works; sentences. */
export const templateWarnings = ({ template }: AcceptedTemplate): readonly string[] => placeholderWarnings(template.spec);

type Source = AcceptedTenant["cluster"] | AcceptedTenant["tenant"] | AcceptedTemplate["template"];

/** One object and what is to be said about it. */
export type Remark = {
  readonly kind: Source["kind"];
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly message: string;
};
/** `SecretNotFound` on a cluster or tenant names something that was left out of an entry that exists all the same. */
export type Rejected = Remark & { readonly reason: ConditionReason };

export type Bundle = {
  readonly entries: readonly BundleEntry[];
  readonly rejected: readonly Rejected[];
  readonly warnings: readonly Remark[];
};

/**
 * Every entry of one cluster, sorted by key. What is refused is left out and reported, and never blocks the rest. Of two
 * objects with the same id the older stays (creationTimestamp, uid, then namespace/name), the other is `NameConflict`.
 */
export function compileBundle(input: {
  readonly cluster: NexusCluster;
  readonly tenants: readonly AcceptedTenant[];
  readonly templates: readonly AcceptedTemplate[];
  readonly secrets: SecretReader;
}): Bundle {
  const entries = new Map<string, BundleEntry>();
  const rejected: Rejected[] = [];
  const warnings: Remark[] = [];
  const take = (source: Source, result: BundleEntry | Compiled | Refused): void => {
    if (isRefused(result)) {
      rejected.push({ ...remark(source, result.message), reason: result.reason });
      return;
    }
    const { entry, missing, unusable } = "entry" in result ? result : { entry: result, missing: [], unusable: [] };
    entries.set(entryKey(entry), entry);
    for (const what of missing) rejected.push({ ...remark(source, `${what} is missing or empty`), reason: "SecretNotFound" });
    for (const what of unusable) rejected.push({ ...remark(source, what), reason: "InvalidSpec" });
  };
  take(input.cluster, clusterEntry(input.cluster, input.secrets));
  for (const { item, conflict } of inOrder(
    input.tenants,
    (one) => one.tenant,
    (one) => one.tenantId,
  ))
    take(item.tenant, conflict ?? tenantEntry(item, input.secrets));
  const idOf = (one: AcceptedTemplate) => templateEntryId(one.owner.tenantId, one.templateId);
  for (const { item, conflict } of inOrder(input.templates, (one) => one.template, idOf)) {
    take(item.template, conflict ?? templateEntry(item));
    if (!conflict) for (const message of templateWarnings(item)) warnings.push(remark(item.template, message));
  }
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return { entries: sorted, rejected, warnings };
}

const remark = (source: Source, message: string): Remark => ({
  kind: source.kind,
  namespace: namespaceOf(source),
  name: source.metadata.name,
  ...identity(source),
  message,
});

/** Oldest first; a later one with an id that is taken comes with its refusal. */
function* inOrder<T>(
  items: readonly T[],
  source: (item: T) => Source,
  id: (item: T) => string,
): Generator<{ item: T; conflict?: Refused }> {
  const taken = new Set<string>();
  for (const item of [...items].sort((a, b) => precedence(source(a), source(b)))) {
    if (taken.has(id(item))) yield { item, conflict: { reason: "NameConflict", message: `the id ${id(item)} belongs to an older object` } };
    else yield { item };
    taken.add(id(item));
  }
}

function precedence(a: Source, b: Source): number {
  if (isOlder(a, b)) return -1;
  if (isOlder(b, a)) return 1;
  return keyOfObject(a) < keyOfObject(b) ? -1 : 1;
}
