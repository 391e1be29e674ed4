// Why: one fetch of a key set from an address that a tenant chose. The name is resolved once, its addresses are judged,
// and exactly those are dialled, so that no second answer of DNS leads elsewhere. It must never follow a redirect, use a
// proxy, read without end, or share a connection between names.
import { lookup } from "node:dns/promises";
import { type Address, formatAddress, parseAddress } from "@nexus/protocol/addresses.ts";
import { isPublicAddress } from "./jwks-address.ts";

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
/** Addresses of one name that are tried, one after the other, within the one timeout. */
const MAX_ADDRESSES = 3;

/** How a fetch ended; a label of a metric. `other` is a bug of ours. */
export const JWKS_OUTCOMES = [
  ...(["ok", "refused_url", "dns", "refused_address", "timeout", "connect", "status", "too_large", "malformed", "other"] as const),
] as const;
export type JwksOutcome = (typeof JWKS_OUTCOMES)[number];

/** `reason`: a code of the platform or a status, safe to log. */
export class JwksError extends Error {
  readonly outcome: Exclude<JwksOutcome, "ok">;
  readonly reason: string;

  constructor(outcome: Exclude<JwksOutcome, "ok">, reason: string, cause?: unknown) {
    super(`${outcome}: ${reason}`, { cause });
    this.name = "JwksError";
    this.outcome = outcome;
    this.reason = reason;
  }
}

/** `maxAgeSeconds`: how long the answer says it is fresh from now on; undefined where it says nothing. */
export type FetchedKeys = { readonly text: string; readonly maxAgeSeconds: number | undefined };
/** Rejects with {@link JwksError} and nothing else. */
export type FetchKeys = (url: string) => Promise<FetchedKeys>;

export type JwksFetchOptions = {
  /** Asked for every fetch. */
  readonly allowPrivate: () => boolean;
  readonly resolve?: (host: string) => Promise<readonly { readonly address: string }[]>;
  /** PEM authorities instead of the system's. */
  readonly ca?: string;
  /** For the whole fetch, name and body included, in milliseconds. */
  readonly timeoutMs?: number;
};

export function createJwksFetch(options: JwksFetchOptions): FetchKeys {
  const { timeoutMs = TIMEOUT_MS, resolve = (host: string) => lookup(host, { all: true, verbatim: true }) } = options;
  return async (url) => {
    const target = readUrl(url);
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const addresses = permitted(await addressesOf(target, resolve, signal), options.allowPrivate());
      return await firstAnswer(target, addresses.slice(0, MAX_ADDRESSES), { ca: options.ca, signal });
    } catch (error) {
      if (error instanceof JwksError) throw error;
      if (signal.aborted) throw new JwksError("timeout", `no answer within ${timeoutMs} ms`, error);
      throw new JwksError("connect", codeOf(error), error);
    } finally {
      stop.abort(); // what is not read by now shall not be sent either
    }
  };
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:") throw new JwksError("refused_url", "not https");
  if (url.username !== "" || url.password !== "") throw new JwksError("refused_url", "credentials in the address");
  return url;
}

/** Bun writes IPv6 hosts in brackets, as the standard says. */
const nameOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

async function addressesOf(url: URL, resolve: NonNullable<JwksFetchOptions["resolve"]>, signal: AbortSignal): Promise<readonly Address[]> {
  const name = nameOf(url);
  const literal = parseAddress(name);
  if (literal) return [literal];
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined); // the race below may be over when the signal comes
  try {
    const found = await Promise.race([resolve(name), aborted]);
    return found.flatMap(({ address }) => parseAddress(address) ?? []);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new JwksError("dns", codeOf(error), error);
  }
}

function permitted(addresses: readonly Address[], allowPrivate: boolean): readonly Address[] {
  if (addresses.length === 0) throw new JwksError("dns", "the name has no address");
  const good = allowPrivate ? addresses : addresses.filter(isPublicAddress);
  if (good.length === 0) throw new JwksError("refused_address", "the name leads into a private network");
  return good;
}

type Dial = { readonly ca: string | undefined; readonly signal: AbortSignal };

/** The next address only where the one before could not be reached: an answer, even a bad one, is an answer. */
async function firstAnswer(url: URL, addresses: readonly Address[], dial: Dial): Promise<FetchedKeys> {
  let failed: unknown;
  for (const address of addresses) {
    try {
      return await ask(url, address, dial);
    } catch (error) {
      if (error instanceof JwksError || dial.signal.aborted) throw error;
      failed = error;
    }
  }
  throw failed;
}

async function ask(url: URL, address: Address, { ca, signal }: Dial): Promise<FetchedKeys> {
  const host = address.length === 4 ? formatAddress(address) : `[${formatAddress(address)}]`;
  const isLiteral = parseAddress(nameOf(url)) !== undefined;
  const init: BunFetchRequestInit = {
    // No compression: what is counted is what is kept.
    headers: { Host: url.host, Accept: "application/jwk-set+json, application/json", "Accept-Encoding": "identity" },
    // The address is dialled, the name is asked for (SNI) and must be in the certificate.
    tls: { rejectUnauthorized: true, ...(isLiteral ? {} : { serverName: nameOf(url) }), ...(ca === undefined ? {} : { ca }) },
    redirect: "manual",
    proxy: false,
    keepalive: false, // a connection is for one name: kept ones are told apart by address
    decompress: false,
    signal,
  };
  const response = await fetch(`https://${host}:${url.port || "443"}${url.pathname}${url.search}`, init);
  if (response.status !== 200) throw new JwksError("status", String(response.status));
  return { text: await limitedText(response), maxAgeSeconds: maxAgeOf(response.headers) };
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (response.body) {
    for await (const chunk of response.body) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BYTES) throw new JwksError("too_large", `more than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks).toString();
}

/** RFC 9111 sections 4.2.1 and 5.2.2: max-age less what the answer spent in caches on the way. */
function maxAgeOf(headers: Headers): number | undefined {
  const control = headers.get("cache-control") ?? "";
  if (/(^|[\s,])no-(store|cache)($|[\s,=])/i.test(control)) return 0;
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(control)?.[1];
  if (maxAge === undefined) return undefined;
  const age = /^\d{1,10}$/.exec(headers.get("age") ?? "")?.[0] ?? "0";
  return Math.max(Number(maxAge) - Number(age), 0);
}

/** `ECONNREFUSED`, `ENOTFOUND`, `ERR_TLS_CERT_ALTNAME_INVALID`; never the text, which repeats the address. */
const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "failed";
