// Why: a refusal looks the same on every HTTP port: RFC 9457 beside the error object older clients read.
// It must never show a rejected value, nor anything of an error that is not a `Failure`.
import { FAILURES, Failure, problemType, type Refusal } from "@nexus/protocol/failures.ts";

/** RFC 9457 section 3 with the members of the contract: `request_id`, `errors`, `error`, `retry_after_seconds`. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly request_id?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  readonly error: { readonly code: string; readonly message: string };
  readonly retry_after_seconds?: number;
};

export const PROBLEM_TYPE = "application/problem+json";

/** The body of a refusal. The HTTP status is `status`. */
export function problemOf(refusal: Refusal, requestId?: string): Problem {
  const { status, title, wire } = FAILURES[refusal.code];
  const { detail, fields, retryAfterSeconds } = refusal;
  return {
    type: problemType(refusal.code),
    title,
    status,
    detail,
    code: refusal.code,
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(fields && fields.length > 0 ? { errors: fields } : {}),
    error: { code: wire, message: detail },
    ...(retryAfterSeconds === undefined ? {} : { retry_after_seconds: retryAfterSeconds }),
  };
}

/** A whole answer; `headers` come first, `Retry-After` is added where the refusal says when. */
export function problemResponse(refusal: Refusal, headers: Readonly<Record<string, string>> = {}, requestId?: string): Response {
  const problem = problemOf(refusal, requestId);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      ...headers,
      "content-type": PROBLEM_TYPE,
      ...(refusal.retryAfterSeconds === undefined ? {} : { "retry-after": String(refusal.retryAfterSeconds) }),
    },
  });
}

const INTERNAL: Refusal = { code: "internal", detail: "The server failed unexpectedly; the log has the request_id" };

/** What a thrown value may look like outside: a `Failure` as it says, anything else without a word of it. */
export const refusalOf = (thrown: unknown): Refusal => (thrown instanceof Failure ? thrown.refusal : INTERNAL);
