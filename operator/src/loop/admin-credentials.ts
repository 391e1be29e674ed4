// Why: the certificates and the token of a cluster's admin port: made once, kept in Secrets, the leaf renewed in time.
// It must never change a credential that pods still use without their being able to read the new one first.
import { adminServerName } from "@nexus/protocol/admin.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../desired/acceptance.ts";
import { childLabels, childNames, ownedBy } from "../desired/names.ts";
import { type Ensured, ensureSecret, newToken, replaceData, type SecretHead } from "./generated-secrets.ts";
import type { KubeApi } from "./ports.ts";
import type { SecretObject, SecretSource } from "./secret-source.ts";

/** PEM of a certificate and of its key. */
export type KeyPair = { readonly certPem: string; readonly keyPem: string };

/** Certificates as the loop needs them; `kube/certificates.ts` makes them. */
export type CertificateMaker = {
  createAuthority(commonName: string, nowMs: number): Promise<KeyPair>;
  issueLeaf(authority: KeyPair, serverName: string, nowMs: number): Promise<KeyPair>;
  needsRenewal(certPem: string, nowMs: number): boolean;
};

export type AdminCredentials = { readonly serverName: string; readonly ca: string; readonly token: string };

type Deps = {
  readonly api: KubeApi;
  readonly secrets: SecretSource;
  readonly manager: string;
  readonly operatorId: string;
  readonly certificates: CertificateMaker;
  readonly wallMs: number;
};

const text = (secret: SecretObject, key: string): string => Buffer.from(secret.data?.[key] ?? "", "base64").toString();

/** Makes what is missing, renews the leaf when it is time. A message: a Secret with our name belongs to somebody else. */
export async function ensureAdminCredentials(cluster: NexusCluster, deps: Deps): Promise<AdminCredentials | string> {
  const names = childNames(cluster.metadata.name);
  const namespace = namespaceOf(cluster);
  const serverName = adminServerName(cluster.metadata.name, namespace);
  const labels = childLabels(cluster.metadata.name, "server", deps.operatorId);
  const head = (name: string): SecretHead => ({ namespace, name, labels, ownerReferences: ownedBy(cluster) });
  const { certificates, wallMs } = deps;

  const authority = await ensureSecret(
    head(names.adminCa),
    async () => pemData(await certificates.createAuthority(`nexus admin ${namespace}/${cluster.metadata.name}`, wallMs)),
    deps,
  );
  if (!authority.ok) return authority.message;
  const pair = { certPem: text(authority.secret, "tls.crt"), keyPem: text(authority.secret, "tls.key") };
  const issue = async () => pemData(await certificates.issueLeaf(pair, serverName, wallMs));
  const leaf = await ensureSecret(head(names.adminTls), issue, deps);
  if (!leaf.ok) return leaf.message;
  if (certificates.needsRenewal(text(leaf.secret, "tls.crt"), wallMs)) await replaceData(leaf.secret, await issue(), deps);
  const token: Ensured = await ensureSecret(head(names.adminToken), () => ({ token: newToken() }), deps);
  if (!token.ok) return token.message;
  return { serverName, ca: pair.certPem, token: text(token.secret, "token") };
}

const pemData = ({ certPem, keyPem }: KeyPair) => ({ "tls.crt": certPem, "tls.key": keyPem });
