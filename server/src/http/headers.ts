// Why: what every answer of the public port carries (request id, CORS, rate limits) is made here, once, and cheaply: it is
// on the path of every publish. It must never copy a header of the request that was not checked.
import type { TenantSettings } from "@nexus/protocol/bundle.ts";
import { isAllowedOrigin } from "../core/origins.ts";
import type { RateDecision } from "../core/ports.ts";

export type AnswerHeaders = Record<string, string>;

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const EXPOSED = "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, Idempotency-Replayed";
const ACCEPTED =
  "Content-Type, X-API-Key, X-Tenant-ID, X-Request-ID, Idempotency-Key, Authorization, Last-Event-ID, Cache-Control, traceparent, tracestate";

/** The caller's own id where it is 1-128 visible ASCII characters, otherwise a new one. */
export function requestIdOf(request: Request, make: () => string): string {
  const given = request.headers.get("x-request-id");
  return given !== null && REQUEST_ID.test(given) ? given : make();
}

/** Before the tenant is known, and for tenants without `allowed_origins`: anyone may read (no cookies are used). */
export function openHeaders(request: Request, requestId: string): AnswerHeaders {
  const headers: AnswerHeaders = { "x-request-id": requestId, "access-control-allow-origin": "*" };
  if (request.headers.has("origin")) headers["access-control-expose-headers"] = EXPOSED;
  return headers;
}

/** Narrows {@link openHeaders} to the tenant's origins: a page elsewhere cannot read the answer. */
export function narrowToOrigins(headers: AnswerHeaders, request: Request, tenant: TenantSettings | undefined): void {
  if (!tenant || tenant.allowed_origins.length === 0) return;
  headers.vary = "Origin";
  const origin = request.headers.get("origin");
  if (origin !== null && isAllowedOrigin(tenant.allowed_origins, origin)) headers["access-control-allow-origin"] = origin;
  else delete headers["access-control-allow-origin"];
}

export function addRate(headers: AnswerHeaders, rate: RateDecision | undefined): void {
  if (!rate) return;
  headers["x-ratelimit-limit"] = String(rate.limit);
  headers["x-ratelimit-remaining"] = String(rate.remaining);
  headers["x-ratelimit-reset"] = String(rate.resetAt);
}

/** The answer to OPTIONS on a path that serves `methods`; CORS preflights need no key. */
export function optionsResponse(methods: readonly string[], requestId: string): Response {
  const allow = methods.join(", ");
  return new Response(null, {
    status: 204,
    headers: {
      "x-request-id": requestId,
      allow,
      "access-control-allow-origin": "*",
      "access-control-allow-methods": allow,
      "access-control-allow-headers": ACCEPTED,
      "access-control-max-age": "86400",
    },
  });
}
