// Why: one rule says which pages of a tenant may connect and read, for sockets and for answers alike.
// It must never be taken for a credential: only browsers send an origin, everybody else says what they like.

/** No list: any origin. No header: not a browser, whose users the list protects. Scheme and host ignore case (RFC 6454). */
export function isAllowedOrigin(allowed: readonly string[], origin: string | undefined): boolean {
  if (allowed.length === 0 || origin === undefined) return true;
  return allowed.some((entry) => entry === "*" || entry.toLowerCase() === origin.toLowerCase());
}
