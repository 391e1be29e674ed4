// Why: a browser that cannot set a header swaps its token for a ticket, so that no JWT sits in an address, a log or a
// history. It must never let a ticket outlive its token, nor be cached on the way.
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Engine } from "../core/engine.ts";
import type { Clock } from "../core/ports.ts";
import type { SessionHandler } from "./call.ts";

const LIFE_MS = 30_000;

export type TicketHandlerDeps = { readonly engine: Pick<Engine, "tickets">; readonly clock: Pick<Clock, "now"> };

/** The request's body means nothing. Refuses with `token_expired` for a token in its last second. */
export function ticketHandlers({ engine, clock }: TicketHandlerDeps): Partial<Record<OperationId, SessionHandler>> {
  return {
    async createTicket({ identity }) {
      const lifeMs = Math.min(LIFE_MS, (identity.expiresAt ?? Number.POSITIVE_INFINITY) - clock.now());
      if (lifeMs < 1000) return { code: "token_expired", detail: "The token expires within a second" };
      const ticket = await engine.tickets.issue(identity, lifeMs);
      const body = JSON.stringify({ ticket, expires_in_seconds: Math.floor(lifeMs / 1000) });
      return { kind: "answer", body, headers: { "cache-control": "no-store" } };
    },
  };
}
