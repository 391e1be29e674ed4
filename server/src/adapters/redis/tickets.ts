// Why: tickets that any node redeems, whichever issued them. What Redis keeps is a hash: a dump of it admits nobody.
// It must never give an identity twice, nor keep a ticket longer than it lives.
import { createHash, randomBytes } from "node:crypto";
import type { Identity } from "../../core/ports.ts";
import type { Tickets } from "../../core/record-ports.ts";
import { partitionOf } from "./keys.ts";
import type { RedisParts } from "./parts.ts";

const TICKET_BYTES = 24;

type Issued = { readonly identity: Identity; readonly until: number };

/** Every call may throw `Failure` `broker_unavailable`; a ticket whose redemption failed so may be used up. */
export function createRedisTickets({ link, keys, clock }: Pick<RedisParts, "link" | "keys" | "clock">): Tickets {
  const keyOf = (ticket: string) => {
    const hash = createHash("sha256").update(ticket).digest("base64url");
    return keys.at(partitionOf(hash), "x", hash);
  };
  return {
    async issue(identity, lifeMs) {
      const ticket = randomBytes(TICKET_BYTES).toString("base64url");
      const issued: Issued = { identity, until: clock.now() + lifeMs };
      await link.call("SET", keyOf(ticket), JSON.stringify(issued), "PX", Math.max(1, Math.ceil(lifeMs)));
      return ticket;
    },
    async redeem(ticket) {
      const text = await link.call("GETDEL", keyOf(ticket));
      if (typeof text !== "string") return undefined;
      const { identity, until } = JSON.parse(text) as Issued; // what issue wrote
      return until > clock.now() ? identity : undefined;
    },
  };
}
