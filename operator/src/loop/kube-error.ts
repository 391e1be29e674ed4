// Why: one error for everything that can go wrong between us and the API server, so that the loop decides by status and
// reason, never by text. It must never carry a request body, a token or a header: messages reach logs and conditions.

/** What an answer of the API server, or the lack of one, is called. `status` 0 = no HTTP answer. */
export type KubeErrorFacts = {
  readonly status: number;
  /** `Status.reason` of the API server (`NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Expired`, …), or one of ours:
   * `Timeout` (no answer in time), `Aborted` (our own signal), `Network` (refused, reset, TLS), `Malformed` (not JSON),
   * `NotLeader` (the write fence is closed; nothing was sent). */
  readonly reason: string;
  readonly message: string;
  /** From `Retry-After` or `Status.details.retryAfterSeconds`. */
  readonly retryAfterSeconds?: number;
  /** `Status.details.causes[]`: which fields were refused and why. */
  readonly causes?: readonly KubeErrorCause[];
};

export type KubeErrorCause = { readonly reason: string; readonly field: string; readonly message: string };

export class KubeError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  readonly causes: readonly KubeErrorCause[];

  constructor(facts: KubeErrorFacts, cause?: unknown) {
    super(facts.message, cause === undefined ? undefined : { cause });
    this.name = "KubeError";
    this.status = facts.status;
    this.reason = facts.reason;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.causes = facts.causes ?? [];
  }
}

const has = (error: unknown, status: number, reason?: string): boolean =>
  error instanceof KubeError && error.status === status && (reason === undefined || error.reason === reason);

export const isNotFound = (error: unknown): boolean => has(error, 404);
export const isAlreadyExists = (error: unknown): boolean => has(error, 409, "AlreadyExists");
/** The object changed since it was read, or a field belongs to another manager. */
export const isConflict = (error: unknown): boolean => has(error, 409, "Conflict");
/** The resourceVersion or continue token is too old: list again. */
export const isExpired = (error: unknown): boolean => has(error, 410);
export const isInvalid = (error: unknown): boolean => has(error, 422);
export const isForbidden = (error: unknown): boolean => has(error, 403);
export const isNotLeader = (error: unknown): boolean => error instanceof KubeError && error.reason === "NotLeader";
/** The namespace is going, with everything in it: nothing to make there, and nothing to repeat. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  error instanceof KubeError && error.status === 403 && error.causes.some((cause) => cause.reason === "NamespaceTerminating");
export const isAborted = (error: unknown): boolean => error instanceof KubeError && error.reason === "Aborted";

/**
 * Whether the same request can succeed later without anyone changing its content: no answer, 408, 409 Conflict, 410, 429,
 * 5xx, and 401/403 (RBAC and tokens arrive late). Not: 400, 404, 405, 409 AlreadyExists, 413, 415, 422.
 */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  if (error.status === 0) return error.reason !== "Malformed";
  if (error.status === 409) return error.reason !== "AlreadyExists";
  return error.status >= 500 || [401, 403, 408, 410, 429].includes(error.status);
}
