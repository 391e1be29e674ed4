// Why: everything that can go wrong reaches the application as one class with a code it can branch on.
// It must never carry a token.

/**
 * Codes that come from this side; any other is the `code` of the server's `error` frame. `NOT_SENT`: nothing happened.
 * `UNANSWERED`: the connection ended before the answer, so what was asked may have happened.
 */
export type ClientErrorCode =
  | "CLOSED"
  | "BUFFER_FULL"
  | "TOKEN_PROVIDER"
  | "HANDLER"
  | "PROTOCOL"
  | "UNAUTHORIZED"
  | "NOT_SENT"
  | "UNANSWERED"
  | "INVALID_CURSOR"
  | "PAYLOAD_TOO_LARGE";

export class NexusError extends Error {
  /** `wire` of protocol/failures.ts, or a {@link ClientErrorCode}. */
  readonly code: string;
  /** Whether the same call can succeed later without a change. */
  readonly retry: boolean;

  constructor(code: string, message: string, options: { readonly retry?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "NexusError";
    this.code = code;
    this.retry = options.retry ?? false;
  }
}
