// Why: every test cluster has an authority of its own, made in memory in milliseconds. Its keys must never leave the
// run's folder, and nothing here may be used outside tests: certificates live two days and are never revoked.
import "reflect-metadata"; // x509 does not load without it
import { randomBytes } from "node:crypto";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const LIFETIME_DAYS = 2;
const DAY_MS = 24 * 3600 * 1000;
/** The clock of a virtual machine may jump back a little after start. */
const BACKDATE_MS = 3600 * 1000;

/** A certificate (or bare key) and its PKCS#8 key, both PEM. */
export type KeyPair = { readonly certPem: string; readonly keyPem: string };

/** Whom a certificate is for: Kubernetes reads `commonName` as user and `organizations` as groups. */
export type Subject = {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses a server answers to; a certificate with any is for servers, without for clients. */
  readonly hosts?: readonly string[];
  /** How long it is good for; default 2. */
  readonly days?: number;
};

export type Authority = { readonly certPem: string; issue(subject: Subject): Promise<KeyPair> };

/** A new self-signed ECDSA P-256 authority. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: certificate.toString("pem"), issue: (subject) => issue(certificate, keys.privateKey, subject) };
}

/** A bare key pair (PKCS#8 and SPKI PEM), e.g. the one that signs ServiceAccount tokens. */
export async function createSigningKey(): Promise<{ privatePem: string; publicPem: string }> {
  const { privateKey, publicKey } = await newKeys();
  const spki = await crypto.subtle.exportKey("spki", publicKey);
  return { privatePem: await privatePem(privateKey), publicPem: x509.PemConverter.encode(spki, "PUBLIC KEY") };
}

async function issue(issuer: x509.X509Certificate, signingKey: CryptoKey, subject: Subject): Promise<KeyPair> {
  const keys = await newKeys();
  const { commonName, organizations = [], hosts = [], days = LIFETIME_DAYS } = subject;
  const usage = hosts.length > 0 ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const names = hosts.map((host) => ({ type: /^[\d.]+$|:/.test(host) ? ("ip" as const) : ("dns" as const), value: host }));
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(days),
    issuer: issuer.subjectName,
    subject: [...organizations.map((name) => ({ O: [name] })), { CN: [commonName] }],
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return { certPem: certificate.toString("pem"), keyPem: await privatePem(keys.privateKey) };
}

const newKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);

const privatePem = async (key: CryptoKey) => x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");

const validity = (days = LIFETIME_DAYS) => ({
  // The first byte 0x4e keeps the number positive and its encoding minimal: Go refuses both mistakes.
  serialNumber: `4e${randomBytes(15).toString("hex")}`,
  notBefore: new Date(Date.now() - BACKDATE_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
});
