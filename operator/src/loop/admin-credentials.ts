// Why: the certificates and the token of a cluster's admin port: made once, kept in Secrets, each renewed in time.
// It must never change a credential that pods still use without their being able to read the new one first.
import { adminServerName } from "@nexus/protocol/admin.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../desired/acceptance.ts";
import { childLabels, childNames, ownedBy } from "../desired/names.ts";
import { type CredentialDeps, dropPrevious, ensureAuthority, type KeyPair, pairData, pairOf, trustedBy } from "./admin-authority.ts";
import { ensureToken, tokenOf } from "./admin-token.ts";
import { type Ensured, ensureSecret, replaceData, type SecretHead } from "./generated-secrets.ts";

/** `ca`: PEM of one authority, or of two while one takes over from the other. */
export type AdminCredentials = { readonly serverName: string; readonly ca: string; readonly token: string };

type Deps = CredentialDeps & { readonly operatorId: string };

/**
 * Makes what is missing and renews what is due. A message: a Secret with our name belongs to somebody else.
 * Rejects with `KubeError` (409: somebody changed one of them; look again).
 */
export async function ensureAdminCredentials(cluster: NexusCluster, deps: Deps): Promise<AdminCredentials | string> {
  const names = childNames(cluster.metadata.name);
  const namespace = namespaceOf(cluster);
  const serverName = adminServerName(cluster.metadata.name, namespace);
  const labels = childLabels(cluster.metadata.name, "server", deps.operatorId);
  const head = (name: string): SecretHead => ({ namespace, name, labels, ownerReferences: ownedBy(cluster) });

  const authority = await ensureAuthority(head(names.adminCa), `nexus admin ${namespace}/${cluster.metadata.name}`, deps);
  if (!authority.ok) return authority.message;
  const leaf = await ensureLeaf(head(names.adminTls), pairOf(authority.secret), { ...deps, serverName });
  if (!leaf.ok) return leaf.message;
  const trusted = await dropPrevious(authority.secret, deps); // only now is there a leaf of the new one
  const token = await ensureToken(head(names.adminToken), deps);
  if (!token.ok) return token.message;
  return { serverName, ca: trustedBy(trusted), token: tokenOf(token.secret) };
}

/** The certificate that pods serve: of the authority that signs now, with more than a third of its life left. */
async function ensureLeaf(head: SecretHead, authority: KeyPair, deps: Deps & { readonly serverName: string }): Promise<Ensured> {
  const { certificates, wallMs } = deps;
  const issue = async () => pairData(await certificates.issueLeaf(authority, deps.serverName, wallMs));
  const leaf = await ensureSecret(head, issue, deps);
  if (!leaf.ok) return leaf;
  const pair = pairOf(leaf.secret);
  const isGood =
    certificates.isPair(pair) &&
    certificates.isIssuedBy(pair.certPem, authority.certPem) &&
    !certificates.needsRenewal(pair.certPem, wallMs);
  return isGood ? leaf : { ok: true, secret: await replaceData(leaf.secret, await issue(), deps) };
}
