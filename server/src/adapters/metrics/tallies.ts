// Why: which tenant is hurt, without a series for each of ten thousand: the tenants whose names hash lowest have their own,
// the same on every node, and the rest is `other`. What counts into `other` stays there, so that it never falls and never
// jumps when the choice changes. It must never know a tenant that is not declared.
import type { TenantTally } from "../../core/ports.ts";
import { type Sample, seriesOf } from "./exposition.ts";
import type { PUBLISH_OUTCOMES } from "./message-rows.ts";

export type PublishOutcome = (typeof PUBLISH_OUTCOMES)[number];

/** The live configuration, as far as tenants are counted. `digest` changes with it. `sessionsLimit`: of the whole cluster. */
export type DeclaredTenants = {
  isDeclared(tenant: string): boolean;
  ids(): readonly string[];
  sessionsLimit(tenant: string): number | undefined;
  digest(): string;
};

export type TenantName =
  | "nexus_tenant_sessions"
  | "nexus_tenant_sessions_limit"
  | "nexus_tenant_publishes_total"
  | "nexus_tenant_deliveries_total"
  | "nexus_tenant_refusals_total";

const OTHER = "other";

/** Everything of one tenant since the last look, but for its sessions, which are of now. */
class Tally implements TenantTally {
  sessions = 0;
  deliveries = 0;
  readonly published = new Map<PublishOutcome, number>();
  readonly refused = new Map<string, number>();
}

/** Names of a tenant's series, made once. */
type Names = { readonly sessions: string; readonly limit: string };

export class TenantTallies {
  readonly #most: number;
  readonly #tallies = new Map<string, Tally>();
  /** Counters by name and series: they only grow. */
  readonly #shown = new Map<TenantName, Map<string, number>>();
  #declared: DeclaredTenants | undefined;
  #chosen: { readonly digest: string; readonly names: ReadonlyMap<string, Names> } | undefined;

  /** `most`: how many have series of their own; 0: nothing is counted by tenant. */
  constructor(most: number) {
    this.#most = most;
  }

  /** From now on tenants are counted. */
  observe(declared: DeclaredTenants): void {
    this.#declared = declared;
  }

  of(tenant: string): TenantTally | undefined {
    return this.#of(tenant);
  }

  published(tenant: string, outcome: PublishOutcome): void {
    const published = this.#of(tenant)?.published;
    published?.set(outcome, (published.get(outcome) ?? 0) + 1);
  }

  /** `code`: of the closed set. */
  refused(tenant: string, code: string): void {
    const refused = this.#of(tenant)?.refused;
    refused?.set(code, (refused.get(code) ?? 0) + 1);
  }

  /** All series of now. Walks the tenants that were heard of, so ask for it once per scrape. */
  samples(): ReadonlyMap<TenantName, readonly Sample[]> {
    const chosen = this.#choose();
    const sessions: Sample[] = [];
    let others = 0;
    for (const [tenant, tally] of this.#tallies) {
      const names = chosen.get(tenant);
      this.#hand(names ? tenant : OTHER, tally);
      if (names) sessions.push([names.sessions, tally.sessions]);
      else others += tally.sessions;
      if (tally.sessions === 0 && !this.#declared?.isDeclared(tenant)) this.#forget(tenant);
    }
    if (this.#most > 0 && this.#declared) sessions.push([labelled("nexus_tenant_sessions", OTHER), others]);
    const samples = new Map<TenantName, readonly Sample[]>([
      ["nexus_tenant_sessions", sessions],
      ["nexus_tenant_sessions_limit", this.#limits(chosen)],
    ]);
    for (const [name, series] of this.#shown) samples.set(name, [...series]);
    return samples;
  }

  #of(tenant: string): Tally | undefined {
    const known = this.#tallies.get(tenant);
    if (known) return known;
    if (this.#most === 0 || !this.#declared?.isDeclared(tenant)) return undefined;
    const tally = new Tally();
    this.#tallies.set(tenant, tally);
    return tally;
  }

  /** What came since the last look goes to whom the tenant is shown as now. */
  #hand(tenant: string, tally: Tally): void {
    if (tally.deliveries > 0)
      this.#add("nexus_tenant_deliveries_total", labelled("nexus_tenant_deliveries_total", tenant), tally.deliveries);
    tally.deliveries = 0;
    for (const [outcome, count] of tally.published) {
      this.#add("nexus_tenant_publishes_total", labelled("nexus_tenant_publishes_total", tenant, ["outcome", outcome]), count);
    }
    tally.published.clear();
    for (const [code, count] of tally.refused) {
      this.#add("nexus_tenant_refusals_total", labelled("nexus_tenant_refusals_total", tenant, ["code", code]), count);
    }
    tally.refused.clear();
  }

  #add(name: TenantName, text: string, count: number): void {
    const series = this.#shown.get(name) ?? new Map<string, number>();
    this.#shown.set(name, series.set(text, (series.get(text) ?? 0) + count));
  }

  #limits(chosen: ReadonlyMap<string, Names>): readonly Sample[] {
    const limits: Sample[] = [];
    for (const [tenant, names] of chosen) {
      const limit = this.#declared?.sessionsLimit(tenant);
      if (limit !== undefined) limits.push([names.limit, limit]);
    }
    return limits;
  }

  #forget(tenant: string): void {
    this.#tallies.delete(tenant);
    for (const [name, series] of this.#shown) {
      const prefix = labelled(name, tenant).slice(0, -1);
      for (const key of series.keys()) if (key.startsWith(prefix)) series.delete(key);
    }
  }

  #choose(): ReadonlyMap<string, Names> {
    const declared = this.#declared;
    if (!declared || this.#most === 0) return new Map();
    const digest = declared.digest();
    if (this.#chosen?.digest === digest) return this.#chosen.names;
    // A tenant may be called other: it is one of them.
    const own = lowest(declared.ids(), this.#most).filter((id) => id !== OTHER);
    const names = new Map(own.map((id) => [id, namesOf(id)]));
    this.#chosen = { digest, names };
    return names;
  }
}

const namesOf = (tenant: string): Names => ({
  sessions: labelled("nexus_tenant_sessions", tenant),
  limit: labelled("nexus_tenant_sessions_limit", tenant),
});

/** The names whose hash is lowest: of two nodes with the same configuration both choose the same. */
export function lowest(names: readonly string[], most: number): readonly string[] {
  if (names.length <= most) return names;
  return names
    .map((name) => [Bun.hash.xxHash32(name), name] as const)
    .sort(([a, nameA], [b, nameB]) => a - b || (nameA < nameB ? -1 : 1))
    .slice(0, most)
    .map(([, name]) => name);
}

const labelled = (name: TenantName, tenant: string, second?: readonly [string, string]): string =>
  seriesOf(name, second ? [["tenant", tenant], second] : [["tenant", tenant]]);
