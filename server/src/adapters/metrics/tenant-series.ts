// Why: the series of one tenant, or of all others together, with their names made once: a thousand of them are handed over at
// each scrape. It must never make a series before there is something to count.
import type { Cell } from "./counters.ts";
import { type Sample, seriesOf } from "./exposition.ts";

export class TenantSeries {
  readonly sessions: string;
  readonly publishes: TenantCounter;
  readonly deliveries: TenantCounter;
  readonly refusals: TenantCounter;

  constructor(tenant: string) {
    this.sessions = seriesOf("nexus_tenant_sessions", [["tenant", tenant]]);
    this.publishes = new TenantCounter("nexus_tenant_publishes_total", tenant, "outcome");
    this.deliveries = new TenantCounter("nexus_tenant_deliveries_total", tenant);
    this.refusals = new TenantCounter("nexus_tenant_refusals_total", tenant, "code");
  }
}

/** A counter of one tenant, by one more label or none. */
export class TenantCounter {
  readonly #name: string;
  readonly #tenant: string;
  readonly #label: string | undefined;
  readonly #cells = new Map<string, Cell>();

  constructor(name: string, tenant: string, label?: string) {
    this.#name = name;
    this.#tenant = tenant;
    this.#label = label;
  }

  /** `value`: of the other label; "" where there is none. */
  add(by: number, value: string): void {
    const known = this.#cells.get(value);
    if (known) {
      known.value += by;
      return;
    }
    const own = ["tenant", this.#tenant] as const;
    const series = seriesOf(this.#name, this.#label === undefined ? [own] : [own, [this.#label, value]]);
    this.#cells.set(value, { series, value: by });
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const { series, value } of this.#cells.values()) samples.push([series, value]);
    return samples;
  }
}
