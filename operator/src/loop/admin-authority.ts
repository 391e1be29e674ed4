// Why: the authority behind a fleet's admin certificates is replaced long before it ends, with an overlap: the operator trusts
// the new one and the old one until no pod can serve a certificate of the old. Every step is one update of one Secret, and
// what to do next is read from what is there, so that a crash between two steps loses nothing.
import { type Ensured, ensureSecret, replaceData, type SecretHead } from "./generated-secrets.ts";
import type { KubeApi } from "./ports.ts";
import type { SecretObject, SecretSource } from "./secret-source.ts";

/** PEM of a certificate and of its key. */
export type KeyPair = { readonly certPem: string; readonly keyPem: string };

/** Certificates as the loop needs them; `kube/certificates.ts` makes them. */
export type CertificateMaker = {
  createAuthority(commonName: string, nowMs: number): Promise<KeyPair>;
  issueLeaf(authority: KeyPair, serverName: string, nowMs: number): Promise<KeyPair>;
  /** Less than a third of its life is left, or it cannot be read. */
  needsRenewal(certPem: string, nowMs: number): boolean;
  /** Both can be read and belong together. */
  isPair(pair: KeyPair): boolean;
  /** `certPem` was signed by `authorityPem`; false when either cannot be read. */
  isIssuedBy(certPem: string, authorityPem: string): boolean;
};

export type CredentialDeps = {
  readonly api: KubeApi;
  readonly secrets: SecretSource;
  readonly manager: string;
  readonly certificates: CertificateMaker;
  readonly wallMs: number;
};

const PREVIOUS_CERTIFICATE = "previous.crt";
export const PREVIOUS_UNTIL_ANNOTATION = "nexus.dev/previous-until";
/** The longest a leaf of the old authority can live after it was replaced, in milliseconds. */
const OVERLAP_MS = 90 * 24 * 3600 * 1000;

const text = (secret: SecretObject, key: string): string => Buffer.from(secret.data?.[key] ?? "", "base64").toString();

/** What is in a Secret of type `tls.crt` and `tls.key`; empty texts where it is not. */
export const pairOf = (secret: SecretObject): KeyPair => ({ certPem: text(secret, "tls.crt"), keyPem: text(secret, "tls.key") });

/** The same as a Secret's data. */
export const pairData = ({ certPem, keyPem }: KeyPair): Record<string, string> => ({ "tls.crt": certPem, "tls.key": keyPem });

/** Every authority to trust now, PEM: the one that signs, and the one before while it may still be met. */
export const trustedBy = (secret: SecretObject): string => `${text(secret, "tls.crt")}\n${text(secret, PREVIOUS_CERTIFICATE)}`.trim();

/** The Secret of the authority that signs: made when missing, replaced when it is time or cannot sign. Rejects with `KubeError`. */
export async function ensureAuthority(head: SecretHead, commonName: string, deps: CredentialDeps): Promise<Ensured> {
  const { certificates, wallMs } = deps;
  const make = async () => pairData(await certificates.createAuthority(commonName, wallMs));
  const ensured = await ensureSecret(head, make, deps);
  if (!ensured.ok) return ensured;
  const pair = pairOf(ensured.secret);
  const isPair = certificates.isPair(pair);
  if (isPair && !certificates.needsRenewal(pair.certPem, wallMs)) return ensured;
  // What cannot sign for itself was never trusted; the one before it may be.
  const before = isPair ? pair.certPem : text(ensured.secret, PREVIOUS_CERTIFICATE);
  const data = { ...(await make()), ...(before === "" ? {} : { [PREVIOUS_CERTIFICATE]: before }) };
  const until = new Date(wallMs + OVERLAP_MS).toISOString();
  return { ok: true, secret: await replaceData(ensured.secret, data, deps, { [PREVIOUS_UNTIL_ANNOTATION]: until }) };
}

/** Stops to trust the authority before, once nothing it signed can be valid any more. Rejects with `KubeError`. */
export async function dropPrevious(secret: SecretObject, deps: CredentialDeps): Promise<SecretObject> {
  if (secret.data?.[PREVIOUS_CERTIFICATE] === undefined) return secret;
  const until = Date.parse(secret.metadata.annotations?.[PREVIOUS_UNTIL_ANNOTATION] ?? "");
  return until > deps.wallMs ? secret : await replaceData(secret, pairData(pairOf(secret)), deps);
}
