// Why: counters of one process, per tenant, since its start and of the current UTC day.
// It must never cost a publish more than a few increments, nor grow with ids that strangers make up.
import type { Clock } from "../../core/ports.ts";
import type { Counters, Stats } from "../../core/record-ports.ts";

const DAY_MS = 86_400_000;
/** Tenants beyond are counted in the sum over all only. */
const MAX_TENANTS = 50_000;

class Tally {
  sessions = 0;
  user = 0;
  channel = 0;
  broadcast = 0;
  delivered = 0;
  failed = 0;
}

class Tallies {
  readonly total = new Tally();
  #today = new Tally();
  #day = 0;

  add(name: keyof Tally, by: number, day: number): void {
    this.total[name] += by;
    this.today(day)[name] += by;
  }

  today(day: number): Tally {
    if (this.#day !== day) {
      this.#day = day;
      this.#today = new Tally();
    }
    return this.#today;
  }
}

export class MemoryStats implements Stats {
  readonly #clock: Pick<Clock, "now">;
  readonly #all = new Tallies();
  readonly #tenants = new Map<string, Tallies>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  sessionOpened: Stats["sessionOpened"] = (tenant) => this.#add(tenant, "sessions", 1);

  published: Stats["published"] = (tenant, kind, deliveredTo) => {
    this.#add(tenant, kind === "inbox" ? "user" : kind, 1);
    if (deliveredTo > 0) this.#add(tenant, "delivered", deliveredTo);
  };

  failed: Stats["failed"] = (tenant) => this.#add(tenant, "failed", 1);

  total: Stats["total"] = async (tenant) => countersOf(this.#of(tenant)?.total);

  today: Stats["today"] = async (tenant) => countersOf(this.#of(tenant)?.today(this.#day()));

  forget(tenant: string): void {
    this.#tenants.delete(tenant);
  }

  #add(tenant: string, name: keyof Tally, by: number): void {
    const day = this.#day();
    this.#all.add(name, by, day);
    let tallies = this.#tenants.get(tenant);
    if (!tallies) {
      if (this.#tenants.size >= MAX_TENANTS) return;
      tallies = new Tallies();
      this.#tenants.set(tenant, tallies);
    }
    tallies.add(name, by, day);
  }

  #of(tenant: string | undefined): Tallies | undefined {
    return tenant === undefined ? this.#all : this.#tenants.get(tenant);
  }

  #day(): number {
    return Math.floor(this.#clock.now() / DAY_MS);
  }
}

function countersOf({ sessions, user, channel, broadcast, delivered, failed } = new Tally()): Counters {
  return { sessions, sent: { user, channel, broadcast }, delivered, failed };
}
