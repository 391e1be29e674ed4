// Why: signatures of tokens are checked synchronously: a storm of reconnects pays for each. One function maps the
// algorithm's name to what the platform verifies; the name itself was allowed before, by the tenant's issuer.
// It must never let a key of one kind verify an algorithm of another (a public key is no HMAC secret).
import { createHmac, createPublicKey, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import type { TenantIssuer } from "@nexus/protocol/bundle.ts";
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";

/** A key that is ready for use, and the algorithms it may be used with. */
export type VerificationKey =
  | { readonly kind: "secret"; readonly secret: Buffer }
  | { readonly kind: "public"; readonly key: KeyObject; readonly type: string; readonly curve: string | undefined };

/** RFC 7518 section 3.4: each ES algorithm goes with one curve. */
const CURVES: Readonly<Record<string, string>> = { ES256: "prime256v1", ES384: "secp384r1", ES512: "secp521r1" };

/** What an issuer's own entry holds; a key set lies elsewhere and changes by itself. */
export type StaticKey = Exclude<TenantIssuer["key"], { type: "jwks" }>;

/** Undefined where the issuer's key cannot be used: no key material, or an unreadable PEM. */
export function importKey(key: StaticKey): VerificationKey | undefined {
  switch (key.type) {
    case "secret": {
      const secret = Buffer.from(key.base64, "base64");
      return secret.length > 0 ? { kind: "secret", secret } : undefined;
    }
    case "public":
      return importPublicKey(key.pem);
    default:
      return key satisfies never;
  }
}

function importPublicKey(pem: string): VerificationKey | undefined {
  // A private key would be accepted by the platform too, and means that someone published it.
  if (pem.includes("PRIVATE KEY")) return undefined;
  return publicKey(pem);
}

/** Members of a public JWK by `kty` (RFC 7518 section 6, RFC 8037). Nothing else is handed on. */
const JWK_MEMBERS: Readonly<Record<string, readonly string[]>> = { RSA: ["n", "e"], EC: ["crv", "x", "y"], OKP: ["crv", "x"] };
/** Beside RSA; others (X25519) are for key agreement. */
const SIGNING_TYPES: ReadonlySet<string> = new Set(["ec", "ed25519", "ed448"]);
/** A tenant's own key set must not buy seconds of our CPU: bits of an RSA modulus, and characters of its exponent. */
const RSA_BITS = { min: 2048, max: 4096 };
const MAX_EXPONENT_LENGTH = 6;

/** Undefined for a key that is private, symmetric, of a kind we do not know, or of a size that is unsafe either way. */
export function importJwk(jwk: Readonly<Record<string, unknown>>): VerificationKey | undefined {
  const { kty } = jwk;
  const members = typeof kty === "string" && Object.hasOwn(JWK_MEMBERS, kty) ? JWK_MEMBERS[kty] : undefined;
  if (!members || typeof kty !== "string" || jwk.d !== undefined || jwk.k !== undefined) return undefined;
  const texts = members.map((name) => [name, jwk[name]] as const);
  if (!texts.every((pair): pair is readonly [string, string] => typeof pair[1] === "string")) return undefined;
  if (kty === "RSA" && !(typeof jwk.e === "string" && jwk.e.length <= MAX_EXPONENT_LENGTH)) return undefined;
  const imported = publicKey({ key: { kty, ...Object.fromEntries(texts) }, format: "jwk" });
  if (imported?.kind !== "public") return undefined;
  if (imported.type !== "rsa") return SIGNING_TYPES.has(imported.type) ? imported : undefined;
  const bits = imported.key.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= RSA_BITS.min && bits <= RSA_BITS.max ? imported : undefined;
}

function publicKey(source: Parameters<typeof createPublicKey>[0]): VerificationKey | undefined {
  try {
    const key = createPublicKey(source);
    return { kind: "public", key, type: key.asymmetricKeyType ?? "", curve: key.asymmetricKeyDetails?.namedCurve };
  } catch {
    return undefined; // the caller says that the key cannot be used
  }
}

/** Whether this kind of key may verify this algorithm at all. */
export function fitsAlgorithm(key: VerificationKey, algorithm: JwtAlgorithm): boolean {
  const family = algorithm.slice(0, 2);
  if (key.kind === "secret") return family === "HS";
  if (family === "RS") return key.type === "rsa";
  if (family === "ES") return key.type === "ec" && key.curve === CURVES[algorithm];
  return algorithm === "EdDSA" && (key.type === "ed25519" || key.type === "ed448");
}

/** `signed`: header and payload with their dot, as they came. False for a key that does not fit. */
export function isSignedBy(key: VerificationKey, algorithm: JwtAlgorithm, token: { signed: string; signature: Buffer }): boolean {
  if (!fitsAlgorithm(key, algorithm)) return false;
  const { signed, signature } = token;
  const hash = `sha${algorithm.slice(2)}`;
  if (key.kind === "secret") {
    const expected = createHmac(hash, key.secret).update(signed).digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  const data = Buffer.from(signed);
  if (algorithm === "EdDSA") return verify(null, data, key.key, signature);
  if (algorithm.startsWith("RS")) return verify(hash, data, key.key, signature);
  return verify(hash, data, { key: key.key, dsaEncoding: "ieee-p1363" }, signature);
}
