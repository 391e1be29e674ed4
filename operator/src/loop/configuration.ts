// Why: one cluster's configuration from everything that is known: which objects belong to it, their entries, and what keeps
// others out. Entries are compiled again only when their object, or what it depends on, changed. It must never be asked
// before every store has its first list: what is not known yet would look deleted.
import { type BundleEntry, entryKey, templateEntryId } from "@nexus/protocol/bundle.ts";
import { canonicalJson } from "@nexus/protocol/canonical.ts";
import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import { PAUSED_ANNOTATION } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { type AcceptedTemplate, acceptTemplate, acceptTenant, keyOfObject, namespaceOf, type World } from "../desired/acceptance.ts";
import { clusterEntry, isRefused, templateEntry, tenantEntry } from "../desired/bundle.ts";
import { apiKeySecretName, childNames } from "../desired/names.ts";
import type { SecretSource } from "./secret-source.ts";
import type { Views } from "./views.ts";

/** What compiling one object came to; `key` is its entry's. */
export type CompiledObject =
  | {
      readonly kind: "entry";
      readonly key: string;
      readonly id: string;
      readonly missing: readonly string[];
      readonly unusable: readonly string[];
    }
  | { readonly kind: "refused"; readonly refused: Refused }
  /** Its annotation says so: what pods have of it stays. */
  | { readonly kind: "paused" };

export const isPaused = ({ metadata }: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }): boolean =>
  metadata.annotations?.[PAUSED_ANNOTATION] === "true";

export type Configuration = {
  readonly entries: readonly BundleEntry[];
  /** Entries that stay as they are: the object is accepted, its new version cannot be used. */
  readonly keep: ReadonlySet<string>;
  /** Secrets of the cluster's own that are missing, and why its entry cannot be used. */
  readonly missing: readonly string[];
  readonly refused: Refused | undefined;
  /** A Secret of the cluster or of a Tenant is missing: it may come without an event. */
  readonly waitsForSecrets: boolean;
  /** Objects of which something else became than the last time. */
  readonly changed: readonly { readonly kind: AttachedKind; readonly key: string }[];
};

type AttachedKind = "tenant" | "template";
/** What became of one version of an object. */
type Judged = { readonly uid: string; readonly generation: number; readonly result: CompiledObject };

type Memo = {
  readonly template: Template;
  readonly tenantId: string;
  readonly quota: number;
  readonly result: ReturnType<typeof templateEntry>;
};

export class Configurations {
  readonly #views: Views;
  readonly #world: World;
  readonly #secrets: SecretSource;
  /** By template key; dropped with the template. */
  readonly #memo = new Map<string, Memo>();
  /** Outcome of the last pass, by `tenant:ns/name` and `template:ns/name`. */
  readonly #outcomes = new Map<string, Judged>();

  constructor(options: { readonly views: Views; readonly world: World; readonly secrets: SecretSource }) {
    this.#views = options.views;
    this.#world = options.world;
    this.#secrets = options.secrets;
  }

  /** Every entry of a cluster. Reads Secrets that are not known yet; rejects with `KubeError` when that fails. */
  async compile(cluster: NexusCluster): Promise<Configuration> {
    const clusterKey = keyOfObject(cluster);
    const tenants = this.#views.tenants.byIndex("cluster", clusterKey);
    await this.#secrets.load(secretsOf(cluster, tenants));
    const own = clusterEntry(cluster, this.#secrets.read);
    const entries: BundleEntry[] = [];
    const keep = new Set<string>();
    const changed: { kind: AttachedKind; key: string }[] = [];
    let waitsForSecrets = false;
    const judged = (object: Tenant | Template, result: CompiledObject) => {
      const kind = object.kind === "Tenant" ? "tenant" : "template";
      if (this.#judge(kind, object, result)) changed.push({ kind, key: keyOfObject(object) });
    };
    if (isRefused(own)) keep.add("cluster:cluster");
    else entries.push(own.entry);
    for (const tenant of tenants) {
      const key = keyOfObject(tenant);
      const outcome = this.#tenant(tenant);
      judged(tenant, outcome.result);
      if (outcome.result.kind === "entry" && outcome.result.missing.length > 0) waitsForSecrets = true;
      if (outcome.entry) entries.push(outcome.entry);
      if (outcome.keep) keep.add(outcome.keep);
      for (const template of this.#views.templates.byIndex("tenant", key)) judged(template, this.#addTemplate(template, entries, keep));
    }
    const missing = isRefused(own) ? [] : own.missing;
    return {
      entries,
      keep,
      changed,
      missing,
      waitsForSecrets: waitsForSecrets || missing.length > 0,
      refused: isRefused(own) ? own : undefined,
    };
  }

  /** What became of an object; judged now when no pass has reached it (its cluster or tenant may not exist). */
  outcome(kind: "tenant" | "template", key: string): CompiledObject | undefined {
    const known = this.#outcomes.get(`${kind}:${key}`);
    const object = kind === "tenant" ? this.#views.tenants.get(key) : this.#views.templates.get(key);
    if (!object) {
      this.#outcomes.delete(`${kind}:${key}`);
      if (kind === "template") this.#memo.delete(key);
      return undefined;
    }
    const verdict = object.kind === "Tenant" ? acceptTenant(object, this.#world) : acceptTemplate(object, this.#world);
    if (!verdict.ok) return { kind: "refused", refused: verdict.refused };
    // What became of another version says nothing about this one.
    const isThisVersion = known?.uid === object.metadata.uid && known?.generation === object.metadata.generation;
    return isThisVersion ? known?.result : undefined;
  }

  /** Takes down what became of an object; true when that is news. */
  #judge(kind: AttachedKind, object: Tenant | Template, result: CompiledObject): boolean {
    const key = `${kind}:${keyOfObject(object)}`;
    const { uid = "", generation = 1 } = object.metadata;
    const known = this.#outcomes.get(key);
    this.#outcomes.set(key, { uid, generation, result });
    return known?.uid !== uid || known.generation !== generation || canonicalJson(known.result) !== canonicalJson(result);
  }

  #tenant(tenant: Parameters<typeof acceptTenant>[0]): {
    readonly result: CompiledObject;
    readonly entry?: BundleEntry;
    readonly keep?: string;
  } {
    const verdict = acceptTenant(tenant, this.#world);
    if (!verdict.ok) return { result: { kind: "refused", refused: verdict.refused } };
    const { tenantId } = verdict.value;
    const key = `tenant:${tenantId}`;
    if (isPaused(tenant)) return { result: { kind: "paused" }, keep: key };
    const compiled = tenantEntry(verdict.value, this.#secrets.read);
    if (isRefused(compiled)) return { result: { kind: "refused", refused: compiled }, keep: key };
    const { entry, missing, unusable } = compiled;
    return { result: { kind: "entry", key, id: tenantId, missing, unusable }, entry };
  }

  #addTemplate(template: Template, entries: BundleEntry[], keep: Set<string>): CompiledObject {
    const key = keyOfObject(template);
    const verdict = acceptTemplate(template, this.#world);
    if (!verdict.ok) return { kind: "refused", refused: verdict.refused };
    const entry = `template:${templateEntryId(verdict.value.owner.tenantId, verdict.value.templateId)}`;
    if (isPaused(template)) {
      keep.add(entry);
      return { kind: "paused" };
    }
    const compiled = this.#compileTemplate(key, verdict.value);
    if (isRefused(compiled)) {
      keep.add(entry);
      return { kind: "refused", refused: compiled };
    }
    entries.push(compiled);
    return { kind: "entry", key: entryKey(compiled), id: verdict.value.templateId, missing: [], unusable: [] };
  }

  #compileTemplate(key: string, accepted: AcceptedTemplate): ReturnType<typeof templateEntry> {
    const { template, owner } = accepted;
    const quota = owner.tenant.spec.quotas.payloadBytes;
    const memo = this.#memo.get(key);
    if (memo && memo.template === template && memo.tenantId === owner.tenantId && memo.quota === quota) return memo.result;
    const result = templateEntry(accepted);
    this.#memo.set(key, { template, tenantId: owner.tenantId, quota, result });
    return result;
  }
}

type TenantObject = Parameters<typeof acceptTenant>[0];

/** Every Secret the entries are made of, by namespace and name. */
export function secretsOf(cluster: NexusCluster, tenants: readonly TenantObject[]): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (const key of cluster.spec.platformKeys ?? []) {
    found.push([namespaceOf(cluster), key.secretRef?.name ?? childNames(cluster.metadata.name).platformKey(key.name)]);
  }
  for (const tenant of tenants) {
    const namespace = namespaceOf(tenant);
    for (const key of tenant.spec.auth.apiKeys ?? [])
      found.push([namespace, key.secretRef?.name ?? apiKeySecretName(tenant.metadata.name, key.name)]);
    for (const issuer of tenant.spec.auth.issuers ?? []) {
      const ref = issuer.secretRef ?? issuer.publicKeySecretRef;
      if (ref) found.push([namespace, ref.name]);
    }
  }
  return found;
}
