// Why: counters of one process, per tenant, since its start and of the current UTC day.
// It must never cost a publish more than a few increments.
import type { Clock } from "../../core/ports.ts";
import type { Counters, Stats } from "../../core/record-ports.ts";

const DAY_MS = 86_400_000;

class Tally {
  sessions = 0;
  user = 0;
  channel = 0;
  broadcast = 0;
  delivered = 0;
  failed = 0;
}

type TenantTallies = { readonly total: Tally; today: Tally; day: number };

export class MemoryStats implements Stats {
  readonly #clock: Pick<Clock, "now">;
  readonly #tenants = new Map<string, TenantTallies>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  sessionOpened: Stats["sessionOpened"] = (tenant) => this.#add(tenant, "sessions", 1);

  published: Stats["published"] = (tenant, kind, deliveredTo) => {
    this.#add(tenant, kind === "inbox" ? "user" : kind, 1);
    if (deliveredTo > 0) this.#add(tenant, "delivered", deliveredTo);
  };

  failed: Stats["failed"] = (tenant) => this.#add(tenant, "failed", 1);

  total: Stats["total"] = async (tenant) => sum(this.#of(tenant).map(({ total }) => total));

  today: Stats["today"] = async (tenant) => {
    const day = this.#day();
    return sum(
      this.#of(tenant)
        .filter((tallies) => tallies.day === day)
        .map(({ today }) => today),
    );
  };

  #add(tenant: string, name: keyof Tally, by: number): void {
    const day = this.#day();
    let tallies = this.#tenants.get(tenant);
    if (!tallies) {
      tallies = { total: new Tally(), today: new Tally(), day };
      this.#tenants.set(tenant, tallies);
    }
    if (tallies.day !== day) {
      tallies.day = day;
      tallies.today = new Tally();
    }
    tallies.total[name] += by;
    tallies.today[name] += by;
  }

  #of(tenant: string | undefined): readonly TenantTallies[] {
    if (tenant === undefined) return [...this.#tenants.values()];
    const tallies = this.#tenants.get(tenant);
    return tallies ? [tallies] : [];
  }

  #day(): number {
    return Math.floor(this.#clock.now() / DAY_MS);
  }
}

function sum(tallies: readonly Tally[]): Counters {
  const all = new Tally();
  for (const one of tallies) for (const name of Object.keys(all) as (keyof Tally)[]) all[name] += one[name]; // a Tally has only these keys
  const { sessions, user, channel, broadcast, delivered, failed } = all;
  return { sessions, sent: { user, channel, broadcast }, delivered, failed };
}
