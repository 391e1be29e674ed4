// Why: one cluster's configuration from everything that is known: which objects belong to it, their entries, and what keeps
// others out. Entries are compiled again only when their object, or what it depends on, changed. It must never be asked
// before every store has its first list: what is not known yet would look deleted.
import { type BundleEntry, entryKey, templateEntryId } from "@nexus/protocol/bundle.ts";
import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
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
  | { readonly kind: "refused"; readonly refused: Refused };

export type Configuration = {
  readonly entries: readonly BundleEntry[];
  /** Entries that stay as they are: the object is accepted, its new version cannot be used. */
  readonly keep: ReadonlySet<string>;
  /** Secrets of the cluster's own that are missing, and why its entry cannot be used. */
  readonly missing: readonly string[];
  readonly refused: Refused | undefined;
};

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
  readonly #outcomes = new Map<string, CompiledObject>();

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
    if (isRefused(own)) keep.add("cluster:cluster");
    else entries.push(own.entry);
    for (const tenant of tenants) {
      const key = keyOfObject(tenant);
      const outcome = this.#tenant(tenant);
      this.#outcomes.set(`tenant:${key}`, outcome.result);
      if (outcome.entry) entries.push(outcome.entry);
      if (outcome.keep) keep.add(outcome.keep);
      for (const template of this.#views.templates.byIndex("tenant", key)) this.#addTemplate(template, entries, keep);
    }
    return { entries, keep, missing: isRefused(own) ? [] : own.missing, refused: isRefused(own) ? own : undefined };
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
    return known;
  }

  #tenant(tenant: Parameters<typeof acceptTenant>[0]): {
    readonly result: CompiledObject;
    readonly entry?: BundleEntry;
    readonly keep?: string;
  } {
    const verdict = acceptTenant(tenant, this.#world);
    if (!verdict.ok) return { result: { kind: "refused", refused: verdict.refused } };
    const { tenantId } = verdict.value;
    const compiled = tenantEntry(verdict.value, this.#secrets.read);
    const key = `tenant:${tenantId}`;
    if (isRefused(compiled)) return { result: { kind: "refused", refused: compiled }, keep: key };
    const { entry, missing, unusable } = compiled;
    return { result: { kind: "entry", key, id: tenantId, missing, unusable }, entry };
  }

  #addTemplate(template: Template, entries: BundleEntry[], keep: Set<string>): void {
    const key = keyOfObject(template);
    const verdict = acceptTemplate(template, this.#world);
    if (!verdict.ok) {
      this.#outcomes.set(`template:${key}`, { kind: "refused", refused: verdict.refused });
      return;
    }
    const compiled = this.#compileTemplate(key, verdict.value);
    if (isRefused(compiled)) {
      keep.add(`template:${templateEntryId(verdict.value.owner.tenantId, verdict.value.templateId)}`);
      this.#outcomes.set(`template:${key}`, { kind: "refused", refused: compiled });
      return;
    }
    entries.push(compiled);
    this.#outcomes.set(`template:${key}`, {
      kind: "entry",
      key: entryKey(compiled),
      id: verdict.value.templateId,
      missing: [],
      unusable: [],
    });
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
