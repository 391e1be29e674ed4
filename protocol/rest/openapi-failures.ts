// Why: which refusals an operation can answer with, from the one table of failures, so that a client's generated code knows
// them all. A status the server answers and the document does not list is a bug that the conformance tests find.
import { Type } from "@sinclair/typebox";
import { FAILURES, type FailureCode } from "../failures.ts";
import { type HeaderName, headerRefs, isWrite, takesKey } from "./openapi-parameters.ts";
import type { JsonObject } from "./openapi-schema.ts";
import type { Operation } from "./operation.ts";
import type { OperationId } from "./operations.ts";

/** RFC 9457 section 3 with the members of the contract. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "`urn:nexus:problem:<code>`." }),
    title: Type.String({ description: "The same for every problem of this type." }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: "What is wrong with this request; never a rejected value." }),
    code: Type.String({ description: "What programs branch on." }),
    request_id: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String({ description: "RFC 6901, into the body." }), detail: Type.String() }), {
        description: "Where the body does not match.",
      }),
    ),
    error: Type.Object(
      { code: Type.String(), message: Type.String() },
      { description: "The same as older clients read it; `code` is the spelling of the failure table." },
    ),
    retry_after_seconds: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { description: "Why a request was refused." },
);

/** `not_found`: a platform key named a tenant that does not exist. */
const KEY: readonly FailureCode[] = [
  ...(["invalid_header", "unauthorized", "forbidden", "tenant_access_denied", "tenant_suspended", "not_found"] as const),
  ...(["rate_limited", "broker_unavailable"] as const),
];
const SESSION: readonly FailureCode[] = [
  ...(["unauthorized", "token_expired", "forbidden", "tenant_suspended", "rate_limited", "issuer_unavailable"] as const),
];
/** Nothing to refuse but too many. */
const PUBLIC: readonly FailureCode[] = ["rate_limited"];
const BODY: readonly FailureCode[] = ["invalid_json", "payload_too_large", "unsupported_media_type", "validation_error"];
/** With an Idempotency-Key; the body it binds is measured even where none is asked for. */
const WRITE: readonly FailureCode[] = ["invalid_header", "idempotency_in_flight", "idempotency_conflict", "payload_too_large"];
const CONTENT: readonly FailureCode[] = ["limit_exceeded", "unknown_template"];

/** What one operation alone can answer. */
const OWN: Partial<Readonly<Record<OperationId, readonly FailureCode[]>>> = {
  getChannel: ["channel_not_found"],
  userSubscriptions: ["user_not_connected"],
  getTenant: ["tenant_not_found"],
  createTemplate: ["invalid_template_id", "invalid_template", "template_exists", "template_managed", "limit_exceeded"],
  getTemplate: ["template_not_found"],
  updateTemplate: ["template_not_found", "template_managed", "invalid_template"],
  deleteTemplate: ["template_not_found", "template_managed"],
  previewTemplate: ["template_not_found", "payload_too_large"],
};

/** Every refusal the operation can answer with. */
export function failuresOf(operation: Operation): readonly FailureCode[] {
  const codes: readonly FailureCode[] = [
    ...(takesKey(operation) ? KEY : operation.auth === "session" ? SESSION : PUBLIC),
    ...(operation.path.includes("{") ? (["validation_error"] as const) : []),
    ...(operation.query ? (["validation_error", "invalid_cursor"] as const) : []),
    ...(operation.body ? BODY : []),
    ...(isWrite(operation) ? WRITE : []),
    ...(operation.auth === "publish" ? CONTENT : []),
    ...(OWN[operation.id as OperationId] ?? []),
    "internal",
  ];
  return [...new Set(codes)];
}

/** `responses` for the codes, one for each status, lowest first. `known`: the answer carries the key's rate limits. */
export function refusals(codes: readonly FailureCode[], known: boolean): JsonObject {
  const statuses = [...new Set(codes.map((code) => FAILURES[code].status))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => {
      const mine = codes.filter((code) => FAILURES[code].status === status);
      return [String(status), refusal(status, mine, known)];
    }),
  );
}

function refusal(status: number, codes: readonly FailureCode[], known: boolean): JsonObject {
  const headers: HeaderName[] = ["X-Request-ID"];
  if (known && status !== 401) headers.push("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset");
  if (status === 401) headers.push("WWW-Authenticate");
  if (status === 429 || status === 503) headers.push("Retry-After");
  return {
    description: codes.map((code) => `\`${code}\`: ${FAILURES[code].title}.`).join(" "),
    headers: headerRefs(headers),
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
}
