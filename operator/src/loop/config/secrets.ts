// Why: which Secrets an entry is made of, by namespace and name. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { namespaceOf } from "../../desired/acceptance.ts";
import { apiKeySecretName, childNames } from "../../desired/names.ts";

export type SecretName = readonly [namespace: string, name: string];

export const secretsOfCluster = (cluster: NexusCluster): readonly SecretName[] =>
  (cluster.spec.platformKeys ?? []).map((key) => [
    namespaceOf(cluster),
    key.secretRef?.name ?? childNames(cluster.metadata.name).platformKey(key.name),
  ]);

/**
 * Those that have to be read. What we make ourselves comes with a watch: it is asked for only once, and only where it was there
 * before (somebody may have taken its label), because asking for 10,000 that are about to be made helps nobody.
 */
export function secretsToRead(tenant: Tenant, isFirstLook: boolean): readonly SecretName[] {
  const wasMade = tenant.status?.conditions?.some((one) => one.type === "CredentialsReady" && one.status === "True") ?? false;
  if (isFirstLook && wasMade) return secretsOfTenant(tenant);
  const { apiKeys = [], ...auth } = tenant.spec.auth;
  return secretsOfTenant({ ...tenant, spec: { ...tenant.spec, auth: { ...auth, apiKeys: apiKeys.filter((key) => key.secretRef) } } });
}

export function secretsOfTenant(tenant: Tenant): readonly SecretName[] {
  const namespace = namespaceOf(tenant);
  const keys = (tenant.spec.auth.apiKeys ?? []).map(
    (key): SecretName => [namespace, key.secretRef?.name ?? apiKeySecretName(tenant.metadata.name, key.name)],
  );
  const issuers = (tenant.spec.auth.issuers ?? []).flatMap((issuer): readonly SecretName[] => {
    const ref = issuer.secretRef ?? issuer.publicKeySecretRef;
    return ref ? [[namespace, ref.name]] : [];
  });
  return [...keys, ...issuers];
}
