// Why: who may open a session, decided before anything is upgraded and in one order for every transport: the address's
// rate, then room on the node, then the token or ticket, then the tenant and the origin. It must never look at a token
// that the rate refuses, use up a ticket that finds no room, nor say more about a token than that it was refused.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { countFailure, countUpgrade } from "./address-limits.ts";
import { isAllowedOrigin } from "./origins.ts";
import type { Clock, Identity, Metrics, RateLimits, Tenants, TokenVerifier } from "./ports.ts";
import type { Tickets } from "./record-ports.ts";

/** `Retry-After` where another node, or this one in a moment, can take the session. */
const NODE_RETRY_SECONDS = 5;

/** `address`: of the client. `origin`: the header, absent outside browsers. A `token` wins over a `ticket`; empty is none. */
export type Candidate = {
  readonly address: string;
  readonly token: string | undefined;
  readonly ticket?: string | undefined;
  readonly origin: string | undefined;
};

export type AdmissionDeps = {
  readonly tenants: Tenants;
  readonly verifier: TokenVerifier;
  readonly tickets: Pick<Tickets, "redeem">;
  readonly rates: RateLimits;
  readonly clock: Pick<Clock, "now">;
  readonly metrics: Pick<Metrics, "refused">;
  readonly sessions: () => number;
  readonly isDraining: () => boolean;
};

/**
 * The identity of whoever may open a session. Refuses with `rate_limited` (429), `shutting_down`, `node_full` or
 * `issuer_unavailable` (503, retry), `unauthorized` (401), `tenant_suspended` or `forbidden` (origin; both 403).
 */
export async function admit(deps: AdmissionDeps, candidate: Candidate): Promise<{ readonly identity: Identity } | Refusal> {
  const outcome = noRoom(deps, candidate.address) ?? (await identify(deps, candidate));
  if ("code" in outcome) deps.metrics.refused(outcome.code);
  return outcome;
}

function noRoom(deps: AdmissionDeps, address: string): Refusal | undefined {
  const tooMany = countUpgrade(deps, address);
  if (tooMany) return tooMany;
  if (deps.isDraining()) return { code: "shutting_down", detail: "This node is draining", retryAfterSeconds: NODE_RETRY_SECONDS };
  if (deps.sessions() < deps.tenants.cluster().limits.connectionsPerPod) return undefined;
  return { code: "node_full", detail: "This node holds its maximum of sessions", retryAfterSeconds: NODE_RETRY_SECONDS };
}

async function identify(deps: AdmissionDeps, candidate: Candidate): Promise<{ readonly identity: Identity } | Refusal> {
  const { address, token, ticket, origin } = candidate;
  const proven = token ? await byToken(deps, token) : ticket ? await byTicket(deps, ticket) : { complaint: "A token is required" };
  if ("code" in proven) return proven;
  if ("complaint" in proven) return countFailure(deps, address, proven.complaint);
  const { identity } = proven;
  const tenant = deps.tenants.tenant(identity.tenant);
  if (!tenant) return countFailure(deps, address, "The token names no tenant of this cluster");
  if (tenant.suspended) return { code: "tenant_suspended", detail: "The tenant is suspended" };
  if (!isAllowedOrigin(tenant.allowed_origins, origin)) return { code: "forbidden", detail: "The origin is not allowed by the tenant" };
  return { identity };
}

/** A complaint is the caller's fault and counted as a failed attempt. */
type Proven = { readonly identity: Identity } | { readonly complaint: string } | Refusal;

async function byToken({ verifier }: AdmissionDeps, token: string): Promise<Proven> {
  const verified = await verifier.verify(token);
  if (verified.kind === "verified") return verified;
  const { kind: _, ...refusal } = verified;
  return refusal.code === "unauthorized" ? { complaint: refusal.detail } : refusal;
}

async function byTicket({ tickets, clock }: AdmissionDeps, ticket: string): Promise<Proven> {
  const identity = await tickets.redeem(ticket);
  if (!identity) return { complaint: "The ticket is unknown, used or too old" };
  // The token that bought the ticket may have expired since.
  if (identity.expiresAt !== undefined && identity.expiresAt <= clock.now()) return { complaint: "The ticket's token has expired" };
  return { identity };
}
