// Why: tests of the server's edges need configuration as the operator would compile it: sealed entries, hashed keys.
// It must stay a shorthand: every field has the schema's default unless a test says otherwise.
import {
  type BundleEntry,
  bundleDigest,
  CLUSTER_ENTRY_ID,
  type ClusterSettings,
  makeBuckets,
  sealEntry,
  type TemplateSettings,
  type TenantSettings,
  templateEntryId,
} from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { KeyScope } from "@nexus/protocol/resources/credentials.ts";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import { Value } from "@sinclair/typebox/value";

export const apiKey = (name: string, key: string, scopes: readonly KeyScope[] = ["publish", "read", "admin"]) => ({
  name,
  scopes: [...scopes],
  hashes: [{ sha256: sha256(key) }],
});

export const platformKey = (name: string, key: string) => ({ name, hashes: [{ sha256: sha256(key) }] });

export const secretIssuer = (secret: string | Uint8Array): TenantSettings["issuers"][number] => ({
  name: "test",
  audiences: [],
  algorithms: ["HS256"],
  key: { type: "secret", base64: Buffer.from(secret).toString("base64") },
  clock_skew_seconds: 0,
});

type ClusterChange = Partial<Omit<ClusterSettings, "limits" | "delivery">> & {
  readonly limits?: Partial<ClusterSettings["limits"]>;
  readonly delivery?: Partial<ClusterSettings["delivery"]>;
};

export function clusterEntry({ limits = {}, delivery = {}, ...change }: ClusterChange = {}, generation = 1): BundleEntry {
  const defaults = defaultClusterSettings();
  const spec = { ...defaults, ...change, limits: { ...defaults.limits, ...limits }, delivery: { ...defaults.delivery, ...delivery } };
  return sealEntry({ kind: "cluster" as const, id: CLUSTER_ENTRY_ID, uid: "uid-cluster", generation, spec });
}

export const tenantSettings = (change: Partial<TenantSettings> = {}): TenantSettings => ({
  suspended: false,
  issuers: [],
  api_keys: [],
  quotas: Value.Default(TenantQuotas, {}) as TenantQuotas, // the schema fills every field it requires
  channels: [],
  allowed_origins: [],
  ...change,
});

export const tenantEntry = (id: string, change: Partial<TenantSettings> = {}, generation = 1): BundleEntry =>
  sealEntry({ kind: "tenant" as const, id, uid: `uid-${id}`, generation, spec: tenantSettings(change) });

export const templateEntry = (tenant: string, id: string, change: Partial<TemplateSettings> = {}, generation = 1): BundleEntry =>
  sealEntry({
    kind: "template" as const,
    id: templateEntryId(tenant, id),
    uid: `uid-${tenant}-${id}`,
    generation,
    spec: {
      ...{ tenant_id: tenant, template_id: id, event_type: "test", priority: "Normal" as const, engine: "Simple" as const },
      ...{ variables: [], payload: { text: "hello {{name}}" }, locales: [] },
      ...change,
    },
  });

export const digestOfAll = (entries: Iterable<BundleEntry>): string => bundleDigest(makeBuckets(entries).map(({ digest }) => digest));
