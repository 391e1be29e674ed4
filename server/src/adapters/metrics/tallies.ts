// Why: which tenant is hurt, without a series for each of ten thousand: the tenants whose names hash lowest have their own,
// the same on every node, and the rest is `other`. What counts into `other` stays there, so that it never falls and never
// jumps when the choice changes. It must never know a tenant that is not declared.
import type { TenantTally } from "../../core/ports.ts";
import { type Sample, seriesOf } from "./exposition.ts";
import type { PUBLISH_OUTCOMES } from "./message-rows.ts";
import { TenantSeries } from "./tenant-series.ts";

export type PublishOutcome = (typeof PUBLISH_OUTCOMES)[number];

/** The live configuration, as far as tenants are counted. `digest` changes with it. `sessionsLimit`: of the whole cluster. */
export type DeclaredTenants = {
  isDeclared(tenant: string): boolean;
  ids(): readonly string[];
  sessionsLimit(tenant: string): number | undefined;
  digest(): string;
};

/** Samples by metric. */
export type TenantSamples = {
  readonly nexus_tenant_sessions: readonly Sample[];
  readonly nexus_tenant_sessions_limit: readonly Sample[];
  readonly nexus_tenant_publishes_total: readonly Sample[];
  readonly nexus_tenant_deliveries_total: readonly Sample[];
  readonly nexus_tenant_refusals_total: readonly Sample[];
};

const OTHER = "other";

/** Everything of one tenant since the last look, but for its sessions, which are of now. */
class Tally implements TenantTally {
  sessions = 0;
  deliveries = 0;
  readonly published = new Map<PublishOutcome, number>();
  readonly refused = new Map<string, number>();
}

export class TenantTallies {
  readonly #most: number;
  readonly #tallies = new Map<string, Tally>();
  /** Of tenants that are or were chosen, and of the others together. */
  readonly #series = new Map<string, TenantSeries>();
  #declared: DeclaredTenants | undefined;
  #chosen: { readonly digest: string; readonly ids: ReadonlySet<string> } | undefined;

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
  samples(): TenantSamples {
    const chosen = this.#choose();
    const isShowing = this.#declared !== undefined && this.#most > 0;
    const sessions: Sample[] = [];
    let others = 0;
    for (const [tenant, tally] of this.#tallies) {
      const isOwn = chosen.has(tenant);
      const series = this.#seriesOf(isOwn ? tenant : OTHER);
      hand(tally, series);
      if (isOwn) sessions.push([series.sessions, tally.sessions]);
      else others += tally.sessions;
      if (tally.sessions > 0 || this.#declared?.isDeclared(tenant)) continue;
      this.#tallies.delete(tenant);
      this.#series.delete(tenant);
    }
    if (isShowing) sessions.push([this.#seriesOf(OTHER).sessions, others]);
    const shown = [...this.#series].flatMap(([tenant, series]) => (tenant === OTHER || chosen.has(tenant) ? [series] : []));
    return {
      nexus_tenant_sessions: sessions,
      nexus_tenant_sessions_limit: this.#limits(chosen),
      nexus_tenant_publishes_total: shown.flatMap(({ publishes }) => publishes.samples()),
      nexus_tenant_deliveries_total: shown.flatMap(({ deliveries }) => deliveries.samples()),
      nexus_tenant_refusals_total: shown.flatMap(({ refusals }) => refusals.samples()),
    };
  }

  #of(tenant: string): Tally | undefined {
    const known = this.#tallies.get(tenant);
    if (known) return known;
    if (this.#most === 0 || !this.#declared?.isDeclared(tenant)) return undefined;
    const tally = new Tally();
    this.#tallies.set(tenant, tally);
    return tally;
  }

  #seriesOf(tenant: string): TenantSeries {
    const known = this.#series.get(tenant);
    if (known) return known;
    const series = new TenantSeries(tenant);
    this.#series.set(tenant, series);
    return series;
  }

  #limits(chosen: ReadonlySet<string>): readonly Sample[] {
    const limits: Sample[] = [];
    for (const tenant of chosen) {
      const limit = this.#declared?.sessionsLimit(tenant);
      if (limit !== undefined) limits.push([seriesOf("nexus_tenant_sessions_limit", [["tenant", tenant]]), limit]);
    }
    return limits;
  }

  #choose(): ReadonlySet<string> {
    const declared = this.#declared;
    if (!declared || this.#most === 0) return new Set();
    const digest = declared.digest();
    if (this.#chosen?.digest === digest) return this.#chosen.ids;
    const ids = new Set(lowest(declared.ids(), this.#most));
    ids.delete(OTHER); // a tenant may be called so: it is one of the others
    this.#chosen = { digest, ids };
    return ids;
  }
}

/** What came since the last look goes to whom the tenant is shown as now. */
function hand(tally: Tally, { deliveries, publishes, refusals }: TenantSeries): void {
  if (tally.deliveries > 0) deliveries.add(tally.deliveries, "");
  tally.deliveries = 0;
  for (const [outcome, count] of tally.published) publishes.add(count, outcome);
  tally.published.clear();
  for (const [code, count] of tally.refused) refusals.add(count, code);
  tally.refused.clear();
}

/** The names whose hash is lowest: of two nodes with the same configuration both choose the same. */
export function lowest(names: readonly string[], most: number): readonly string[] {
  if (names.length <= most) return names;
  return names
    .map((name) => [Bun.hash.xxHash32(name), name] as const)
    .sort(([a, nameA], [b, nameB]) => a - b || (nameA < nameB ? -1 : 1))
    .slice(0, most)
    .map(([, name]) => name);
}
