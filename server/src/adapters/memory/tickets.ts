// Why: tickets of one process. What is kept is a hash: a dump of the memory admits nobody.
// It must never give an identity twice, nor keep more than its bound.
import { createHash, randomBytes } from "node:crypto";
import type { Clock, Identity } from "../../core/ports.ts";
import type { Tickets } from "../../core/record-ports.ts";

const MAX_TICKETS = 100_000;
const TICKET_BYTES = 24;

type Issued = { readonly identity: Identity; readonly until: number };

export class MemoryTickets implements Tickets {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #issued = new Map<string, Issued>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  issue: Tickets["issue"] = async (identity, lifeMs) => {
    const now = this.#clock.monotonic();
    for (const [name, { until }] of this.#issued) {
      if (until > now && this.#issued.size < MAX_TICKETS) break;
      this.#issued.delete(name); // in order of issue: the oldest go first
    }
    const ticket = randomBytes(TICKET_BYTES).toString("base64url");
    this.#issued.set(nameOf(ticket), { identity, until: now + lifeMs });
    return ticket;
  };

  redeem: Tickets["redeem"] = async (ticket) => {
    const name = nameOf(ticket);
    const issued = this.#issued.get(name);
    this.#issued.delete(name);
    return issued && issued.until > this.#clock.monotonic() ? issued.identity : undefined;
  };
}

const nameOf = (ticket: string): string => createHash("sha256").update(ticket).digest("base64");
