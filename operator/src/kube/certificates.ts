// Why: the admin port's own authority: one per cluster, made by the operator, trusted by nobody else. Elliptic curve P-256;
// a leaf lives 90 days, the authority two years, and each is replaced when a third of that is left. It must never be used for the public port.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3600 * 1000;
export const LEAF_DAYS = 90;
export const AUTHORITY_DAYS = 730;
/** Clocks of operator and pods differ. */
const BACKDATE_MS = 3600 * 1000;

/** PEM of a certificate and of its PKCS#8 key. */
export type KeyPair = { readonly certPem: string; readonly keyPem: string };

/**
 * Loaded when a certificate is made, which is seldom. Its dependency needs reflect-metadata first; a bundler does not keep
 * the order of two static imports here, so the order is written down.
 */
async function library() {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

const newKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);

async function keyPem(key: CryptoKey): Promise<string> {
  const { PemConverter } = await library();
  return PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

const validity = (nowMs: number, days: number) => ({
  // The first byte keeps the number positive and its encoding minimal.
  serialNumber: `4e${randomBytes(15).toString("hex")}`,
  notBefore: new Date(nowMs - BACKDATE_MS),
  notAfter: new Date(nowMs + days * DAY_MS),
});

/** A new self-signed authority. `nowMs`: wall clock in milliseconds. */
export async function createAuthority(commonName: string, nowMs: number = Date.now()): Promise<KeyPair> {
  const x509 = await library();
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(nowMs, AUTHORITY_DAYS),
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: certificate.toString("pem"), keyPem: await keyPem(keys.privateKey) };
}

/** A server certificate for `serverName` (DNS name), signed by `authority`. @throws Error when the authority cannot be read */
export async function issueLeaf(authority: KeyPair, serverName: string, nowMs: number = Date.now()): Promise<KeyPair> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certPem);
  const signingKey = await crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(authority.keyPem), ALGORITHM, false, ["sign"]);
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(nowMs, LEAF_DAYS),
    issuer: issuer.subjectName,
    subject: [{ CN: [serverName.slice(0, 64)] }], // X.520 allows no more; clients read the alternative name
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: serverName }]),
    ],
  });
  return { certPem: certificate.toString("pem"), keyPem: await keyPem(keys.privateKey) };
}

/** Whether less than a third of the certificate's life is left, or it cannot be read. */
export function needsRenewal(certPem: string, nowMs: number): boolean {
  try {
    const { validFromDate, validToDate } = new X509Certificate(certPem);
    return validToDate.getTime() - nowMs < (validToDate.getTime() - validFromDate.getTime()) / 3;
  } catch {
    return true; // not a certificate: replace it
  }
}

/** Whether both can be read and belong together. */
export function isPair({ certPem, keyPem: key }: KeyPair): boolean {
  try {
    return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // one of them is not what it should be: replace both
  }
}

/** Whether `authorityPem` signed `certPem`; false when either cannot be read. */
export function isIssuedBy(certPem: string, authorityPem: string): boolean {
  try {
    return new X509Certificate(certPem).verify(new X509Certificate(authorityPem).publicKey);
  } catch {
    return false; // as above
  }
}
