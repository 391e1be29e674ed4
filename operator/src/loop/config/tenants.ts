// Why: which Tenant stands behind a tenant's entry, and what the entry must be; and whether its Templates have to be looked at
// again because of it. Secrets are read before, by the caller.
import { canonicalJson } from "@nexus/protocol/canonical.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { type AcceptedTenant, acceptTenant, keyOfObject, type World } from "../../desired/acceptance.ts";
import type { SecretReader } from "../../desired/bundle/credentials.ts";
import { isRefused, tenantEntry } from "../../desired/bundle.ts";
import { isPaused } from "../paused.ts";
import type { BundleBook } from "../push-book.ts";
import type { Draft } from "./draft.ts";
import type { Notes } from "./notes.ts";
import { secretsToRead } from "./secrets.ts";
import type { WorkItem } from "./work.ts";

export type TenantDeps = {
  readonly clusterKey: string;
  readonly world: World;
  readonly read: SecretReader;
  readonly notes: Notes;
  readonly book: BundleBook;
  /** See `TemplateDeps`. */
  readonly seesLess: () => boolean;
  /** Whether what is stored under an id must be purged before this Tenant may have it. */
  readonly mustPurge: (tenantId: string, heir: Tenant) => boolean;
};

/** What Templates depend on. `owner`: object key; `rules`: whose Templates are taken; `quota`: what their content may be. */
type Stamp = { readonly owner: string; readonly rules: string; readonly quota: number };
/** Tenants whose Templates have to be looked at, and whether they have to be compiled again. */
export type Follow = { readonly tenantKey: string; readonly isForced: boolean };

const PREFIX = "tenant:";
export const isTenantKey = (key: string): boolean => key.startsWith(PREFIX);
export const tenantIdOf = (key: string): string => key.slice(PREFIX.length);
export const tenantEntryKey = (tenantId: string): string => `${PREFIX}${tenantId}`;

export class TenantJudge {
  readonly #deps: TenantDeps;
  readonly #stamps = new Map<string, Stamp>();
  /** Keys of entries that lack a Secret, or cannot use one, which may be mended without an event. */
  readonly waiting = new Set<string>();

  constructor(deps: TenantDeps) {
    this.#deps = deps;
  }

  /** Not looked at since this process began. */
  isNew(tenantId: string): boolean {
    return !this.#stamps.has(tenantId);
  }

  /** Who has this id in the cluster, if anybody. */
  owner(tenantId: string): AcceptedTenant | undefined {
    const { world, clusterKey } = this.#deps;
    for (const tenant of world.tenantsWithId(clusterKey, tenantId)) {
      const verdict = acceptTenant(tenant, world);
      if (verdict.ok) return verdict.value;
    }
    return undefined;
  }

  /** Answers whose Templates follow. */
  judge(item: WorkItem, draft: Draft): readonly Follow[] {
    const { world, clusterKey, book } = this.#deps;
    const tenantId = tenantIdOf(item.key);
    const owner = this.owner(tenantId);
    for (const tenant of world.tenantsWithId(clusterKey, tenantId)) {
      if (tenant !== owner?.tenant) draft.wake("tenant", keyOfObject(tenant), item.isEdit ? "now" : "first");
    }
    this.waiting.delete(item.key);
    const wasThere = book.mark(item.key) !== undefined;
    const puts = draft.put.length;
    if (owner && this.#waitsForPurge(item, owner, draft)) return this.#follow(tenantId, undefined, false);
    if (owner) this.#compile(item, owner, draft);
    else if (wasThere && !(item.isFound && this.#deps.seesLess())) draft.gone.push(item.key);
    return this.#follow(tenantId, owner, wasThere && draft.put.length > puts);
  }

  /** The entry of whoever had the id before goes, and nobody takes its place yet. */
  #waitsForPurge({ key }: WorkItem, { tenant, tenantId }: AcceptedTenant, draft: Draft): boolean {
    const mark = this.#deps.book.mark(key);
    if (!mark || mark.uid === tenant.metadata.uid || !this.#deps.mustPurge(tenantId, tenant)) return false;
    draft.gone.push(key);
    draft.heirs.set(tenantId, tenant);
    draft.wake("tenant", keyOfObject(tenant), "now");
    return true;
  }

  #compile(item: WorkItem, owner: AcceptedTenant, draft: Draft): void {
    const { notes, book, read } = this.#deps;
    const { tenant, tenantId } = owner;
    const key = keyOfObject(tenant);
    const version = tenant.metadata;
    const mark = book.mark(item.key);
    const wake = (isNews: boolean) => draft.wake("tenant", key, isNews || item.isEdit ? "now" : "first");
    if (isPaused(tenant)) {
      wake(notes.drop("tenant", key));
      return;
    }
    const compiled = tenantEntry(owner, read);
    if (isRefused(compiled)) {
      wake(notes.put("tenant", key, { version, result: { kind: "refused", refused: compiled } }));
      return;
    }
    const { entry, missing, unusable } = compiled;
    const isWhole = missing.length === 0 && unusable.length === 0;
    if (!isWhole && secretsToRead(tenant, false).length > 0) this.waiting.add(item.key);
    const result = { kind: "entry", key: item.key, id: tenantId, missing, unusable } as const;
    const isNews = isWhole ? notes.drop("tenant", key) : notes.put("tenant", key, { version, result });
    if (mark?.digest === entry.digest) {
      if (isSynced(tenant)) mark.acknowledged = true;
      if (isNews || item.isEdit || !this.#stamps.has(tenantId)) wake(isNews);
      return;
    }
    draft.put.push(entry);
    if (isNews) wake(true);
    else draft.wake("tenant", key, item.isEdit ? "edited" : "put");
  }

  #follow(tenantId: string, owner: AcceptedTenant | undefined, isOtherThanBefore: boolean): readonly Follow[] {
    const before = this.#stamps.get(tenantId);
    if (!owner) {
      this.#stamps.delete(tenantId);
      return before ? [{ tenantKey: before.owner, isForced: false }] : [];
    }
    const { metadata, spec } = owner.tenant;
    const tenantKey = keyOfObject(owner.tenant);
    const stamp: Stamp = {
      owner: tenantKey,
      rules: `${metadata.uid} ${canonicalJson(spec.allowedNamespaces)}`,
      quota: spec.quotas.payloadBytes,
    };
    this.#stamps.set(tenantId, stamp);
    // What its quota was before this process is not known: any difference may be that.
    if (!before) return [{ tenantKey, isForced: isOtherThanBefore }];
    if (before.owner !== tenantKey)
      return [
        { tenantKey, isForced: true },
        { tenantKey: before.owner, isForced: false },
      ];
    if (before.rules === stamp.rules && before.quota === stamp.quota) return [];
    return [{ tenantKey, isForced: before.quota !== stamp.quota }];
  }
}

const isSynced = ({ metadata, status }: Tenant): boolean =>
  status?.conditions?.some(
    (one) => one.type === "Synced" && one.status === "True" && one.observedGeneration === (metadata.generation ?? 1),
  ) ?? false;
