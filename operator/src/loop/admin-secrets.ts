// Why: the three Secrets behind a cluster's admin port: its own authority, the servers' certificate and the token. They are
// replaced in time, old and new valid side by side. No value may reach a log, a status or an event.
import { randomBytes } from "node:crypto";
import { adminServerName } from "@nexus/protocol/admin.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childLabels, childNames, clusterKey, ownedBy } from "../desired/names.ts";
import type { Clock } from "./clock.ts";
import { base64, type GeneratedSecrets, type SecretPlace, textOf } from "./generated.ts";
import type { ClusterTarget } from "./pusher.ts";
import type { Secret } from "./secrets.ts";

/** Makes and judges certificates; times are wall clock milliseconds, texts PEM. */
export interface CertificateMaker {
  createAuthority(commonName: string, nowMs: number): Promise<KeyPair>;
  issueLeaf(authority: KeyPair, serverName: string, nowMs: number): Promise<KeyPair>;
  /** Less than 30 days are left, or it is no certificate. */
  needsRenewal(certPem: string, nowMs: number): boolean;
}
type KeyPair = { readonly certPem: string; readonly keyPem: string };

/** Which authority signed the certificate. */
const AUTHORITY_ANNOTATION = "nexus.dev/authority";

type Tools = {
  readonly generated: GeneratedSecrets;
  readonly certificates: CertificateMaker;
  readonly clock: Clock;
  readonly operatorId: string;
  readonly port: number;
};
export type AdminOutcome =
  | { readonly kind: "ok"; readonly target: ClusterTarget }
  | { readonly kind: "conflict"; readonly message: string };

const firstCertificate = (pem: string): string => /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(pem)?.[0] ?? "";

/** Brings all three up to date and answers how to reach the servers. Rejects with `KubeError`. */
export async function ensureAdminSecrets(cluster: NexusCluster, tools: Tools): Promise<AdminOutcome> {
  const { generated, operatorId, port } = tools;
  const names = childNames(cluster.metadata.name);
  const labels = childLabels(cluster.metadata.name, "server", operatorId);
  const place = (name: string): SecretPlace => ({
    namespace: cluster.metadata.namespace ?? "default",
    name,
    labels,
    owner: ownedBy(cluster),
    identity: { ...(cluster.metadata.uid ? { ownerUid: cluster.metadata.uid } : {}), labels },
  });
  const authority = await ensureAuthority(place(names.adminCa), cluster, tools);
  if (authority.kind === "conflict") return authority;
  const leaf = await ensureLeaf(place(names.adminTls), authority.pair, { cluster, tools });
  if (leaf.kind === "conflict") return leaf;
  const token = await generated.ensure(place(names.adminToken), () => ({ data: { token: base64(randomBytes(32).toString("base64url")) } }));
  if (token.kind === "conflict") return token;
  const serverName = serverNameOf(cluster);
  // Two lines while a token is replaced by hand: the first is the one we send.
  const [first = ""] = (textOf(token.secret, "token") ?? "").split("\n");
  return { kind: "ok", target: { key: clusterKey(cluster), serverName, ca: authority.bundle, token: first.trim(), port } };
}

const serverNameOf = ({ metadata }: NexusCluster): string => adminServerName(metadata.name, metadata.namespace ?? "default");

type Authority =
  | { readonly kind: "ok"; readonly pair: KeyPair; readonly bundle: string }
  | { readonly kind: "conflict"; readonly message: string };

async function ensureAuthority(place: SecretPlace, cluster: NexusCluster, { generated, certificates, clock }: Tools): Promise<Authority> {
  const nowMs = clock.wallMs();
  const make = () => certificates.createAuthority(`nexus admin ${clusterKey(cluster)}`.slice(0, 64), nowMs);
  const dataOf = ({ certPem, keyPem }: KeyPair, before = "") => ({ "ca.crt": base64(`${certPem}\n${before}`), "ca.key": base64(keyPem) });
  const ensured = await generated.ensure(place, async () => ({ data: dataOf(await make()) }));
  if (ensured.kind === "conflict") return ensured;
  let { secret } = ensured;
  const before = firstCertificate(textOf(secret, "ca.crt") ?? "");
  if (certificates.needsRenewal(before, nowMs)) secret = await generated.replace(secret, { data: dataOf(await make(), before) });
  return { kind: "ok", ...authorityOf(secret) };
}

function authorityOf(secret: Secret): { readonly pair: KeyPair; readonly bundle: string } {
  const bundle = textOf(secret, "ca.crt") ?? "";
  return { bundle, pair: { certPem: firstCertificate(bundle), keyPem: textOf(secret, "ca.key") ?? "" } };
}

async function ensureLeaf(place: SecretPlace, authority: KeyPair, of: { readonly cluster: NexusCluster; readonly tools: Tools }) {
  const { generated, certificates, clock } = of.tools;
  const nowMs = clock.wallMs();
  const authorityId = sha256(authority.certPem);
  const make = async () => {
    const { certPem, keyPem } = await certificates.issueLeaf(authority, serverNameOf(of.cluster), nowMs);
    const data = { "tls.crt": base64(certPem), "tls.key": base64(keyPem) };
    return { type: "kubernetes.io/tls", data, annotations: { [AUTHORITY_ANNOTATION]: authorityId } };
  };
  const ensured = await generated.ensure(place, make);
  if (ensured.kind === "conflict") return ensured;
  const { secret } = ensured;
  const isCurrent = secret.metadata.annotations?.[AUTHORITY_ANNOTATION] === authorityId;
  if (isCurrent && !certificates.needsRenewal(textOf(secret, "tls.crt") ?? "", nowMs)) return ensured;
  return { kind: "ok", secret: await generated.replace(secret, await make()) } as const;
}
