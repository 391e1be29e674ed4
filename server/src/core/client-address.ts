// Why: behind a proxy every peer is the proxy; who really asks is what proxies we trust have written down. Everything to
// the left of the first address we do not trust could be the client's own invention. It must never believe a peer that is
// no trusted proxy. RFC 7239 `Forwarded` is not read: a proxy that writes one of the two headers passes the other on as
// the client sent it, so that reading both would let clients choose.
import { type AddressRange, formatAddress, isInRange, parseAddress, parseRange, unmapped } from "@nexus/protocol/addresses.ts";

/** Hops that are looked at; a longer list is a joke or an attack. */
const MAX_HOPS = 32;

/** Parsed once. @throws Error for a text that is no range: the configuration refuses those before */
export function trustedRanges(texts: readonly string[]): readonly AddressRange[] {
  return texts.map((text) => {
    const range = parseRange(text);
    if (!range) throw new Error("a trusted proxy is no address range");
    return range;
  });
}

/**
 * The right-most address of `X-Forwarded-For` that is no trusted proxy; the peer itself when it is none. Where the header
 * ends or holds something else than an address, the last trusted hop before it is the client. `peer`: as the listener
 * says it; `forwardedFor`: the header, repeated ones joined by commas.
 */
export function clientAddress(peer: string, forwardedFor: string | null, trusted: readonly AddressRange[]): string {
  const nearest = parseAddress(peer);
  if (!nearest) return peer;
  let client = unmapped(nearest);
  if (forwardedFor !== null && trusted.length > 0) {
    const hops = forwardedFor.split(",");
    for (let at = hops.length - 1; at >= 0 && at >= hops.length - MAX_HOPS; at--) {
      if (!trusted.some((range) => isInRange(client, range))) break;
      const hop = parseAddress(withoutPort(hops[at] ?? ""));
      if (!hop) break;
      client = unmapped(hop);
    }
  }
  return formatAddress(client);
}

/** `1.2.3.4:80`, `[2001:db8::1]:80` and `"[2001:db8::1]"` are written too; a bare IPv6 address has no port. */
function withoutPort(text: string): string {
  const hop = text.trim().replace(/^"(.*)"$/, "$1");
  return /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
}

/** What is asked of a listener. */
export type PeerListener = { requestIP(request: Request): { readonly address: string } | null };
export type AddressOf = (request: Request, listener: PeerListener | undefined) => string;

/** How every edge finds the client's address; `unknown` where even the peer's is not known (the socket is gone already). */
export function createAddressOf(trustedProxies: readonly string[]): AddressOf {
  const trusted = trustedRanges(trustedProxies);
  return (request, listener) => {
    const peer = listener?.requestIP(request)?.address;
    return peer === undefined
      ? "unknown"
      : clientAddress(peer, trusted.length > 0 ? request.headers.get("x-forwarded-for") : null, trusted);
  };
}
