// Why: a certificate and a key that do not belong together must never reach a listener: it would refuse everybody. Pure.
import { createPrivateKey, X509Certificate } from "node:crypto";

/** PEM texts; the certificate may be followed by its chain. */
export type KeyPair = { readonly cert: string; readonly key: string };

/** Unix seconds of the end of validity. @throws Error when certificate and key are unreadable or not a pair */
export function checkPair({ cert, key }: KeyPair): number {
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error("certificate and key do not belong together");
  return Math.floor(Date.parse(certificate.validTo) / 1000);
}
