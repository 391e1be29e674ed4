// Why: one list of good and bad objects drives both the offline check and the real API server, so that the two can be
// compared. A bad case names the field the message must name and a part of what would be right.

type Spec = Record<string, unknown>;
export type Case = {
  readonly name: string;
  readonly kind: "NexusCluster" | "Tenant" | "Template";
  readonly spec: Spec;
  readonly metadataName?: string;
  /** Absent: the object is good. `field` as the API server writes it. */
  readonly bad?: { readonly field: string; readonly says: string };
};

const none = { redis: { mode: "None" } };
const external = (fields: Spec) => ({ redis: { mode: "External", external: { addresses: ["redis:6379"], ...fields } } });
const issuer = (fields: Spec) => ({
  clusterRef: { name: "c" },
  auth: { issuers: [{ name: "main", algorithms: ["HS256"], secretRef: { name: "s" }, ...fields }] },
});
const tenant = (fields: Spec = {}) => ({ clusterRef: { name: "c" }, ...fields });
const template = (fields: Spec = {}) => ({ tenantRef: { name: "t" }, eventType: "x", payload: { text: "hi" }, ...fields });
const pods = (fields: Spec) => ({ ...none, pods: fields });
const managed = (fields: Spec) => ({ redis: { mode: "Managed", managed: fields } });
const scaled = (fields: Spec) => ({ redis: { mode: "Managed" }, autoscaling: { maxReplicas: 5, ...fields } });

const cluster = (name: string, spec: Spec, bad?: Case["bad"], metadataName?: string): Case => ({
  name,
  kind: "NexusCluster",
  spec,
  ...(bad ? { bad } : {}),
  ...(metadataName ? { metadataName } : {}),
});
const ofTenant = (name: string, spec: Spec, bad?: Case["bad"], metadataName?: string): Case => ({
  ...cluster(name, spec, bad, metadataName),
  kind: "Tenant",
});
const ofTemplate = (name: string, spec: Spec, bad?: Case["bad"], metadataName?: string): Case => ({
  ...cluster(name, spec, bad, metadataName),
  kind: "Template",
});
const refused = (field: string, says: string) => ({ field, says });

export const CASES: readonly Case[] = [
  cluster("the smallest cluster", none),
  cluster("no replicas at all", { ...none, replicas: 0 }),
  cluster("a managed broker with autoscaling", scaled({ minReplicas: 2 })),
  cluster("sentinels with a master name", external({ topology: "Sentinel", masterName: "main" })),
  cluster("percentages in a rollout", { ...none, rollout: { maxSurge: "25%", maxUnavailable: 1 } }),
  cluster("a selector for tenants", { ...none, allowedNamespaces: { from: "Selector", selector: { matchLabels: { team: "a" } } } }),
  cluster("an inbox in PostgreSQL", { ...external({}), storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "pg" } } } }),
  cluster("redis left out", {}, { field: "spec.redis", says: "" }),
  cluster("an unknown redis mode", { redis: { mode: "Sometimes" } }, { field: "spec.redis.mode", says: "Managed" }),
  cluster("two replicas without redis", { ...none, replicas: 2 }, refused("spec.replicas", "several pods need Redis")),
  cluster("autoscaling without redis", { ...none, autoscaling: { maxReplicas: 3 } }, refused("spec.autoscaling", "redis.mode")),
  cluster("more replicas than a fleet can have", { redis: { mode: "Managed" }, replicas: 1001 }, { field: "spec.replicas", says: "1000" }),
  cluster("min above max", scaled({ minReplicas: 6 }), refused("spec.autoscaling.minReplicas", "maxReplicas")),
  cluster("KEDA without prometheus", scaled({ provider: "KEDA" }), refused("spec.autoscaling", "prometheus")),
  cluster(
    "external settings with a managed broker",
    { redis: { mode: "Managed", external: { addresses: ["a:1"] } } },
    refused("spec.redis", "external belongs to mode"),
  ),
  cluster("external without settings", { redis: { mode: "External" } }, refused("spec.redis", "external belongs to mode")),
  cluster("sentinels without a master name", external({ topology: "Sentinel" }), refused("spec.redis.external", "masterName")),
  cluster("a database in a cluster", external({ topology: "Cluster", database: 3 }), refused("spec.redis.external.database", "must be 0")),
  cluster("an address without port", external({ addresses: ["redis"] }), { field: "spec.redis.external.addresses[0]", says: "" }),
  cluster("no address", external({ addresses: [] }), refused("spec.redis.external.addresses", "at least one")),
  cluster("an inbox in a redis that is not there", { ...none, storage: { inbox: "Redis" } }, refused("spec.storage.inbox", "redis.mode")),
  cluster(
    "an inbox in PostgreSQL and everything else in memory",
    { ...none, storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "pg" } } } },
    refused("spec.storage.inbox", "redis.mode"),
  ),
  cluster("PostgreSQL without address", { ...none, storage: { inbox: "Postgres" } }, refused("spec.storage", "postgres")),
  cluster(
    "a selector without from: Selector",
    { ...none, allowedNamespaces: { from: "All", selector: {} } },
    refused("spec.allowedNamespaces", "selector"),
  ),
  cluster(
    "two sources of the certificate",
    { ...none, tls: { secretRef: { name: "a" }, issuerRef: { name: "b" } } },
    refused("spec.tls", "exactly one"),
  ),
  cluster(
    "stale before the heartbeat",
    { ...none, delivery: { heartbeatSeconds: 60, staleSeconds: 30 } },
    refused("spec.delivery.staleSeconds", "heartbeatSeconds"),
  ),
  cluster(
    "a drain shorter than endpoints take",
    { ...none, delivery: { drainSeconds: 4 } },
    { field: "spec.delivery.drainSeconds", says: "5" },
  ),
  cluster("a batch smaller than a body", { ...none, limits: { batchBytes: 2048 } }, refused("spec.limits.batchBytes", "bodyBytes")),
  cluster("a limit that is a text", { ...none, limits: { frameBytes: "big" } }, { field: "spec.limits.frameBytes", says: "" }),
  cluster("a digest that is none", { ...none, image: { digest: "latest" } }, { field: "spec.image.digest", says: "sha256" }),
  cluster("a name longer than its children's allow", none, refused("metadata.name", "40 characters"), `c${"x".repeat(40)}`),
  cluster("a name that starts with a digit", none, refused("metadata.name", "start with a letter"), "1st"),

  cluster("members that are null", { ...none, replicas: null, autoscaling: null, pods: { labels: { a: null, b: "c" } } }),
  cluster("amounts as numbers and texts", managed({ memory: "1.5Gi", storage: { size: 1073741824 } })),
  cluster("no memory", managed({ memory: "0" }), { field: "spec.redis.managed.memory", says: "" }),
  cluster("less than no memory", managed({ memory: "-1Gi" }), { field: "spec.redis.managed.memory", says: "" }),
  cluster("a volume of nothing", managed({ storage: { size: 0 } }), { field: "spec.redis.managed.storage.size", says: "1" }),
  cluster(
    "a broker's settings without a broker",
    { redis: { mode: "None", managed: {} } },
    refused("spec.redis", "managed belongs to mode: Managed"),
  ),
  cluster(
    "variables from elsewhere",
    pods({
      env: [
        { name: "A", value: "1" },
        { name: "B", valueFrom: { fieldRef: { fieldPath: "x" } } },
      ],
    }),
  ),
  cluster("a variable the operator sets", pods({ env: [{ name: "NEXUS_NODE", value: "x" }] }), refused("spec.pods.env", "NEXUS_NODE")),
  cluster("a variable without name", pods({ env: [{ value: "1" }] }), { field: "spec.pods.env[0].name", says: "" }),
  cluster("a variable twice", pods({ env: [{ name: "A" }, { name: "A" }] }), { field: "spec.pods.env[1]", says: "" }),
  cluster(
    "a pull secret twice",
    { ...none, image: { pullSecrets: [{ name: "a" }, { name: "a" }] } },
    { field: "spec.image.pullSecrets[1]", says: "" },
  ),
  cluster("a spread without key", pods({ topologySpreadConstraints: [{ whenUnsatisfiable: "DoNotSchedule" }] }), {
    field: "spec.pods.topologySpreadConstraints[0].topologyKey",
    says: "",
  }),
  cluster("a rollout that cannot move", { ...none, rollout: { maxSurge: 0, maxUnavailable: "0%" } }, refused("spec.rollout", "both be 0")),
  cluster("fewer than no pods", { ...none, rollout: { maxSurge: -1 } }, { field: "spec.rollout.maxSurge", says: "0" }),
  cluster("more than all pods", { ...none, rollout: { maxUnavailable: "101%" } }, { field: "spec.rollout.maxUnavailable", says: "%" }),
  cluster("every form of a channel rule", { ...none, channels: ["*", "a.*", "käse", "@broadcast"].map((match) => ({ match })) }),
  cluster("a star inside a pattern", { ...none, channels: [{ match: "a*b" }] }, { field: "spec.channels[0].match", says: "" }),
  cluster(
    "a route to nowhere",
    { ...none, exposure: { gateway: { parentRefs: [] } } },
    refused("spec.exposure.gateway.parentRefs", "at least one"),
  ),
  cluster(
    "a platform key that fits no Secret's name",
    { ...none, platformKeys: [{ name: "Ops!" }] },
    {
      field: "spec.platformKeys[0].name",
      says: "a-z0-9",
    },
  ),
  cluster(
    "an unknown namespace rule",
    { ...none, allowedNamespaces: { from: "Some" } },
    { field: "spec.allowedNamespaces.from", says: "Selector" },
  ),
  cluster(
    "a service level that is no percentage",
    { ...none, monitoring: { slo: { deliveryPercent: "high" } } },
    {
      field: "spec.monitoring.slo.deliveryPercent",
      says: "0-9",
    },
  ),

  ofTenant("the smallest tenant", tenant()),
  ofTenant(
    "origins of pages and of apps",
    tenant({ allowedOrigins: ["https://app.example.com", "http://[::1]:3000", "capacitor://localhost", "*"] }),
  ),
  ofTenant("an origin with a path", tenant({ allowedOrigins: ["https://app.example.com/"] }), {
    field: "spec.allowedOrigins[0]",
    says: "",
  }),
  ofTenant(
    "a namespace that cannot be",
    { clusterRef: { name: "c", namespace: "A_B" } },
    { field: "spec.clusterRef.namespace", says: "a-z0-9" },
  ),
  ofTenant("a name too long for its keys' Secrets", tenant({ tenantId: "a" }), refused("metadata.name", "180 characters"), "x".repeat(181)),
  ofTenant(
    "a JWKS issuer",
    tenant({ auth: { issuers: [{ name: "idp", algorithms: ["RS256", "ES256"], jwksURL: "https://idp.example.com/jwks" }] } }),
  ),
  ofTenant("an issuer with a shared secret", issuer({})),
  ofTenant(
    "a key that may do nothing",
    tenant({ auth: { apiKeys: [{ name: "a", scopes: [] }] } }),
    refused("spec.auth.apiKeys[0].scopes", "at least one"),
  ),
  ofTenant(
    "two keys",
    tenant({
      auth: {
        apiKeys: [
          { name: "a", scopes: ["publish"] },
          { name: "b", scopes: ["read", "admin"] },
        ],
      },
    }),
  ),
  ofTenant("no cluster", {}, { field: "spec.clusterRef", says: "" }),
  ofTenant(
    "two sources of the key",
    issuer({ publicKeySecretRef: { name: "p" } }),
    refused("spec.auth.issuers[0]", "exactly one of jwksURL"),
  ),
  ofTenant(
    "no source of the key",
    issuer({ secretRef: undefined, algorithms: ["RS256"] }),
    refused("spec.auth.issuers[0]", "exactly one of jwksURL"),
  ),
  ofTenant("a JWKS without https", issuer({ secretRef: undefined, algorithms: ["RS256"], jwksURL: "http://idp/jwks" }), {
    field: "spec.auth.issuers[0].jwksURL",
    says: "https",
  }),
  ofTenant(
    "HMAC with a public key",
    issuer({ secretRef: undefined, publicKeySecretRef: { name: "p" } }),
    refused("spec.auth.issuers[0].algorithms", "belong to secretRef"),
  ),
  ofTenant(
    "RS256 with a shared secret",
    issuer({ algorithms: ["HS256", "RS256"] }),
    refused("spec.auth.issuers[0].algorithms", "HS256, HS384 or HS512"),
  ),
  ofTenant("no algorithm", issuer({ algorithms: [] }), refused("spec.auth.issuers[0].algorithms", "at least one")),
  ofTenant("algorithm none", issuer({ algorithms: ["none"] }), { field: "spec.auth.issuers[0].algorithms[0]", says: "HS256" }),
  ofTenant("an unknown scope", tenant({ auth: { apiKeys: [{ name: "a", scopes: ["everything"] }] } }), {
    field: "spec.auth.apiKeys[0].scopes[0]",
    says: "publish",
  }),
  ofTenant(
    "two keys of one name",
    tenant({
      auth: {
        apiKeys: [
          { name: "a", scopes: ["read"] },
          { name: "a", scopes: ["read"] },
        ],
      },
    }),
    { field: "spec.auth.apiKeys[1]", says: "" },
  ),
  ofTenant("an id with a slash", tenant({ tenantId: "a/b" }), { field: "spec.tenantId", says: "A-Za-z0-9" }),
  ofTenant("a name too long for an id", tenant(), refused("metadata.name", "64 characters"), "x".repeat(65)),
  ofTenant("a quota of nothing", tenant({ quotas: { connectionsPerUser: 0 } }), { field: "spec.quotas.connectionsPerUser", says: "1" }),

  ofTemplate("the smallest template", template()),
  ofTemplate(
    "variables and locales",
    template({ variables: [{ name: "n", type: "integer", default: 1 }], locales: [{ locale: "de-AT", payload: {} }] }),
  ),
  ofTemplate("a payload that is nested and odd", template({ payload: { "{{key}}": [1, null, { deep: true }], off: "Off" } })),
  ofTemplate("a default that is null", template({ variables: [{ name: "n", type: "any", default: null }] })),
  ofTemplate("no payload", { tenantRef: { name: "t" }, eventType: "x" }, { field: "spec.payload", says: "" }),
  ofTemplate("one text as payload, also in a locale", {
    ...{ tenantRef: { name: "t" }, eventType: "x", engine: "Liquid", payloadText: "[{{ a }}]" },
    locales: [
      { locale: "de", payloadText: "[]" },
      { locale: "fr", payload: {} },
    ],
  }),
  ofTemplate("payload in both forms", template({ engine: "Liquid", payloadText: "x" }), { field: "spec.payload", says: "instead of it" }),
  ofTemplate(
    "one text with Simple",
    { tenantRef: { name: "t" }, eventType: "x", payloadText: "x" },
    { field: "spec.payloadText", says: "needs engine: Liquid" },
  ),
  ofTemplate("one text with Simple in a locale", template({ locales: [{ locale: "de", payloadText: "x" }] }), {
    field: "spec.locales",
    says: "needs engine: Liquid",
  }),
  ofTemplate("a locale without payload", template({ locales: [{ locale: "de" }] }), { field: "spec.locales[0].payload", says: "required" }),
  ofTemplate("an empty event type", template({ eventType: "" }), { field: "spec.eventType", says: "1" }),
  ofTemplate("an unknown priority", template({ priority: "Urgent" }), { field: "spec.priority", says: "Critical" }),
  ofTemplate("an unknown engine", template({ engine: "Handlebars" }), { field: "spec.engine", says: "Liquid" }),
  ofTemplate("an id with a dot", template({ templateId: "a.b" }), { field: "spec.templateId", says: "A-Za-z0-9" }),
  ofTemplate("a name with a dot and no id", template(), refused("metadata.name", "without dots"), "a.b"),
  ofTemplate("a locale that is no tag", template({ locales: [{ locale: "german!", payload: {} }] }), {
    field: "spec.locales[0].locale",
    says: "",
  }),
  ofTemplate("a negative time to live", template({ ttlSeconds: -1 }), { field: "spec.ttlSeconds", says: "0" }),
];

export type UpdateCase = {
  readonly name: string;
  readonly kind: Case["kind"];
  readonly before: Spec;
  readonly after: Spec;
  readonly field?: string;
};

/** `field`: the update is refused with a message that names it. */
export const UPDATES: readonly UpdateCase[] = [
  {
    name: "a tenant's id cannot be changed",
    kind: "Tenant",
    before: tenant({ tenantId: "a" }),
    after: tenant({ tenantId: "b" }),
    field: "spec.tenantId",
  },
  { name: "a tenant's id cannot be removed", kind: "Tenant", before: tenant({ tenantId: "a" }), after: tenant(), field: "spec.tenantId" },
  { name: "a tenant's id cannot be set later", kind: "Tenant", before: tenant(), after: tenant({ tenantId: "a" }), field: "spec.tenantId" },
  {
    name: "a tenant cannot move to another cluster",
    kind: "Tenant",
    before: tenant(),
    after: { clusterRef: { name: "d" } },
    field: "spec.clusterRef",
  },
  {
    name: "a tenant cannot move to another namespace's cluster",
    kind: "Tenant",
    before: tenant(),
    after: { clusterRef: { name: "c", namespace: "other" } },
    field: "spec.clusterRef",
  },
  {
    name: "a tenant can be suspended",
    kind: "Tenant",
    before: tenant({ tenantId: "a" }),
    after: tenant({ tenantId: "a", suspended: true }),
  },
  {
    name: "a template cannot move to another tenant",
    kind: "Template",
    before: template(),
    after: template({ tenantRef: { name: "u" } }),
    field: "spec.tenantRef",
  },
  {
    name: "a template's id cannot be removed",
    kind: "Template",
    before: template({ templateId: "a" }),
    after: template(),
    field: "spec.templateId",
  },
  {
    name: "a template's id cannot be set later",
    kind: "Template",
    before: template(),
    after: template({ templateId: "a" }),
    field: "spec.templateId",
  },
  { name: "a broker can be added later", kind: "NexusCluster", before: none, after: { redis: { mode: "Managed" }, replicas: 2 } },
  {
    name: "a broker cannot be taken from two pods",
    kind: "NexusCluster",
    before: { redis: { mode: "Managed" }, replicas: 2 },
    after: { ...none, replicas: 2 },
    field: "spec.replicas",
  },
  { name: "a template's payload can be changed", kind: "Template", before: template(), after: template({ payload: { text: "new" } }) },
];

export const objectOf = ({ kind, spec, metadataName }: Pick<Case, "kind" | "spec" | "metadataName">, name: string) => ({
  apiVersion: "nexus.dev/v1alpha1",
  kind,
  metadata: { name: metadataName ?? name },
  spec,
});
