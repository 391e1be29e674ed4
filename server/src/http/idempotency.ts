// Why: a write that is no publish is done once per Idempotency-Key and answered again from its record; publishes keep
// theirs beside the streams. It must never give one caller the answer of another, nor remember what may yet succeed.
import { sha256 } from "@nexus/protocol/canonical.ts";
import { FAILURES, type Refusal } from "@nexus/protocol/failures.ts";
import type { Operation } from "@nexus/protocol/rest/operation.ts";
import { PUBLISHING } from "@nexus/protocol/rest/publishing.ts";
import { readText } from "../core/json-body.ts";
import type { Tenants } from "../core/ports.ts";
import type { StoredAnswer, WriteRecords } from "../core/record-ports.ts";
import { type Answer, isRefusal } from "./call.ts";

/** 1-255 visible ASCII characters. */
const KEY = /^[\x21-\x7e]{1,255}$/;

/** On every answer that was given before. */
export const REPLAYED = { "idempotency-replayed": "true" } as const;
/** An answer's own headers are not remembered; what was asked never to be kept on the way must not be kept now. */
const NOT_KEPT = { "cache-control": "no-store" } as const;

/** The request's `Idempotency-Key`, undefined where it has none. Refuses with `invalid_header`. */
export function idempotencyKeyOf(request: Request): string | undefined | Refusal {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  return KEY.test(key) ? key : { code: "invalid_header", detail: "Idempotency-Key must be 1-255 visible ASCII characters" };
}

const OWN_RECORDS: ReadonlySet<string> = new Set(PUBLISHING.map(({ id }) => id));

/** Whether {@link once} is for this operation: writes that are no publishes. */
export const isRecorded = ({ id, method }: Operation): boolean => method !== "GET" && !OWN_RECORDS.has(id);

export type OnceDeps = { readonly writes: WriteRecords; readonly tenants: Pick<Tenants, "cluster"> };

/** `scope`: whose keys these are, for example `acme/createTicket/ada`; nobody else's records are ever answered. */
export type Once = { readonly operation: Operation; readonly request: Request; readonly scope: string };

/** `replayed`: the outcome of an earlier request; nothing was done now. */
export type OnceOutcome = { readonly outcome: Answer | Refusal; readonly replayed: boolean };

/**
 * Performs a write, or answers what it answered before under the same key, for a day. Failures (5xx) and 429 are not
 * remembered. Without a key it only performs. `perform` gets the request with its body unread.
 * Refuses with `invalid_header`, `payload_too_large`, `idempotency_conflict` (another body or address), `idempotency_in_flight`.
 */
export async function once(
  { writes, tenants }: OnceDeps,
  { operation, request, scope }: Once,
  perform: (request: Request) => Promise<Answer | Refusal>,
): Promise<OnceOutcome> {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return { outcome: await perform(request), replayed: false };
  if (typeof key !== "string") return { outcome: key, replayed: false };
  const { bodyBytes, batchBytes } = tenants.cluster().limits;
  const read = await readText(request, operation.limit === "batch" ? batchBytes : bodyBytes);
  if (!read.ok) return { outcome: read.refusal, replayed: false };
  const claim = { key, fingerprint: sha256(`${operation.id}\n${addressOf(request)}\n${read.value}`) };
  const begun = await writes.begin(scope, claim);
  switch (begun.kind) {
    case "in_flight":
      return {
        outcome: { code: "idempotency_in_flight", detail: "A request with this Idempotency-Key is still running" },
        replayed: false,
      };
    case "conflict":
      return { outcome: { code: "idempotency_conflict", detail: "This Idempotency-Key was used with another request" }, replayed: false };
    case "done":
      return { outcome: outcomeOf(begun.answer), replayed: true };
    case "begun":
      break;
    default:
      return begun satisfies never;
  }
  let isKept = false;
  try {
    const outcome = await perform(unread(request, read.value));
    const answer = answerOf(outcome);
    if (answer.status < 500 && answer.status !== 429) {
      await writes.finish(scope, key, answer);
      isKept = true;
    }
    return { outcome, replayed: false };
  } finally {
    if (!isKept) await writes.abandon(scope, key);
  }
}

/** Path and query, without the credentials a query may hold. */
function addressOf({ url }: Request): string {
  const { pathname, searchParams } = new URL(url);
  for (const secret of ["token", "ticket"]) searchParams.delete(secret);
  return `${pathname}?${searchParams.toString()}`;
}

/** The body was read for its fingerprint; the handler reads it again, by the same rules. */
function unread(request: Request, text: string): Request {
  const headers = new Headers(request.headers);
  headers.set("content-length", String(Buffer.byteLength(text)));
  return new Request(request.url, { method: request.method, headers, ...(text === "" ? {} : { body: text }) });
}

/** A refusal is kept as itself, so that a replay carries its own request id. */
function answerOf(outcome: Answer | Refusal): StoredAnswer {
  if (isRefusal(outcome)) return { status: FAILURES[outcome.code].status, body: JSON.stringify(outcome) };
  return { status: outcome.status ?? 200, body: outcome.body };
}

function outcomeOf({ status, body }: StoredAnswer): Answer | Refusal {
  if (status >= 400) return JSON.parse(body) as Refusal; // written by answerOf
  return { kind: "answer", status, body, headers: NOT_KEPT };
}
