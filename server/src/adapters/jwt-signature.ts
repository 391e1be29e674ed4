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

/** Undefined where the issuer's key cannot be used: no key material, an unreadable PEM, or a JWKS (not served yet). */
export function importKey(key: TenantIssuer["key"]): VerificationKey | undefined {
  switch (key.type) {
    case "secret": {
      const secret = Buffer.from(key.base64, "base64");
      return secret.length > 0 ? { kind: "secret", secret } : undefined;
    }
    case "public":
      return importPublicKey(key.pem);
    case "jwks":
      return undefined;
    default:
      return key satisfies never;
  }
}

function importPublicKey(pem: string): VerificationKey | undefined {
  // A private key would be accepted by the platform too, and means that someone published it.
  if (pem.includes("PRIVATE KEY")) return undefined;
  try {
    const key = createPublicKey(pem);
    return { kind: "public", key, type: key.asymmetricKeyType ?? "", curve: key.asymmetricKeyDetails?.namedCurve };
  } catch {
    return undefined; // the caller says that the issuer's key cannot be used
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
