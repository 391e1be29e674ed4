// Why: tickets of one process. What is kept is a hash: a dump of the memory admits nobody.
// It must never give an identity twice, keep more than its bounds, nor let one tenant push out another's tickets.
import { createHash, randomBytes } from "node:crypto";
import { AgingMap } from "../../core/aging-map.ts";
import type { Clock, Identity } from "../../core/ports.ts";
import type { Tickets } from "../../core/record-ports.ts";

/** Live tickets; when there are more the tenant's oldest goes, then the oldest of all. */
const MAX_PER_TENANT = 10_000;
const MAX_TICKETS = 100_000;
const TICKET_BYTES = 24;

type Issued = { readonly identity: Identity; readonly until: number };

export class MemoryTickets implements Tickets {
  readonly #clock: Pick<Clock, "monotonic">;
  /** By hash. */
  readonly #issued = new AgingMap<string, Issued>();
  /** The hashes of each tenant. */
  readonly #tenants = new Map<string, AgingMap<string, true>>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** Live ones, and used-up ones that were not let go yet. */
  get size(): number {
    return this.#issued.size;
  }

  issue: Tickets["issue"] = async (identity, lifeMs) => {
    const now = this.#clock.monotonic();
    for (let next = this.#issued.oldest(); next; next = this.#issued.oldest()) {
      const [name, { until }] = next;
      if (until > now && this.#issued.size < MAX_TICKETS) break;
      this.#forget(name);
    }
    const own = this.#tenants.get(identity.tenant) ?? new AgingMap<string, true>();
    const oldest = own.oldest();
    if (oldest && own.size >= MAX_PER_TENANT) this.#forget(oldest[0]);
    const ticket = randomBytes(TICKET_BYTES).toString("base64url");
    const name = nameOf(ticket);
    this.#issued.set(name, { identity, until: now + lifeMs });
    own.set(name, true);
    this.#tenants.set(identity.tenant, own);
    return ticket;
  };

  redeem: Tickets["redeem"] = async (ticket) => {
    const issued = this.#forget(nameOf(ticket));
    return issued && issued.until > this.#clock.monotonic() ? issued.identity : undefined;
  };

  forget(tenant: string): void {
    for (const [name] of this.#tenants.get(tenant)?.entries() ?? []) this.#forget(name);
  }

  #forget(name: string): Issued | undefined {
    const issued = this.#issued.delete(name);
    if (!issued) return undefined;
    const own = this.#tenants.get(issued.identity.tenant);
    own?.delete(name);
    if (own?.size === 0) this.#tenants.delete(issued.identity.tenant);
    return issued;
  }
}

const nameOf = (ticket: string): string => createHash("sha256").update(ticket).digest("base64");
