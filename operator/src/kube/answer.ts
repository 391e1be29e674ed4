// Why: every way an answer of the API server can say no becomes the same error here. It must never put a body that is
// not a Kubernetes Status into a message: proxies answer with pages, and a page is not for a condition.
import { KubeError, type KubeErrorCause } from "../loop/kube-error.ts";

const MESSAGE_CHARACTERS = 1024;
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** The error a refusing answer stands for. `body` is the text, a Kubernetes `Status` or anything else. */
export function refusal(call: { method: string; path: string }, response: { status: number; headers: Headers }, body: string): KubeError {
  const retryAfter = retryAfterSeconds(response.headers.get("retry-after"));
  return statusError(parseObject(body), { status: response.status, what: `${call.method} ${pathOnly(call.path)}`, retryAfter });
}

/** The error a `Status` object stands for: an answer's body, or the object of a watch's ERROR event. */
export function statusError(
  status: Readonly<Record<string, unknown>>,
  known: { status: number; what: string; retryAfter?: number | undefined },
): KubeError {
  const isStatus = status.kind === "Status";
  const code = known.status || (isStatus && typeof status.code === "number" ? status.code : 0);
  const details = record(isStatus ? status.details : undefined);
  const retryAfter = known.retryAfter ?? (typeof details.retryAfterSeconds === "number" ? details.retryAfterSeconds : undefined);
  const text = isStatus && typeof status.message === "string" ? status.message : "the answer is not a Kubernetes Status";
  return new KubeError({
    status: code,
    reason: (isStatus && typeof status.reason === "string" && status.reason) || (REASONS[code] ?? "Unknown"),
    message: `${known.what}: ${code}: ${text}`.slice(0, MESSAGE_CHARACTERS),
    causes: causesOf(details.causes),
    ...(retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter }),
  });
}

/** Seconds from a `Retry-After` header; a date or nonsense counts as absent (the API server only sends seconds). */
export function retryAfterSeconds(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header.trim()) ? Number(header) : undefined;
}

/** The path without its query: label selectors and continue tokens only make noise. */
export const pathOnly = (path: string): string => path.split("?", 1)[0] ?? path;

function causesOf(value: unknown): readonly KubeErrorCause[] {
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown) => {
    const { reason, field, message } = record(item);
    return { reason: String(reason ?? ""), field: String(field ?? ""), message: String(message ?? "") };
  });
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return record(JSON.parse(body));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
