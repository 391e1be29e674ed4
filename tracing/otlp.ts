// Why: spans to a collector over OTLP http/protobuf: one attempt, what its answer means, and when to try again. It must
// never follow a redirect (headers hold credentials), read a long answer, or tell a log what a header says.
import type { Origin } from "./encode.ts";
import type { SendBatch } from "./export-queue.ts";
import type { EndedSpan } from "./span.ts";

export type OtlpTarget = {
  /** Where to POST; see {@link tracesUrl}. */
  readonly url: string;
  /** Asked before every batch, so that credentials may be renewed. May reject: the batch waits like for the collector. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
};

export type OtlpDeps = {
  /** Where spans go now; undefined: there is no usable address, they are counted as failed. */
  readonly target: () => OtlpTarget | undefined;
  readonly origin: Origin;
  /** Resolves after so many milliseconds, or when the signal comes. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly now: () => number;
  /** Told once for each batch that failed, in words that hold no credential. */
  readonly failed: (reason: string) => void;
  readonly timeoutMs?: number;
};

/** Tries of one batch, and how long to wait before the second; twice as long before each further one. */
const MAX_TRIES = 5;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;
const TIMEOUT_MS = 10_000;
/** Spans that are encoded in one go: some 5 us each, and deliveries wait meanwhile. */
const AT_ONCE = 64;
const MAX_ANSWER_BYTES = 65_536;
/** OTLP specification 1.x, section "Failures": these may be tried again, others never. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** `retryAfterMs`: what the collector asked for; undefined: it did not say. */
type Attempt =
  | { readonly kind: "taken"; readonly rejected: number }
  | { readonly kind: "again"; readonly reason: string; readonly retryAfterMs: number | undefined }
  | { readonly kind: "failed"; readonly reason: string };

/**
 * `http://host:4318` is a collector, and its traces go to `/v1/traces` there; an address that ends so is taken as it is.
 * Undefined for what is no http(s) address, and for one with credentials: those belong into headers.
 */
export function tracesUrl(endpoint: string): string | undefined {
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") return undefined;
  if (!url.pathname.endsWith("/v1/traces")) url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/traces`;
  return url.href;
}

export function createOtlpSender(deps: OtlpDeps): SendBatch {
  const { wait, random, failed } = deps;
  return async (spans, signal) => {
    const body = await encoded(spans, deps);
    if (!body) return { rejected: spans.length };
    let reason = "";
    for (let tries = 1; ; tries++) {
      const attempt = await post(deps, body, signal);
      if (attempt.kind === "taken") return { rejected: attempt.rejected };
      reason = attempt.reason;
      if (attempt.kind === "failed" || tries === MAX_TRIES || signal.aborted) break;
      const backOff = FIRST_WAIT_MS * 2 ** (tries - 1) * (0.5 + random() / 2);
      await wait(Math.min(attempt.retryAfterMs ?? backOff, MAX_WAIT_MS), signal);
      if (signal.aborted) break;
    }
    failed(reason);
    return { rejected: spans.length };
  };
}

/**
 * Undefined where it cannot be done, which only a bug of ours can cause. Between the parts the event loop has its turn; messages
 * of protobuf one after the other are one message with what each of them repeats.
 */
async function encoded(spans: readonly EndedSpan[], { origin, failed }: OtlpDeps): Promise<Uint8Array | undefined> {
  try {
    const { encodeSpans } = await import("./encode.ts"); // see there
    const parts: Uint8Array[] = [];
    for (let at = 0; at < spans.length; at += AT_ONCE) {
      if (at > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      parts.push(encodeSpans(spans.slice(at, at + AT_ONCE), origin));
    }
    return Buffer.concat(parts);
  } catch (error) {
    failed(`spans cannot be encoded: ${String(error)}`);
    return undefined;
  }
}

async function post({ target, timeoutMs = TIMEOUT_MS, now, failed }: OtlpDeps, body: Uint8Array, signal: AbortSignal): Promise<Attempt> {
  const to = target();
  if (!to) return { kind: "failed", reason: "the endpoint is no http(s) address, or holds credentials" };
  try {
    const response = await fetch(to.url, {
      method: "POST",
      headers: { ...(await to.headers()), "content-type": "application/x-protobuf" },
      body,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const answer = await readBounded(response);
    if (response.status === 200) return taken(await rejectedBy(answer), failed);
    const reason = `the collector answered ${response.status}`;
    if (!RETRYABLE.has(response.status)) return { kind: "failed", reason };
    return { kind: "again", reason, retryAfterMs: retryAfterMs(response.headers.get("retry-after"), now()) };
  } catch (error) {
    // Errors of fetch and of files name addresses and paths, no header.
    return { kind: "again", reason: error instanceof Error ? error.message : String(error), retryAfterMs: undefined };
  }
}

/** A partial success is final: what was refused is not to be sent again. */
function taken({ rejected, message }: { readonly rejected: number; readonly message: string }, failed: OtlpDeps["failed"]): Attempt {
  if (rejected > 0) failed(`the collector refused ${rejected} spans${message === "" ? "" : `: ${message.slice(0, 200)}`}`);
  return { kind: "taken", rejected };
}

async function rejectedBy(answer: Uint8Array): Promise<{ readonly rejected: number; readonly message: string }> {
  const { readAnswer } = await import("./encode.ts");
  try {
    return readAnswer(answer);
  } catch {
    return { rejected: 0, message: "" }; // some collectors answer 200 with a text: they have the spans
  }
}

async function readBounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (!response.body) return new Uint8Array();
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) break; // leaving the loop cancels the rest
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Seconds or a date (RFC 9110, section 10.2.3); undefined for neither. */
function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** `name=value` pairs separated by commas or lines, values percent-encoded (W3C Baggage's form). @throws Error for anything else, without saying what stood there */
export function parseHeaders(text: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [index, pair] of text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .entries()) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0)).trim();
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new Error(`header ${index + 1} is no name=value`);
    headers[name.toLowerCase()] = decoded(pair.slice(at + 1).trim(), index);
  }
  return headers;
}

function decoded(value: string, index: number): string {
  let text: string;
  try {
    text = decodeURIComponent(value);
  } catch {
    throw new Error(`the value of header ${index + 1} is not percent-encoded text`);
  }
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error(`the value of header ${index + 1} holds what no header may`);
  return text;
}
