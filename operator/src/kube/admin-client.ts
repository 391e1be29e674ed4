// Why: the operator dials pods by address, and checks that the certificate carries the cluster's admin name under the
// cluster's own CA. It must never send the token to anybody else: no redirect, no proxy, no other CA, no other name.
import { constants, zstdCompressSync } from "node:zlib";
import { ADMIN_PATHS, AdminStatus, PushMismatch, PushResult, PushStale, type ShedRequest, ShedResult } from "@nexus/protocol/admin.ts";
import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { type Clock, systemClock } from "../loop/clock.ts";
import { type AdminCall, AdminError, type AdminPort, type AdminTarget, type PushText } from "../loop/push-ports.ts";
import type { LoadPort } from "../loop/scaling/ports.ts";

export type AdminClientOptions = { readonly userAgent: string; readonly clock?: Clock };

/** Bodies above this are worth compressing, in bytes. */
const COMPRESS_BYTES = 2048;
/** What an answer may have: 64 digests or a list of rejected entries. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

type Answer = { readonly status: number; readonly text: string };

export function createAdminClient({ userAgent, clock = systemClock }: AdminClientOptions): AdminPort & LoadPort {
  async function exchange(target: AdminTarget, path: string, call: AdminCall, body?: string): Promise<Answer> {
    const stop = new AbortController();
    let reason: "Timeout" | "Aborted" | "Network" = "Network";
    const give = (why: "Timeout" | "Aborted") => () => {
      reason = why;
      stop.abort();
    };
    const onAbort = give("Aborted");
    const cancel = clock.after(call.timeoutMs, give("Timeout"));
    call.signal?.addEventListener("abort", onAbort, { once: true });
    if (call.signal?.aborted) onAbort();
    try {
      stop.signal.throwIfAborted();
      const response = await fetch(`https://${hostOf(target)}${path}`, {
        ...init(target, body),
        signal: stop.signal,
      } as BunFetchRequestInit);
      return { status: response.status, text: await limitedText(response) };
    } catch (error) {
      if (error instanceof AdminError) throw error;
      throw new AdminError(reason, `${path} of ${target.ip}: ${reason === "Network" ? detail(error) : REASONS[reason]}`, { cause: error });
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  function init(target: AdminTarget, body: string | undefined) {
    const { serverName, caPem, token } = target;
    const isLong = body !== undefined && body.length > COMPRESS_BYTES;
    return {
      method: body === undefined ? "GET" : "POST",
      headers: {
        Authorization: `Bearer ${token}`,
        "User-Agent": userAgent,
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(isLong ? { "Content-Encoding": "zstd" } : {}),
      },
      ...(body === undefined ? {} : { body: isLong ? compress(body) : body }),
      // The URL holds an address: the name that is asked for (SNI) and checked in the certificate is this one.
      tls: { ca: certificatesOf(caPem), serverName, rejectUnauthorized: true },
      redirect: "error",
      proxy: false, // HTTPS_PROXY of the environment is for the outside, never for pods
    };
  }

  return {
    async push(target, request, call) {
      const { status, text } = await exchange(target, ADMIN_PATHS.bundle, call, textOf(request));
      const where = `${ADMIN_PATHS.bundle} of ${target.ip}`;
      if (status === 200) return { kind: "taken", result: read(PushResult, text, where) };
      if (status === 409) return { kind: "mismatch", mismatch: read(PushMismatch, text, where) };
      if (status === 412) return { kind: "stale", stale: read(PushStale, text, where) };
      throw refused(where, status, text);
    },
    async status(target, call) {
      const { status, text } = await exchange(target, ADMIN_PATHS.status, call);
      const where = `${ADMIN_PATHS.status} of ${target.ip}`;
      if (status === 200) return read(AdminStatus, text, where);
      throw refused(where, status, text);
    },
    async shed(target, request: ShedRequest, call) {
      const { status, text } = await exchange(target, ADMIN_PATHS.shed, call, JSON.stringify(request));
      const where = `${ADMIN_PATHS.shed} of ${target.ip}`;
      if (status === 202) return read(ShedResult, text, where);
      throw refused(where, status, text);
    },
  };
}

const REASONS = { Timeout: "no answer in time", Aborted: "given up" } as const;

/** Each certificate of a PEM text. An empty list would mean the system's authorities: that is refused instead. */
function certificatesOf(pem: string): string[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!found) throw new AdminError("Network", "the cluster's CA holds no certificate");
  return found;
}

/** The body of a push, as the contract wants it. */
function textOf({ buckets, ...head }: PushText): string {
  const texts = buckets.map(({ entriesJson, ...bucket }) => `${JSON.stringify(bucket).slice(0, -1)},"entries":${entriesJson}}`);
  return `${JSON.stringify(head).slice(0, -1)},"buckets":[${texts.join()}]}`;
}

const hostOf = ({ ip, port }: AdminTarget): string => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;

const compress = (body: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(zstdCompressSync(body, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }));

async function limitedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  if (response.body) {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > MAX_ANSWER_BYTES) throw new AdminError("Malformed", "the answer is too long");
    }
  }
  return text + decoder.decode();
}

/** The schemas say what a server answers; more members than these are a newer server's. */
function read<T extends TSchema>(schema: T, text: string, where: string): Static<T> {
  try {
    const value: unknown = JSON.parse(text);
    if (Value.Check(schema, value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new AdminError("Malformed", `${where}: the answer has another shape`);
}

/** Says the problem's code and title, which carry no values. */
function refused(where: string, status: number, text: string): AdminError {
  return new AdminError("Refused", `${where}: answered ${status}${problemText(text)}`, { status });
}

function problemText(text: string): string {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem !== "object" || problem === null) return "";
    const fields = [Reflect.get(problem, "title"), Reflect.get(problem, "detail")].filter((field) => typeof field === "string");
    return fields.length > 0 ? ` (${fields.join(": ")})`.slice(0, 300) : "";
  } catch {
    return ""; // not JSON: the status says enough
  }
}

/** Code and text of a network failure, e.g. `ECONNREFUSED` or `ERR_TLS_CERT_ALTNAME_INVALID`. */
function detail(cause: unknown): string {
  if (!(cause instanceof Error)) return "connection failed";
  const code = "code" in cause && typeof cause.code === "string" ? `${cause.code}: ` : "";
  return `${code}${cause.message}`.slice(0, 300);
}
