// Why: keeps the entries of one cluster equal to its objects by looking at what changed, a slice at a time, so that an edit never
// waits for a walk over everything. A whole walk happens at the start, against the boot copy, and over Tenants when their
// Secrets may have changed. It changes no book and writes nothing: the caller does, with what a step came to.
import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTenant, effectiveTemplateId, effectiveTenantId, keyOfObject, tenantKeyOf } from "../../desired/acceptance.ts";
import { clusterEntry, isRefused } from "../../desired/bundle.ts";
import type { Clock } from "../clock.ts";
import type { Mark } from "../push-bucket.ts";
import type { SecretSource } from "../secret-source.ts";
import type { TemplateIndex } from "../template-index.ts";
import type { Draft } from "./draft.ts";
import { type SecretName, secretsOfCluster, secretsToRead } from "./secrets.ts";
import { idsOf, isTemplateKey, type TemplateDeps, TemplateJudge, templateKey } from "./templates.ts";
import { isTenantKey, type TenantDeps, TenantJudge, tenantEntryKey, tenantIdOf } from "./tenants.ts";
import { ConfigWork, type WorkItem } from "./work.ts";

export type ConfigurationDeps = Omit<TemplateDeps, "seesLess"> & {
  /** The bundle was made by an operator that saw more than this one. */
  readonly seesLess: boolean;
  readonly clusterKey: string;
  readonly secrets: SecretSource;
  readonly clock: Clock;
  readonly mustPurge: TenantDeps["mustPurge"];
  /** Entries in the book may differ from what their objects make today. */
  readonly isOutdated: boolean;
  /** Somebody else leads: no Secret is read, and no tenant takes an id over. What would need that is looked at with the lead. */
  readonly isStandby: boolean;
};

/** What of the cluster's own entry is missing or refused. */
export type OwnFound = { readonly missing: readonly string[]; readonly refused: Refused | undefined };

/** How long one step may keep the event loop, in milliseconds, and how many Tenants it may read Secrets for. */
const SLICE_MS = 12;
const TENANTS_A_STEP = 64;
/** Secrets that nobody watches are read again after this long. */
const RESYNC_MS = 300_000;
/** A Secret that is missing, or of no use, may be mended without an event. */
const MISSING_MS = 10_000;
const CLUSTER_KEY = "cluster:cluster";

export class ClusterConfiguration {
  readonly #deps: ConfigurationDeps;
  readonly #work = new ConfigWork();
  readonly #tenants: TenantJudge;
  readonly #templates: TemplateJudge;
  /** Keys that are looked at with the lead. */
  readonly #deferred = new Set<string>();
  #isStandby: boolean;
  #seesLess: boolean;
  #own: OwnFound = { missing: [], refused: undefined };
  #resyncMs: number;
  #missingMs = 0;

  /** Begins with a walk over everything, the live bundle included. */
  constructor(deps: ConfigurationDeps) {
    this.#deps = deps;
    this.#isStandby = deps.isStandby;
    this.#seesLess = deps.seesLess;
    const seesLess = () => this.#seesLess;
    const mustPurge: TenantDeps["mustPurge"] = (tenantId, heir) => this.#isStandby || deps.mustPurge(tenantId, heir);
    this.#tenants = new TenantJudge({ ...deps, seesLess, mustPurge, read: deps.secrets.read });
    this.#templates = new TemplateJudge({ ...deps, seesLess });
    this.#resyncMs = deps.clock.monotonicMs() + RESYNC_MS;
    this.#work.later([CLUSTER_KEY]);
    this.#work.later(this.#tenantKeys());
    this.#work.later(this.#bookKeys(), true);
    // Tenants are compiled at every start.
    if (deps.isOutdated) for (const key of this.#bookKeys()) if (isTemplateKey(key)) this.#work.force(key);
  }

  get own(): OwnFound {
    return this.#own;
  }

  get isStandby(): boolean {
    return this.#isStandby;
  }

  /** Nothing is left to look at or to read: the book is what the objects say. */
  get isComplete(): boolean {
    return this.#work.isEmpty && this.#templates.unread.size === 0;
  }

  get hasWork(): boolean {
    return !this.#work.isEmpty;
  }

  /** Templates whose content has to be read before there is more to say, by object key. */
  get unread(): ReadonlyMap<string, unknown> {
    return this.#templates.unread;
  }

  /** When there is something to look at without an event, in milliseconds from now. */
  get againMs(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    const missing = this.#waitsForSecrets ? this.#missingMs - nowMs : Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(this.#resyncMs - nowMs, missing));
  }

  cluster(hasOtherRules: boolean): void {
    this.#work.edit(CLUSTER_KEY);
    if (hasOtherRules) this.#work.later(this.#tenantKeys());
  }

  tenant(tenant: Tenant): void {
    this.#work.edit(tenantEntryKey(effectiveTenantId(tenant)));
  }

  template(tenant: Tenant, template: TemplateIndex): void {
    this.#work.edit(templateKey(effectiveTenantId(tenant), effectiveTemplateId(template)));
  }

  /** Something beside the objects changed for an entry. */
  look(entryKey: string): void {
    this.#work.edit(entryKey);
  }

  /**
   * With the lead: looks at what was left for it, and at what no pod is known to have, by then in the boot copy's form. Everything
   * else was looked at when it changed.
   */
  lead({ seesLess }: { readonly seesLess: boolean }): void {
    if (!this.#isStandby) return;
    this.#isStandby = false;
    this.#seesLess = seesLess;
    this.#resyncMs = this.#deps.clock.monotonicMs() + RESYNC_MS;
    this.#work.later([CLUSTER_KEY, ...this.#deferred]);
    this.#work.later(this.#templateKeysOf(new Set([...this.#deferred].filter(isTenantKey).map(tenantIdOf))), true);
    this.#deferred.clear();
    this.#work.later(this.#unacknowledgedKeys(), true);
  }

  /** The boot copy had another word on these entries, and the book took it over. */
  adopted(entryKeys: readonly string[]): void {
    const tenantIds = new Set(entryKeys.filter((key) => !isTemplateKey(key)).map((key) => key.slice(key.indexOf(":") + 1)));
    this.#work.later([...tenantIds].map(tenantEntryKey), true); // a tombstone stands, or stood, for its tenant
    this.#work.later(entryKeys.filter(isTemplateKey), true);
    this.#work.later(this.#templateKeysOf(tenantIds), true);
  }

  /** Of what a step let go of: whether that can be so without a leader's word on its tenant, which is there as the book knows it. */
  mayDrop(entryKey: string): boolean {
    if (!isTemplateKey(entryKey)) return false;
    const { tenantId } = idsOf(entryKey);
    const owner = this.#tenants.owner(tenantId)?.tenant;
    return owner !== undefined && this.#deps.book.mark(tenantEntryKey(tenantId))?.uid === owner.metadata.uid;
  }

  /** To be looked at with the lead, as if something had just happened to it. */
  defer(entryKey: string): void {
    this.#deferred.add(entryKey);
  }

  /** Whether the entry under this key is what its object makes, so that nobody has to compile it again to know. */
  isCurrent(entryKey: string, mark: Mark): boolean {
    return isTemplateKey(entryKey) && this.#templates.isCurrent(entryKey, this.#tenants.owner(idsOf(entryKey).tenantId), mark);
  }

  /** What another revision of the compiler made is compiled again although object and entry agree. */
  force(entryKey: string): void {
    if (isTemplateKey(entryKey)) this.#work.force(entryKey);
  }

  /** The object is not there: nothing has to be read for it. */
  vanished(objectKey: string): void {
    this.#templates.unread.delete(objectKey);
  }

  /**
   * Looks at the next things. Rejects with `KubeError` when a Secret cannot be read; what needs it is looked at again, and the
   * draft holds what the rest came to.
   */
  async step(cluster: NexusCluster, draft: Draft): Promise<void> {
    this.#whatTimeBrings();
    const untilMs = this.#deps.clock.monotonicMs() + SLICE_MS;
    const tenants: WorkItem[] = [];
    const failures: unknown[] = [];
    let isOwn = false;
    for (let item = this.#work.next(); item; item = this.#work.next()) {
      if (this.#waitsForLead(item, cluster)) this.#deferred.add(item.key);
      else if (isTemplateKey(item.key)) this.#templates.judge(item, this.#tenants.owner(idsOf(item.key).tenantId), draft);
      else if (isTenantKey(item.key)) tenants.push(item);
      else if (item.key === CLUSTER_KEY) isOwn = true;
      if (tenants.length >= TENANTS_A_STEP || this.#deps.clock.monotonicMs() >= untilMs) break;
    }
    if (isOwn) await this.#judgeCluster(cluster, draft).catch((error: unknown) => failures.push(error));
    await this.#judgeTenants(tenants, { draft, failures });
    if (failures.length > 0) throw failures[0];
  }

  /** Takes content that was read; see {@link unread}. */
  read(templates: readonly Template[], draft: Draft): void {
    const { views } = this.#deps;
    for (const template of templates) {
      const key = `${template.metadata.namespace}/${template.metadata.name}`;
      const item = this.#templates.unread.get(key);
      if (!item) continue;
      const tenant = views.tenants.get(tenantKeyOf(template));
      const owner = this.#tenants.owner(idsOf(item.key).tenantId);
      this.#templates.read(template, item, { owner: owner?.tenant === tenant ? owner : undefined, draft });
    }
  }

  get #waitsForSecrets(): boolean {
    return this.#tenants.waiting.size > 0 || this.#own.missing.length > 0;
  }

  #whatTimeBrings(): void {
    if (this.#isStandby) return; // what nobody watches is read by the leader
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs >= this.#resyncMs) {
      this.#resyncMs = nowMs + RESYNC_MS;
      this.cluster(true);
    }
    if (this.#waitsForSecrets && nowMs >= this.#missingMs) {
      this.#missingMs = nowMs + MISSING_MS;
      this.#work.later([CLUSTER_KEY, ...this.#tenants.waiting]);
    }
  }

  async #judgeCluster(cluster: NexusCluster, draft: Draft): Promise<void> {
    const { secrets, book } = this.#deps;
    await secrets.load(secretsOfCluster(cluster)).catch((error: unknown) => {
      this.#work.edit(CLUSTER_KEY);
      throw error;
    });
    const own = clusterEntry(cluster, secrets.read);
    this.#own = isRefused(own) ? { missing: [], refused: own } : { missing: own.missing, refused: undefined };
    if (this.#own.missing.length > 0) this.#doubt(secretsOfCluster(cluster));
    if (!isRefused(own) && book.mark(CLUSTER_KEY)?.digest !== own.entry.digest) draft.put.push(own.entry);
  }

  async #judgeTenants(
    items: readonly WorkItem[],
    { draft, failures }: { readonly draft: Draft; readonly failures: unknown[] },
  ): Promise<void> {
    const { secrets, views, world, clusterKey } = this.#deps;
    const load = async (item: WorkItem) => {
      try {
        for (const tenant of world.tenantsWithId(clusterKey, tenantIdOf(item.key))) {
          const isFirstLook = this.#tenants.isNew(tenantIdOf(item.key));
          if (acceptTenant(tenant, world).ok) await secrets.load(secretsToRead(tenant, isFirstLook));
        }
        return item;
      } catch (error) {
        failures.push(error);
        this.#work.edit(item.key);
        return undefined;
      }
    };
    for (const item of await Promise.all(items.map(load))) {
      if (!item) continue;
      this.#wakeOrphans(item, draft);
      for (const { tenantKey, isForced } of this.#tenants.judge(item, draft)) {
        const keys = views.templates.byIndex("tenant", tenantKey).map((one) => templateKey(tenantIdOf(item.key), effectiveTemplateId(one)));
        if (isForced) for (const key of keys) this.#work.force(key);
        this.#work.later(keys);
      }
      if (!this.#tenants.waiting.has(item.key)) continue;
      const owner = this.#tenants.owner(tenantIdOf(item.key));
      if (owner) this.#doubt(secretsToRead(owner.tenant, false));
    }
  }

  /** Somebody may be about to mend them: the next look is a new one. */
  #doubt(names: readonly SecretName[]): void {
    for (const [namespace, name] of names) this.#deps.secrets.doubt(`${namespace}/${name}`);
  }

  /** Templates of a Tenant that is not accepted are in no bundle: nothing else finds them. */
  #wakeOrphans(item: WorkItem, draft: Draft): void {
    const { world, views, clusterKey } = this.#deps;
    const owner = this.#tenants.owner(tenantIdOf(item.key));
    for (const tenant of world.tenantsWithId(clusterKey, tenantIdOf(item.key))) {
      if (tenant === owner?.tenant) continue;
      const templates = views.templates.byIndex("tenant", keyOfObject(tenant));
      for (const template of templates) draft.wake("template", keyOfObject(template), item.isEdit ? "now" : "first");
    }
  }

  *#tenantKeys(): Generator<string> {
    const { views, clusterKey } = this.#deps;
    for (const tenant of views.tenants.byIndex("cluster", clusterKey)) yield tenantEntryKey(effectiveTenantId(tenant));
  }

  /** A Secret that no watch brings, or an id that changes hands: both are the leader's to judge. */
  #waitsForLead({ key }: WorkItem, cluster: NexusCluster): boolean {
    if (!this.#isStandby || isTemplateKey(key)) return false;
    const { secrets, world, book, clusterKey } = this.#deps;
    if (key === CLUSTER_KEY) return !secrets.has(secretsOfCluster(cluster));
    const owner = this.#tenants.owner(tenantIdOf(key))?.tenant;
    const mark = book.mark(key);
    if (mark && mark.uid !== owner?.metadata.uid) return true;
    const claimants = world.tenantsWithId(clusterKey, tenantIdOf(key));
    return claimants.some((one) => !secrets.has(secretsToRead(one, this.#tenants.isNew(tenantIdOf(key)))));
  }

  *#templateKeysOf(tenantIds: ReadonlySet<string>): Generator<string> {
    if (tenantIds.size === 0) return;
    for (const key of this.#bookKeys()) if (isTemplateKey(key) && tenantIds.has(idsOf(key).tenantId)) yield key;
  }

  *#unacknowledgedKeys(): Generator<string> {
    for (const key of this.#bookKeys()) if (this.#deps.book.mark(key)?.acknowledged === false) yield key;
  }

  /** What lies in the live bundle: an entry whose object is gone is found by nothing else. */
  *#bookKeys(): Generator<string> {
    for (const key of this.#deps.book.keys()) if (isTemplateKey(key) || isTenantKey(key)) yield key;
  }
}
