// Why: who may ask, for which tenant, how often: decided before a body is looked at. It must never say whether a key
// exists for someone else, nor hash more than a key can be long.

import type { Refusal } from "@nexus/protocol/failures.ts";
import { DEFAULT_TENANT, isTenantId, TENANT_RULE } from "@nexus/protocol/names.ts";
import type { OperationAuth } from "@nexus/protocol/rest/operation.ts";
import { countFailure, countRequest } from "../core/address-limits.ts";
import { isAllowedOrigin } from "../core/origins.ts";
import type { Identity, KeyHolder, RateDecision, RateLimits, Tenants, TokenVerifier } from "../core/ports.ts";
import type { Caller } from "./call.ts";

const MAX_KEY = 512;

export type AuthDeps = {
  readonly tenants: Tenants;
  readonly rates: RateLimits;
  readonly verifier: TokenVerifier;
  /** The client's address; see `createAddressOf`. */
  readonly addressOf: (request: Request) => string;
};

/** A refusal may come with what is known of the caller: its answer carries the same headers. */
export type Admission = { readonly caller?: Caller; readonly refusal?: Refusal };

/**
 * Refuses with `unauthorized`, `rate_limited` (the key's, or failed attempts of the address), `invalid_header`,
 * `tenant_access_denied`, `tenant_suspended`, `forbidden`.
 */
export function admitKey(deps: AuthDeps, request: Request, auth: OperationAuth): Admission {
  const key = request.headers.get("x-api-key");
  const holder = key === null || key.length > MAX_KEY ? undefined : deps.tenants.keyHolder(key);
  if (!holder) return { refusal: failedAttempt(deps, request, key === null ? missingKey(request) : "The API key is not known") };
  const rate = takeRate(deps, holder);
  const tenant = tenantFor(deps.tenants, holder, request.headers.get("x-tenant-id"));
  if (typeof tenant !== "string") return { caller: { tenant: holder.tenant ?? DEFAULT_TENANT, holder, rate }, refusal: tenant };
  const caller: Caller = { tenant, holder, rate };
  if (rate && !rate.allowed) {
    return { caller, refusal: limited("The API key made too many requests", rate) };
  }
  if (deps.tenants.tenant(tenant)?.suspended) return { caller, refusal: { code: "tenant_suspended", detail: "The tenant is suspended" } };
  const missing = missingRight(auth, holder);
  return missing === undefined ? { caller } : { caller, refusal: { code: "forbidden", detail: missing } };
}

/** As {@link Admission}: whose token it was, once that is known. */
export type SessionAdmission = { readonly identity?: Identity; readonly refusal?: Refusal };

/**
 * For operations of a listening person: a JWT as `?token=` (wins) or `Authorization: Bearer`, judged as for a socket.
 * Refuses with `unauthorized`, `issuer_unavailable`, `rate_limited` (failed attempts), `tenant_suspended`, `forbidden` (origin).
 */
export async function admitSession(deps: AuthDeps, request: Request): Promise<SessionAdmission> {
  const token = new URL(request.url).searchParams.get("token") || bearerOf(request);
  if (token === undefined) return { refusal: failedAttempt(deps, request, "A token is missing: Authorization: Bearer, or ?token=") };
  const answer = await deps.verifier.verify(token);
  if (answer.kind === "refused") {
    const { kind: _, ...refusal } = answer;
    return { refusal: refusal.code === "unauthorized" ? failedAttempt(deps, request, refusal.detail) : refusal };
  }
  const { identity } = answer;
  const tenant = deps.tenants.tenant(identity.tenant);
  if (!tenant) return { refusal: failedAttempt(deps, request, "The token names no tenant of this cluster") };
  if (tenant.suspended) return { identity, refusal: { code: "tenant_suspended", detail: "The tenant is suspended" } };
  if (isAllowedOrigin(tenant.allowed_origins, request.headers.get("origin") ?? undefined)) return { identity };
  return { identity, refusal: { code: "forbidden", detail: "The origin is not allowed by the tenant" } };
}

/** For operations without a key, and before a token is looked at: `rate_limited` when the address asks too often. */
export const admitAddress = (deps: AuthDeps, request: Request): Refusal | undefined => countRequest(deps, deps.addressOf(request));

/** Many services take keys in Authorization; here that header is people's. */
const missingKey = (request: Request): string =>
  request.headers.has("authorization")
    ? "X-API-Key is missing; Authorization is for tokens of people, who cannot ask this"
    : "X-API-Key is missing";

const bearerOf = (request: Request): string | undefined => /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];

const failedAttempt = (deps: AuthDeps, request: Request, detail: string): Refusal => countFailure(deps, deps.addressOf(request), detail);

const limited = (detail: string, rate: RateDecision): Refusal => ({
  code: "rate_limited",
  detail,
  retryAfterSeconds: rate.retryAfterSeconds ?? 1,
});

function takeRate({ tenants, rates }: AuthDeps, holder: KeyHolder): RateDecision | undefined {
  const { requestsPerSecond, requestBurst } = tenants.cluster().limits;
  if (requestsPerSecond <= 0) return undefined;
  // A tenant id holds no `/` and is never empty, so a platform key's bucket is nobody else's.
  return rates.take(`requests/${holder.tenant ?? ""}/${holder.name}`, { perSecond: requestsPerSecond, burst: requestBurst });
}

function tenantFor(tenants: Tenants, holder: KeyHolder, header: string | null): string | Refusal {
  if (tenants.cluster().tenancy === "Single") return DEFAULT_TENANT;
  if (header === null) return holder.tenant ?? DEFAULT_TENANT;
  if (!isTenantId(header)) return { code: "invalid_header", detail: `X-Tenant-ID must be ${TENANT_RULE}` };
  if (holder.tenant === undefined || holder.tenant === header) return header;
  return { code: "tenant_access_denied", detail: "The API key belongs to another tenant" };
}

function missingRight(auth: OperationAuth, holder: KeyHolder): string | undefined {
  if (auth === "publish" || auth === "read" || auth === "admin") {
    return holder.scopes.includes(auth) ? undefined : `The API key has no scope ${auth}`;
  }
  return auth === "platform" && holder.tenant !== undefined ? "This needs a platform key" : undefined;
}
