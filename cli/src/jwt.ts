// Why: tokens for trying things out are signed here, with an HMAC secret only. It must never be used by a server, and never
// write a secret anywhere.
import { createHmac } from "node:crypto";

const HASHES = { HS256: "sha256", HS384: "sha384", HS512: "sha512" } as const;
export type HmacAlgorithm = keyof typeof HASHES;
export const isHmac = (name: string): name is HmacAlgorithm => Object.hasOwn(HASHES, name);

export type TokenClaims = {
  readonly sub: string;
  readonly tenant_id?: string;
  readonly roles?: readonly string[];
  readonly channels?: readonly string[];
  readonly iss?: string;
  readonly aud?: string | readonly string[];
};

/** RFC 7515 compact serialization. `now` in milliseconds, `lifetimeSeconds` from then. */
export function mintToken(
  secret: string | Uint8Array,
  claims: TokenClaims,
  options: { readonly now: number; readonly lifetimeSeconds: number; readonly algorithm?: HmacAlgorithm },
): string {
  const { now, lifetimeSeconds, algorithm = "HS256" } = options;
  const issuedAt = Math.floor(now / 1000);
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${encode({ alg: algorithm, typ: "JWT" })}.${encode({ ...claims, iat: issuedAt, exp: issuedAt + lifetimeSeconds })}`;
  return `${body}.${createHmac(HASHES[algorithm], secret).update(body).digest("base64url")}`;
}
