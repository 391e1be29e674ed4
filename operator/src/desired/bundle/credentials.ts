// Why: how key material of Secrets becomes what servers may know: hashes of API keys, HMAC bytes, public keys. It must never
// let a private key or an API key in the clear into the bundle, nor a malformed Secret spoil the entry around it.
import { createPublicKey } from "node:crypto";
import type { TenantIssuer } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { SecretKeyRef } from "@nexus/protocol/resources/fields.ts";
import type { TenantSpec } from "@nexus/protocol/resources/tenant.ts";

/** Bytes of a key of a Secret; undefined when the Secret or the key is not there. */
export type SecretReader = (namespace: string, name: string, key: string) => Uint8Array | undefined;

/**
 * Where a generated key keeps those it replaced, and until when (RFC 3339) each is valid: one a line, the youngest first. A key
 * that users import as `<name>` keeps them in `<name>.previous`; there the time may be left out: valid while it is there.
 */
export const PREVIOUS_KEY = "previous";
export const PREVIOUS_UNTIL = "previous-not-after";
/** Replaced keys that are looked at. */
const MOST_PREVIOUS = 8;

export type Hash = { readonly sha256: string; readonly not_after?: string };
type Issuer = NonNullable<TenantSpec["auth"]["issuers"]>[number];

/** A key, or what stands in its way: a Secret that is `missing` or empty, or one whose content is `unusable`. */
export type IssuerKeyOutcome =
  | { readonly kind: "key"; readonly key: TenantIssuer["key"] }
  | { readonly kind: "missing"; readonly what: string }
  | { readonly kind: "unusable"; readonly what: string };

/** How messages name a key of a Secret. */
export const named = (ref: SecretKeyRef): string => `Secret ${ref.name} with key ${ref.key}`;

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: false });

/**
 * A value as an HTTP header can carry it. Secrets made from files end with a line break, and HTTP strips blanks around a
 * header: with either of them the hash could match no request.
 */
const headerText = (bytes: Uint8Array): string => decoder.decode(bytes).trim();

export type ReplacedKey = { readonly key: string; readonly notAfter?: string };

/**
 * Replaced keys from their lines. One whose time nobody can read is over: servers would refuse the whole entry. Without any
 * times `isOpen` decides whether they are valid for ever or over.
 */
export function replacedKeys(keys: string, times: string | undefined, isOpen: boolean): readonly ReplacedKey[] {
  const until = times === undefined ? [] : times.split("\n").map((line) => line.trim());
  const found = keys
    .split("\n")
    .slice(0, MOST_PREVIOUS)
    .map((line, at) => ({ key: line.trim(), notAfter: until[at] ?? "" }));
  return found.flatMap(({ key, notAfter }): ReplacedKey[] => {
    if (key === "") return [];
    if (notAfter === "") return isOpen && times === undefined ? [{ key }] : [];
    return DATE_TIME.test(notAfter) && !Number.isNaN(Date.parse(notAfter)) ? [{ key, notAfter }] : [];
  });
}

/**
 * Hashes of an API key: the present one, and those it replaced while all are valid. Empty when the Secret is missing or
 * blank. Whether `not_after` has passed is for the servers to judge: here is no clock.
 */
export function keyHashes(read: SecretReader, namespace: string, ref: SecretKeyRef): readonly Hash[] {
  const present = read(namespace, ref.name, ref.key);
  const text = present === undefined ? "" : headerText(present);
  if (text === "") return [];
  const replaced = [
    ...replacedIn(PREVIOUS_KEY, PREVIOUS_UNTIL, false),
    ...replacedIn(`${ref.key}.${PREVIOUS_KEY}`, `${ref.key}.${PREVIOUS_UNTIL}`, true),
  ];
  const others = new Map(replaced.filter(({ key }) => key !== text).map((one) => [one.key, one]));
  const hashes = [...others.values()].map(({ key, notAfter }) => ({
    sha256: sha256(key),
    ...(notAfter === undefined ? {} : { not_after: notAfter }),
  }));
  return [{ sha256: sha256(text) }, ...hashes];

  function replacedIn(keys: string, times: string, isOpen: boolean): readonly ReplacedKey[] {
    const previous = read(namespace, ref.name, keys);
    const until = read(namespace, ref.name, times);
    return previous ? replacedKeys(decoder.decode(previous), until && decoder.decode(until), isOpen) : [];
  }
}

/** The verification key of an issuer: HMAC bytes as they are, a public key as SPKI PEM, or the address of a JWKS. */
export function issuerKey(issuer: Issuer, namespace: string, read: SecretReader): IssuerKeyOutcome {
  if (issuer.jwksURL !== undefined) return { kind: "key", key: { type: "jwks", url: issuer.jwksURL } };
  const ref = issuer.secretRef ?? issuer.publicKeySecretRef;
  // The CRD refuses it; files are checked without CEL.
  if (!ref) return { kind: "unusable", what: `issuer ${issuer.name} has none of jwksURL, publicKeySecretRef and secretRef` };
  const bytes = read(namespace, ref.name, ref.key);
  if (bytes === undefined || bytes.length === 0) return { kind: "missing", what: named(ref) };
  if (issuer.secretRef) return { kind: "key", key: { type: "secret", base64: Buffer.from(bytes).toString("base64") } };
  const pem = publicPem(decoder.decode(bytes));
  return pem === undefined
    ? { kind: "unusable", what: `${named(ref)} (issuer ${issuer.name}) is no public key in PEM` }
    : { kind: "key", key: { type: "public", pem } };
}

/** SPKI PEM of a public key or certificate; undefined for anything else, a private key above all. */
function publicPem(text: string): string | undefined {
  if (text.includes("PRIVATE KEY")) return undefined;
  try {
    return createPublicKey(text).export({ type: "spki", format: "pem" }).toString();
  } catch {
    return undefined; // the caller says which Secret holds no public key
  }
}
