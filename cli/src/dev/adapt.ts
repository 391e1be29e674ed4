// Why: what is right in a fleet is in the way on one machine. The differences between files and what `nexus dev` runs are
// all here: rates are off unless a file sets them, and there is always a key and an issuer to try things with.
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Name of the issuer, API key and platform key that dev mode adds where the files have none that serves. */
export const DEV_NAME = "nexus-dev";

/** Returns a changed copy; anything unexpected is left for the check to complain about. */
export function adaptForDev(object: Record<string, unknown>): Record<string, unknown> {
  const { kind, spec } = object;
  if (!isRecord(spec)) return object;
  if (kind === "NexusCluster") return { ...object, spec: adaptCluster(spec) };
  return kind === "Tenant" ? { ...object, spec: adaptTenant(spec) } : object;
}

function adaptCluster(spec: Record<string, unknown>): Record<string, unknown> {
  const { limits, platformKeys } = spec;
  return {
    ...spec,
    ...(limits === undefined || isRecord(limits) ? { limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, ...limits } } : {}),
    ...(listOf(platformKeys).length === 0 ? { platformKeys: [{ name: DEV_NAME }] } : {}),
  };
}

function adaptTenant(spec: Record<string, unknown>): Record<string, unknown> {
  const auth = spec.auth ?? {};
  if (!isRecord(auth)) return spec;
  const { issuers, apiKeys } = auth;
  const signs = listOf(issuers).some((issuer) => isRecord(issuer) && issuer.secretRef !== undefined);
  const publishes = listOf(apiKeys).some((key) => isRecord(key) && listOf(key.scopes).includes("publish"));
  const issuer = { name: DEV_NAME, algorithms: ["HS256"], secretRef: { name: `${DEV_NAME}-jwt`, key: "key" } };
  const key = { name: DEV_NAME, scopes: ["publish", "read", "admin"] };
  return {
    ...spec,
    auth: {
      ...auth,
      ...(signs ? {} : { issuers: [...listOf(issuers), issuer] }),
      ...(publishes ? {} : { apiKeys: [...listOf(apiKeys), key] }),
    },
  };
}
