// Why: a JSON Web Key Set (RFC 7517) becomes keys that verify; what cannot or must not verify is left out. A key that was
// there before stays the same object, so that what was verified with it can be told apart from what was not.
// It must never take a private or a symmetric key: someone published those by mistake, and everybody has them.
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";
import { fitsAlgorithm, importJwk, type VerificationKey } from "./jwt-signature.ts";

/** Keys of one set that are looked at. */
const MAX_KEYS = 100;
/** Keys that are tried for one token: without `kid` any of the set may be meant. */
const MAX_TRIED = 16;

/** `id`: the key and everything it is restricted to, as text. */
export type JwksKey = {
  readonly id: string;
  readonly kid: string | undefined;
  readonly algorithm: string | undefined;
  readonly key: VerificationKey;
};
export type KeySet = ReadonlyMap<string, JwksKey>;

/** By id. Undefined for what is no key set; a set without a usable key is one, and empty. */
export function readKeySet(text: string, before: KeySet | undefined): KeySet | undefined {
  const keys = keysOf(text);
  if (!keys) return undefined;
  const set = new Map<string, JwksKey>();
  for (const value of keys.slice(0, MAX_KEYS)) {
    const key = readKey(value, before);
    if (key) set.set(key.id, key);
  }
  return set;
}

function keysOf(text: string): readonly unknown[] | undefined {
  try {
    const document: unknown = JSON.parse(text);
    const keys: unknown = typeof document === "object" && document !== null ? Reflect.get(document, "keys") : undefined;
    return Array.isArray(keys) ? keys : undefined;
  } catch {
    return undefined; // the caller says that it is no key set
  }
}

function readKey(value: unknown, before: KeySet | undefined): JwksKey | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const jwk: Readonly<Record<string, unknown>> = { ...value };
  const { kid, alg, use, key_ops } = jwk;
  if ((kid !== undefined && typeof kid !== "string") || (alg !== undefined && typeof alg !== "string")) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes("verify"))) return undefined;
  const id = JSON.stringify([kid ?? null, alg ?? null, ...["kty", "crv", "n", "e", "x", "y"].map((member) => jwk[member] ?? null)]);
  const known = before?.get(id);
  if (known) return known;
  const key = importJwk(jwk);
  return key && { id, kid, algorithm: alg, key };
}

/** Keys a token may be signed with. With `kid` only those of that name, which RFC 7517 allows to be several. */
export function fittingKeys(
  set: KeySet,
  wanted: { readonly kid: string | undefined; readonly algorithm: JwtAlgorithm },
): readonly JwksKey[] {
  const { kid, algorithm } = wanted;
  const fitting: JwksKey[] = [];
  for (const one of set.values()) {
    if (kid !== undefined && one.kid !== kid) continue;
    if (!isMeant(one.algorithm, algorithm) || !fitsAlgorithm(one.key, algorithm)) continue;
    fitting.push(one);
    if (fitting.length === MAX_TRIED) break;
  }
  return fitting;
}

/** RFC 9864 names the curve where `EdDSA` left it open. */
const isMeant = (declared: string | undefined, algorithm: JwtAlgorithm): boolean =>
  declared === undefined || declared === algorithm || (algorithm === "EdDSA" && declared === "Ed25519");
