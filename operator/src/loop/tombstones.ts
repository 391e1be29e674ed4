// Why: an entry of the live bundle whose object is gone is a deletion, and what was kept of the tenant goes with it where its
// policy says so: a tombstone takes the entry's place until one server says that it purged, or a week has passed. It must
// never take for a deletion what only cannot be seen: a store that lags, a smaller watch scope, an API server that is away.
import type { PurgedTenant } from "@nexus/protocol/admin.ts";
import { type BundleEntry, sealEntry, TOMBSTONE_LIFE_MS } from "@nexus/protocol/bundle.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { idsOf, isTemplateKey } from "./config/templates.ts";
import { isTenantKey, tenantEntryKey, tenantIdOf } from "./config/tenants.ts";
import { KINDS } from "./kinds.ts";
import type { KubeApi, Store } from "./ports.ts";
import { type BundleBook, bucketOfKey } from "./push-book.ts";

export type TenantEntry = Extract<BundleEntry, { kind: "tenant" }>;
export type Tombstone = Extract<BundleEntry, { kind: "tombstone" }>;

export type TombstonesOptions = {
  readonly tenants: Pick<Store<Tenant>, "get">;
  readonly api: Pick<KubeApi, "get">;
  readonly book: BundleBook;
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
  /** Whether objects of this namespace would be seen. */
  readonly isWatched: (namespace: string) => boolean;
  readonly onError: (error: unknown) => void;
};

/** What is to happen to the live bundle, as a draft says it. */
export type Removal = { readonly put: BundleEntry[]; gone: string[] };
/** `gone`: deleted, or replaced under its name. `there`: it exists, and is not to be served. `unseen`: nobody can tell. */
type Whereabouts = "gone" | "there" | "unseen";
/** `isGivenUp`: no server said that it purged. */
export type Ended = { readonly tenantId: string; readonly isGivenUp: boolean };
type Unseen = { readonly uid: string; readonly againMs: number };

/** When an object that exists and is not seen is looked for again, and when after an error, in milliseconds. */
const HIDDEN_MS = 300_000;
const RETRY_MS = 10_000;
/** How often servers are asked whether they purged, in milliseconds. */
const SHORTEST_ASK_MS = 2_000;
const LONGEST_ASK_MS = 60_000;
const PREFIX = "tombstone:";

export const tombstoneKey = (tenantId: string): string => `${PREFIX}${tenantId}`;

/** The tenant's entry in the live bundle. */
export function tenantEntryOf(book: BundleBook, tenantId: string): TenantEntry | undefined {
  const key = tenantEntryKey(tenantId);
  if (!book.mark(key)) return undefined;
  for (const entry of book.bucket(bucketOfKey(key)).entries()) if (entry.kind === "tenant" && entry.id === tenantId) return entry;
  return undefined;
}

/** The tombstones of one cluster. */
export class Tombstones {
  readonly #options: TombstonesOptions;
  readonly #standing = new Map<string, Tombstone>();
  /** Tenants that cannot be seen, by id. */
  readonly #unseen = new Map<string, Unseen>();

  /** `book` holds the boot copy already. */
  constructor(options: TombstonesOptions) {
    this.#options = options;
    const { book } = options;
    for (const key of book.keys()) {
      if (!key.startsWith(PREFIX)) continue;
      for (const entry of book.bucket(bucketOfKey(key)).entries()) if (entry.kind === "tombstone") this.#standing.set(entry.id, entry);
    }
  }

  /** How many stand. */
  get size(): number {
    return this.#standing.size;
  }

  /**
   * Whether what is stored under an id must be purged before `heir` may have it: what belongs to another namespace always, and
   * what a deleted tenant left where its policy is `Delete`.
   */
  mustPurge(tenantId: string, heir: Tenant): boolean {
    const { book } = this.#options;
    const uid = book.mark(tenantEntryKey(tenantId))?.uid;
    if (uid === undefined || uid === heir.metadata.uid) return false;
    const entry = tenantEntryOf(book, tenantId);
    return entry !== undefined && (isOfOther(entry, heir) || (entry.spec.deletion_policy === "Delete" && this.#seen(entry) !== "there"));
  }

  /**
   * Judges what a draft lets go of: entries of objects that cannot be seen stay, with their templates; a deletion leaves a
   * tombstone where its policy says so, or where `heirs` (by tenant id) take over what is not theirs. Never rejects.
   */
  async settle(draft: Removal, heirs: ReadonlyMap<string, Tenant>): Promise<void> {
    const removed = new Set(draft.gone.filter(isTenantKey).map(tenantIdOf));
    const tenantIds = new Set([...removed, ...draft.gone.filter(isTemplateKey).map((key) => idsOf(key).tenantId)]);
    const kept = new Set<string>();
    for (const tenantId of tenantIds) {
      const entry = tenantEntryOf(this.#options.book, tenantId);
      const whereabouts = entry && (await this.#find(entry));
      if (!entry || !whereabouts) continue;
      if (whereabouts === "unseen") kept.add(tenantId);
      else if (removed.has(tenantId) && isDue(entry, whereabouts, heirs.get(tenantId))) draft.put.push(this.#raise(entry));
    }
    if (kept.size > 0) draft.gone = draft.gone.filter((key) => !kept.has(isTemplateKey(key) ? idsOf(key).tenantId : tenantIdOf(key)));
  }

  /** Tombstones that end now, given what pods say; the caller takes them out of the book. */
  end(purged: readonly PurgedTenant[]): readonly Ended[] {
    const done = new Set(purged.map(({ tenant_id, uid }) => `${tenant_id}\n${uid}`));
    const ended: Ended[] = [];
    for (const { id, uid, spec } of this.#standing.values()) {
      const isPurged = done.has(`${id}\n${uid}`);
      if (!isPurged && Date.parse(spec.deleted_at) + TOMBSTONE_LIFE_MS > this.#options.wallMs()) continue;
      ended.push({ tenantId: id, isGivenUp: !isPurged });
      this.#standing.delete(id);
    }
    return ended;
  }

  /** Ids of tenants that are to be looked at again now, because they could not be seen; each is answered once. */
  dueAgain(): readonly string[] {
    const nowMs = this.#options.monotonicMs();
    const due = [...this.#unseen].filter(([, { againMs }]) => againMs <= nowMs).map(([tenantId]) => tenantId);
    for (const tenantId of due) this.#unseen.delete(tenantId);
    return due;
  }

  /** When there is something to look at again, in milliseconds: servers are asked seldom about what takes long. */
  againMs(): number {
    const ages = [...this.#standing.values()].map(({ spec }) => this.#options.wallMs() - Date.parse(spec.deleted_at));
    const asked = Math.min(LONGEST_ASK_MS, Math.max(SHORTEST_ASK_MS, Math.min(...ages) / 10));
    const unseen = [...this.#unseen.values()].map(({ againMs }) => againMs - this.#options.monotonicMs());
    return Math.max(0, Math.min(ages.length > 0 ? asked : Number.POSITIVE_INFINITY, ...unseen));
  }

  #raise({ id, uid, generation }: TenantEntry): Tombstone {
    const deletedAt = new Date(this.#options.wallMs()).toISOString();
    const tombstone = sealEntry({ kind: "tombstone" as const, id, uid, generation, spec: { deleted_at: deletedAt } });
    this.#standing.set(id, tombstone);
    return tombstone;
  }

  /** By the stores alone. */
  #seen({ uid, spec }: TenantEntry): Whereabouts {
    if (!spec.origin) return "gone"; // of an operator that wrote no origin, nor a policy
    const { namespace, name } = spec.origin;
    const known = this.#options.isWatched(namespace) ? this.#options.tenants.get(`${namespace}/${name}`) : undefined;
    if (!known) return "unseen";
    return known.metadata.uid === uid ? "there" : "gone";
  }

  /** Asks the API server where the stores cannot tell. */
  async #find(entry: TenantEntry): Promise<Whereabouts> {
    const seen = this.#seen(entry);
    const { origin } = entry.spec;
    if (seen !== "unseen" || !origin || !this.#options.isWatched(origin.namespace)) return seen;
    if (this.#unseen.get(entry.id)?.uid === entry.uid) return seen;
    const again = (ms: number) => this.#unseen.set(entry.id, { uid: entry.uid, againMs: this.#options.monotonicMs() + ms });
    try {
      const live = await this.#options.api.get({ kind: KINDS.Tenant, ...origin });
      if (live?.metadata.uid !== entry.uid) return "gone";
      again(HIDDEN_MS); // a label selector hides it, or the watch is late
    } catch (error) {
      this.#options.onError(error);
      again(RETRY_MS);
    }
    return "unseen";
  }
}

const isOfOther = ({ spec }: TenantEntry, heir: Tenant): boolean =>
  spec.origin !== undefined && spec.origin.namespace !== heir.metadata.namespace;

const isDue = (entry: TenantEntry, whereabouts: "gone" | "there", heir: Tenant | undefined): boolean =>
  (heir !== undefined && isOfOther(entry, heir)) || (whereabouts === "gone" && entry.spec.deletion_policy === "Delete");
