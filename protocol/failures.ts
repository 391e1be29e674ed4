// Why: one table decides how every failure looks on HTTP, on a socket, in the client's retry logic and in metrics.
// It must never hold texts about a single request: those travel beside the code as `detail`.

/**
 * How one failure looks everywhere.
 * - `status`: HTTP status. `wire`: code in the `error` frame and in the HTTP body's `error.code` (Ara's spelling).
 * - `close`: WebSocket close code, on failures that end a session, and on no other: 4000-4499 "reconnect with back-off",
 *   4500-4999 "do not come back unchanged", 1009 is RFC 6455's own "message too big". Before there is a session the
 *   answer is HTTP's.
 * - `retry`: whether the same request can succeed later without a change by the caller.
 */
export type FailureRow = {
  readonly status: number;
  readonly wire: string;
  readonly close?: number;
  readonly retry: boolean;
  readonly title: string;
};

export const FAILURES = {
  // Sessions that end although the client did nothing wrong: come back.
  shutting_down: { status: 503, wire: "SHUTTING_DOWN", close: 4000, retry: true, title: "Node is draining" },
  internal: { status: 500, wire: "INTERNAL_ERROR", close: 4001, retry: true, title: "Unexpected server failure" },
  slow_consumer: { status: 503, wire: "SLOW_CONSUMER", close: 4002, retry: true, title: "Session read too slowly and its queue is full" },
  stale_session: { status: 408, wire: "STALE_SESSION", close: 4003, retry: true, title: "Session answered no heartbeat" },
  node_full: { status: 503, wire: "NODE_FULL", retry: true, title: "Node holds its maximum of sessions" },
  broker_unavailable: { status: 503, wire: "BROKER_UNAVAILABLE", close: 4005, retry: true, title: "Message broker cannot be reached" },
  rate_limited: { status: 429, wire: "RATE_LIMITED", retry: true, title: "Too many requests" },
  issuer_unavailable: {
    status: 503,
    wire: "ISSUER_UNAVAILABLE",
    retry: true,
    title: "Keys of the token's issuer cannot be reached",
  },

  // The caller has to change something first.
  unauthorized: { status: 401, wire: "UNAUTHORIZED", retry: false, title: "Credential missing or rejected" },
  token_expired: { status: 401, wire: "UNAUTHORIZED", close: 4502, retry: false, title: "Token expired" },
  forbidden: { status: 403, wire: "FORBIDDEN", retry: false, title: "Not allowed" },
  tenant_suspended: { status: 403, wire: "FORBIDDEN", close: 4504, retry: false, title: "Tenant is suspended" },
  tenant_access_denied: { status: 403, wire: "TENANT_ACCESS_DENIED", retry: false, title: "Key belongs to another tenant" },
  connection_limit: { status: 429, wire: "CONNECTION_LIMIT", close: 4505, retry: false, title: "Session limit reached" },
  flood: { status: 429, wire: "RATE_LIMITED", close: 4506, retry: false, title: "Session keeps sending frames that are refused" },
  disconnected: { status: 403, wire: "DISCONNECTED", close: 4507, retry: false, title: "Session was ended by an operator" },

  // Frames; the session goes on until `flood`, but for a frame that is too large.
  invalid_message: { status: 400, wire: "INVALID_MESSAGE", retry: false, title: "Frame does not match the protocol" },
  unsupported_format: { status: 400, wire: "UNSUPPORTED_FORMAT", retry: false, title: "Binary frames are not supported" },
  subscription_error: { status: 400, wire: "SUBSCRIPTION_ERROR", retry: false, title: "Channel cannot be subscribed" },
  invalid_ack: { status: 400, wire: "INVALID_ACK", retry: false, title: "No such notification to acknowledge" },
  invalid_cursor: { status: 400, wire: "INVALID_CURSOR", retry: false, title: "Cursor cannot be read" },
  frame_too_large: { status: 413, wire: "PAYLOAD_TOO_LARGE", close: 1009, retry: false, title: "Frame is too large" },

  // Requests.
  invalid_json: { status: 400, wire: "VALIDATION_ERROR", retry: false, title: "Body is not JSON" },
  limit_exceeded: { status: 400, wire: "VALIDATION_ERROR", retry: false, title: "A count is over its limit" },
  invalid_header: { status: 400, wire: "VALIDATION_ERROR", retry: false, title: "Header is malformed" },
  template_not_found: { status: 404, wire: "TEMPLATE_NOT_FOUND", retry: false, title: "No template has this id" },
  template_exists: { status: 409, wire: "TEMPLATE_EXISTS", retry: false, title: "A template has this id already" },
  template_managed: { status: 409, wire: "CONFLICT", retry: false, title: "Template belongs to a custom resource" },
  invalid_template_id: { status: 400, wire: "INVALID_ID", retry: false, title: "Template id is malformed" },
  invalid_template: { status: 400, wire: "INVALID_TEMPLATE", retry: false, title: "Template cannot be used" },
  unknown_template: { status: 400, wire: "VALIDATION_ERROR", retry: false, title: "Template does not exist" },
  validation_error: { status: 422, wire: "VALIDATION_ERROR", retry: false, title: "Request does not match the contract" },
  unsupported_media_type: {
    status: 415,
    wire: "VALIDATION_ERROR",
    retry: false,
    title: "Content-Type is not application/json",
  },
  payload_too_large: { status: 413, wire: "PAYLOAD_TOO_LARGE", retry: false, title: "Body is too large" },
  idempotency_conflict: {
    status: 422,
    wire: "IDEMPOTENCY_CONFLICT",
    retry: false,
    title: "Idempotency-Key was used with another body",
  },
  idempotency_in_flight: {
    status: 409,
    wire: "CONFLICT",
    retry: true,
    title: "A request with this Idempotency-Key is still running",
  },
  not_found: { status: 404, wire: "NOT_FOUND", retry: false, title: "No such resource" },
  channel_not_found: { status: 404, wire: "CHANNEL_NOT_FOUND", retry: false, title: "Nobody listens to this channel" },
  user_not_connected: { status: 404, wire: "USER_NOT_CONNECTED", retry: false, title: "User has no session" },
  tenant_not_found: { status: 404, wire: "TENANT_NOT_FOUND", retry: false, title: "No such tenant" },
  method_not_allowed: { status: 405, wire: "METHOD_NOT_ALLOWED", retry: false, title: "Method is not served on this path" },

  // Admin port only.
  stale_leader: { status: 412, wire: "STALE_LEADER", retry: false, title: "Push comes from an older leader" },
  bundle_mismatch: { status: 409, wire: "CONFLICT", retry: true, title: "Bucket is at another digest" },
} as const satisfies Record<string, FailureRow>;

export type FailureCode = keyof typeof FAILURES;

/** Failures that can end a session. */
export type ClosingCode = { [C in FailureCode]: (typeof FAILURES)[C] extends { readonly close: number } ? C : never }[FailureCode];

export const isClosing = (code: FailureCode): code is ClosingCode => "close" in FAILURES[code];

/** `errors[]` of RFC 9457 section 3: `pointer` is an RFC 6901 JSON pointer into the body, never the rejected value. */
export type FieldError = { readonly pointer: string; readonly detail: string };

/** An expected refusal as data: core returns it, an edge renders it. `detail` is safe to show to the caller. */
export type Refusal = {
  readonly code: FailureCode;
  readonly detail: string;
  readonly fields?: readonly FieldError[];
  readonly retryAfterSeconds?: number;
};

/** For edges that must throw (a broken outside, a bug). `cause` is for the log only, `refusal.detail` may be shown. */
export class Failure extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super(refusal.detail, { cause });
    this.name = "Failure";
    this.refusal = refusal;
  }
}

/** The problem type of RFC 9457 section 3.1.1 for a code. */
export const problemType = (code: FailureCode): string => `urn:nexus:problem:${code}`;

/** Whether a client that saw this WebSocket close code should reconnect by itself (with back-off). */
export function isRetryableClose(code: number): boolean {
  return code < 4500 && code !== 1008 && code !== 1009;
}
