// Why: who may open a session, decided before anything is upgraded and in one order for every transport: the address's
// rate, then room on the node, then the token, then the tenant and the origin. It must never look at a token that the
// rate refuses, nor say more about a token than that it was refused.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Identity, Metrics, RateLimits, Tenants, TokenVerifier } from "./ports.ts";

/** `Retry-After` of a refused address: the window is a minute. */
const ADDRESS_RETRY_SECONDS = 60;
/** `Retry-After` where another node, or this one in a moment, can take the session. */
const NODE_RETRY_SECONDS = 5;

/** `address`: of the peer. `origin`: the header, absent outside browsers. */
export type Candidate = { readonly address: string; readonly token: string | undefined; readonly origin: string | undefined };

export type AdmissionDeps = {
  readonly tenants: Tenants;
  readonly verifier: TokenVerifier;
  readonly rates: RateLimits;
  readonly metrics: Pick<Metrics, "refused">;
  readonly sessions: () => number;
  readonly isDraining: () => boolean;
};

/**
 * The identity of whoever may open a session. Refuses with `rate_limited` (429), `shutting_down` or `node_full` (503,
 * retry), `unauthorized` (401), `tenant_suspended` or `forbidden` (origin; both 403).
 */
export async function admit(deps: AdmissionDeps, candidate: Candidate): Promise<{ readonly identity: Identity } | Refusal> {
  const outcome = noRoom(deps, candidate.address) ?? (await identify(deps, candidate));
  if ("code" in outcome) deps.metrics.refused(outcome.code);
  return outcome;
}

function noRoom(deps: AdmissionDeps, address: string): Refusal | undefined {
  const { upgradesPerMinutePerAddress: perMinute, connectionsPerPod } = deps.tenants.cluster().limits;
  if (perMinute > 0 && !deps.rates.take(`upgrade/${address}`, { perSecond: perMinute / 60, burst: perMinute }).allowed) {
    return { code: "rate_limited", detail: "Too many connection attempts from this address", retryAfterSeconds: ADDRESS_RETRY_SECONDS };
  }
  if (deps.isDraining()) return { code: "shutting_down", detail: "This node is draining", retryAfterSeconds: NODE_RETRY_SECONDS };
  if (deps.sessions() < connectionsPerPod) return undefined;
  return { code: "node_full", detail: "This node holds its maximum of sessions", retryAfterSeconds: NODE_RETRY_SECONDS };
}

async function identify(deps: AdmissionDeps, { token, origin }: Candidate): Promise<{ readonly identity: Identity } | Refusal> {
  if (token === undefined || token === "") return { code: "unauthorized", detail: "A token is required" };
  const verified = await deps.verifier.verify(token);
  if (verified.kind === "refused") return { code: "unauthorized", detail: verified.detail };
  const { identity } = verified;
  const tenant = deps.tenants.tenant(identity.tenant);
  if (!tenant) return { code: "unauthorized", detail: "The token names no tenant of this cluster" };
  if (tenant.suspended) return { code: "tenant_suspended", detail: "The tenant is suspended" };
  if (!isAllowedOrigin(tenant.allowed_origins, origin)) return { code: "forbidden", detail: "The origin is not allowed by the tenant" };
  return { identity };
}

/** No list: any origin. No header: not a browser, whose users the list protects. Scheme and host ignore case (RFC 6454). */
function isAllowedOrigin(allowed: readonly string[], origin: string | undefined): boolean {
  if (allowed.length === 0 || origin === undefined) return true;
  return allowed.some((entry) => entry === "*" || entry.toLowerCase() === origin.toLowerCase());
}
