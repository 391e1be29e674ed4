// Why: turns accepted resources into the entries of a cluster's configuration. The operator and `nexus dev` call the same
// functions. Pure and deterministic: no clock, no API, no I/O; one entry never depends on another.
import {
  type BundleEntry,
  CLUSTER_ENTRY_ID,
  type ClusterSettings,
  sealEntry,
  type TemplateSettings,
  type TenantIssuer,
  type TenantSettings,
  templateEntryId,
} from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { SecretKeyRef } from "@nexus/protocol/resources/fields.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { type AcceptedTemplate, type AcceptedTenant, namespaceOf, type Refused } from "./acceptance.ts";
import { apiKeySecretName, childNames } from "./names.ts";
import { payloadComplaint } from "./payload.ts";

/** Bytes of a key of a Secret; undefined when the Secret or the key is not there. */
export type SecretReader = (namespace: string, name: string, key: string) => Uint8Array | undefined;

/** An entry, and what could not be compiled into it. A missing Secret leaves out only what needs it. */
export type Compiled<E extends BundleEntry = BundleEntry> = { readonly entry: E; readonly missing: readonly string[] };
type EntryOf<K extends BundleEntry["kind"]> = Extract<BundleEntry, { kind: K }>;

/** Where a generated key keeps the one it replaced, and until when that is valid. */
export const PREVIOUS_KEY = "previous";
export const PREVIOUS_UNTIL = "previous-not-after";

type Identified = { readonly metadata: { readonly uid?: string; readonly generation?: number } };
const identity = ({ metadata }: Identified) => ({ uid: metadata.uid ?? "", generation: metadata.generation ?? 1 });

/** Hashes of a key's value: the present one, and the replaced one while it overlaps. */
function hashesOf(read: SecretReader, namespace: string, ref: SecretKeyRef): { sha256: string; not_after?: string }[] {
  const present = read(namespace, ref.name, ref.key);
  if (present === undefined || present.length === 0) return [];
  const previous = read(namespace, ref.name, PREVIOUS_KEY);
  const until = read(namespace, ref.name, PREVIOUS_UNTIL);
  const hashes: { sha256: string; not_after?: string }[] = [{ sha256: sha256(present) }];
  if (previous && until) hashes.push({ sha256: sha256(previous), not_after: Buffer.from(until).toString() });
  return hashes;
}

const named = (ref: SecretKeyRef): string => `Secret ${ref.name} with key ${ref.key}`;

/** The cluster's own entry: limits, delivery, channels, platform keys. */
export function clusterEntry(cluster: NexusCluster, read: SecretReader): Compiled<EntryOf<"cluster">> {
  const { spec, metadata } = cluster;
  const missing: string[] = [];
  const platformKeys = (spec.platformKeys ?? []).map((key) => {
    const ref = key.secretRef ?? { name: childNames(metadata.name).platformKey(key.name), key: "key" };
    const hashes = hashesOf(read, namespaceOf(cluster), ref);
    if (hashes.length === 0) missing.push(named(ref));
    return { name: key.name, hashes };
  });
  const settings: ClusterSettings = {
    tenancy: spec.tenancy,
    limits: spec.limits,
    delivery: spec.delivery,
    channels: spec.channels ?? [],
    platform_keys: platformKeys.sort(byName),
  };
  return { entry: sealEntry({ kind: "cluster", id: CLUSTER_ENTRY_ID, ...identity(cluster), spec: settings }), missing };
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);

/** A tenant's entry. An issuer or key whose Secret is missing is left out and named in `missing`; the rest works. */
export function tenantEntry({ tenant, tenantId }: AcceptedTenant, read: SecretReader): Compiled<EntryOf<"tenant">> {
  const { spec } = tenant;
  const namespace = namespaceOf(tenant);
  const missing: string[] = [];
  const issuers: TenantIssuer[] = [];
  for (const issuer of [...(spec.auth.issuers ?? [])].sort(byName)) {
    const key = issuerKey(issuer, namespace, read);
    if (typeof key === "string") missing.push(key);
    else {
      issuers.push({
        name: issuer.name,
        ...(issuer.issuer === undefined ? {} : { issuer: issuer.issuer }),
        audiences: [...(issuer.audiences ?? [])].sort(),
        algorithms: [...issuer.algorithms].sort(),
        key,
        clock_skew_seconds: issuer.clockSkewSeconds,
      });
    }
  }
  const apiKeys = [...(spec.auth.apiKeys ?? [])].sort(byName).map(({ name, scopes, secretRef }) => {
    const ref = secretRef ?? { name: apiKeySecretName(tenant.metadata.name, name), key: "key" };
    const hashes = hashesOf(read, namespace, ref);
    if (hashes.length === 0) missing.push(named(ref));
    return { name, scopes: [...scopes].sort(), hashes };
  });
  const settings: TenantSettings = {
    suspended: spec.suspended,
    issuers,
    api_keys: apiKeys,
    quotas: spec.quotas,
    channels: spec.channels ?? [],
    allowed_origins: [...(spec.allowedOrigins ?? [])].sort(),
  };
  return { entry: sealEntry({ kind: "tenant", id: tenantId, ...identity(tenant), spec: settings }), missing };
}

type IssuerSpec = NonNullable<AcceptedTenant["tenant"]["spec"]["auth"]["issuers"]>[number];

/** The verification key, or the name of the Secret that is not there. */
function issuerKey(issuer: IssuerSpec, namespace: string, read: SecretReader): TenantIssuer["key"] | string {
  if (issuer.jwksURL !== undefined) return { type: "jwks", url: issuer.jwksURL };
  const ref = issuer.secretRef ?? issuer.publicKeySecretRef;
  if (!ref) return `issuer ${issuer.name} without a key`; // the CRD refuses it; files are checked less strictly
  const bytes = read(namespace, ref.name, ref.key);
  if (bytes === undefined || bytes.length === 0) return named(ref);
  return issuer.secretRef
    ? { type: "secret", base64: Buffer.from(bytes).toString("base64") }
    : { type: "public", pem: Buffer.from(bytes).toString() };
}

/** A template's entry, or why servers could not use it. */
export function templateEntry({ template, owner, templateId }: AcceptedTemplate): EntryOf<"template"> | Refused {
  const { spec } = template;
  if (spec.engine !== "Simple")
    return { reason: "NotSupported", message: `spec.engine ${spec.engine} is not supported by this version: use Simple` };
  const complaint = payloadComplaint(spec, owner.tenant.spec.quotas.payloadBytes);
  if (complaint !== undefined) return { reason: "InvalidSpec", message: complaint };
  const settings: TemplateSettings = {
    tenant_id: owner.tenantId,
    template_id: templateId,
    event_type: spec.eventType,
    priority: spec.priority,
    ...(spec.ttlSeconds === undefined ? {} : { ttl_seconds: spec.ttlSeconds }),
    engine: spec.engine,
    variables: [...(spec.variables ?? [])].sort(byName),
    payload: spec.payload,
    locales: [...(spec.locales ?? [])].sort((a, b) => (a.locale < b.locale ? -1 : 1)),
  };
  return sealEntry({ kind: "template", id: templateEntryId(owner.tenantId, templateId), ...identity(template), spec: settings });
}

export const isRefused = (value: BundleEntry | Refused): value is Refused => "reason" in value;

/** Every entry of one cluster, in no particular order; objects that are refused are left out, and never block the rest. */
export function compileBundle(input: {
  readonly cluster: NexusCluster;
  readonly tenants: readonly AcceptedTenant[];
  readonly templates: readonly AcceptedTemplate[];
  readonly read: SecretReader;
}): readonly BundleEntry[] {
  const entries: BundleEntry[] = [clusterEntry(input.cluster, input.read).entry];
  for (const tenant of input.tenants) entries.push(tenantEntry(tenant, input.read).entry);
  for (const template of input.templates) {
    const entry = templateEntry(template);
    if (!isRefused(entry)) entries.push(entry);
  }
  return entries;
}
