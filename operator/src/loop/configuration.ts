// Why: the configurations of all clusters: what events mean for them, what became of an object, and the content of Templates
// that has to be read. It must never be asked before every store has its first list: what is not known yet would look deleted.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTemplate, acceptTenant, clusterKeyOf, keyOfObject, tenantKeyOf, type World } from "../desired/acceptance.ts";
import type { Clock } from "./clock.ts";
import { ClusterConfiguration } from "./config/cluster-configuration.ts";
import { type AttachedKind, type CompiledObject, Notes } from "./config/notes.ts";
import { idsOf, isTemplateKey, templateKey } from "./config/templates.ts";
import { isTenantKey, tenantEntryKey, tenantIdOf } from "./config/tenants.ts";
import { isPaused } from "./paused.ts";
import type { BundleBook } from "./push-book.ts";
import type { SecretSource } from "./secret-source.ts";
import type { TemplateBodies } from "./template-bodies.ts";
import type { TemplateIndex } from "./template-index.ts";
import type { Views } from "./views.ts";

export type ConfigurationsOptions = {
  readonly views: Views;
  readonly world: World;
  readonly secrets: SecretSource;
  readonly bodies: TemplateBodies;
  readonly clock: Clock;
  /** The live bundle of a cluster. */
  readonly book: (clusterKey: string) => BundleBook;
  /** See `TombstonePass.mustPurge`. */
  readonly mustPurge: (clusterKey: string, tenantId: string, heir: Tenant) => boolean;
};

export class Configurations {
  readonly #options: ConfigurationsOptions;
  readonly #notes = new Notes();
  readonly #clusters = new Map<string, ClusterConfiguration>();

  constructor(options: ConfigurationsOptions) {
    this.#options = options;
  }

  /**
   * A cluster's configuration; the first call begins its walk over everything, so its boot copy must be in the book. `seesLess`:
   * that copy was made by an operator that saw more than this one. `isOutdated`: by another revision of the compiler. `isStandby`: see
   * `ClusterConfiguration.lead`.
   */
  of(clusterKey: string, { seesLess = false, isOutdated = false, isStandby = false } = {}): ClusterConfiguration {
    const known = this.#clusters.get(clusterKey);
    if (known) return known;
    const { book, ...options } = this.#options;
    const mustPurge = (tenantId: string, heir: Tenant) => options.mustPurge(clusterKey, tenantId, heir);
    const made = new ClusterConfiguration({
      ...options,
      seesLess,
      isOutdated,
      isStandby,
      mustPurge,
      notes: this.#notes,
      clusterKey,
      book: book(clusterKey),
    });
    this.#clusters.set(clusterKey, made);
    return made;
  }

  known(clusterKey: string): ClusterConfiguration | undefined {
    return this.#clusters.get(clusterKey);
  }

  /** Whether what it comes to is ours to tell: somebody looked at it with the lead. */
  isLed(clusterKey: string): boolean {
    return this.known(clusterKey)?.isStandby === false;
  }

  forget(clusterKey: string): void {
    this.#clusters.delete(clusterKey);
  }

  onCluster(cluster: NexusCluster, previous: NexusCluster | undefined): void {
    const isSame = JSON.stringify(previous?.spec.allowedNamespaces) === JSON.stringify(cluster.spec.allowedNamespaces);
    this.known(keyOfObject(cluster))?.cluster(!isSame);
  }

  onTenant(tenant: Tenant): void {
    this.known(clusterKeyOf(tenant))?.tenant(tenant);
  }

  /** Answers the key of the cluster it belongs to, when its Tenant is known. */
  onTemplate(template: TemplateIndex): string | undefined {
    const tenant = this.#options.views.tenants.get(tenantKeyOf(template));
    if (!tenant) return undefined;
    this.known(clusterKeyOf(tenant))?.template(tenant, template);
    return clusterKeyOf(tenant);
  }

  /** The objects that stand, or want to stand, behind an entry of the cluster. */
  objectsOf(clusterKey: string, entryKey: string): readonly { readonly kind: AttachedKind; readonly key: string }[] {
    const { world } = this.#options;
    const tenantsWith = (id: string) => world.tenantsWithId(clusterKey, id).map(keyOfObject);
    if (isTenantKey(entryKey)) return tenantsWith(tenantIdOf(entryKey)).map((key) => ({ kind: "tenant", key }));
    if (!isTemplateKey(entryKey)) return [];
    const { tenantId, templateId } = idsOf(entryKey);
    return tenantsWith(tenantId)
      .flatMap((tenant) => world.templatesWithId(tenant, templateId))
      .map((template) => ({ kind: "template", key: keyOfObject(template) }));
  }

  /** What became of an object's present version; undefined while that is not decided. */
  outcome(kind: AttachedKind, key: string): CompiledObject | undefined {
    const { views, world } = this.#options;
    if (kind === "tenant") {
      const tenant = views.tenants.get(key);
      const verdict = tenant && acceptTenant(tenant, world);
      if (!verdict) this.#notes.drop(kind, key);
      if (!tenant || !verdict) return undefined;
      if (!verdict.ok) return { kind: "refused", refused: verdict.refused };
      const { tenantId, cluster } = verdict.value;
      const at = { clusterKey: keyOfObject(cluster), entryKey: tenantEntryKey(tenantId), id: tenantId };
      return isPaused(tenant) ? { kind: "paused" } : this.#decided(kind, tenant, at);
    }
    const template = views.templates.get(key);
    const verdict = template && acceptTemplate(template, world);
    if (!verdict) this.#notes.drop(kind, key);
    if (!template || !verdict) return undefined;
    if (!verdict.ok) return { kind: "refused", refused: verdict.refused };
    const { owner, templateId } = verdict.value;
    const at = { clusterKey: keyOfObject(owner.cluster), entryKey: templateKey(owner.tenantId, templateId), id: templateId };
    return template.isPaused ? { kind: "paused" } : this.#decided(kind, template, at);
  }

  #decided(
    kind: AttachedKind,
    { metadata }: Pick<TemplateIndex, "metadata">,
    { clusterKey, entryKey, id }: { readonly clusterKey: string; readonly entryKey: string; readonly id: string },
  ): CompiledObject | undefined {
    if (!this.isLed(clusterKey)) return undefined;
    const note = this.#notes.get(kind, keyOfObject({ metadata }), metadata);
    if (note) return note;
    const mark = this.#options.book(clusterKey).mark(entryKey);
    const isThisVersion = mark?.uid === (metadata.uid ?? "") && mark.generation === (metadata.generation ?? 1);
    return isThisVersion ? { kind: "entry", key: entryKey, id, missing: [], unusable: [] } : undefined;
  }
}
