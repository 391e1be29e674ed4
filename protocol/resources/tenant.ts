// Why: Tenant, one customer or application of a fleet: the source of its CRD, reference and types.
// It must never hold behaviour; rules between fields are CEL texts that the API server enforces.
import { type Static, Type } from "@sinclair/typebox";
import { Condition, NOT_SEEN } from "./conditions.ts";
import { JWT_ALGORITHMS, KEY_SCOPES } from "./credentials.ts";
import {
  allowedNamespaces,
  choice,
  flag,
  group,
  int,
  keyed,
  LIVE,
  type ObjectMeta,
  objectRef,
  ordered,
  secretKeyRef,
  set,
  text,
} from "./fields.ts";
import { type API_VERSION, DNS_LABEL_PATTERN, TENANT_ID_PATTERN } from "./names.ts";
import { type CelRule, celRule, immutable, immutableOptional, nameRule } from "./rules.ts";
import { ChannelRule, TenantQuotas } from "./settings.ts";

/** Scheme, host and port without a path, as browsers send it; "*" is any. */
const ORIGIN_PATTERN = "^(\\*|[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\s]+)$";

type IssuerShape = { algorithms: readonly string[]; jwksURL?: unknown; publicKeySecretRef?: unknown; secretRef?: unknown };
const isHmac = (algorithm: string): boolean => algorithm.startsWith("HS");

const Issuer = Type.Object(
  {
    name: text("Name in logs and errors.", LIVE, { minLength: 1, maxLength: 63 }),
    issuer: Type.Optional(text("What the token's iss must be; a token without iss is refused then.", LIVE, { minLength: 1 })),
    audiences: Type.Optional(
      set(
        Type.String({ minLength: 1, maxLength: 512, description: `An audience. ${LIVE}` }),
        16,
        "The token's aud must name one of these; a token without aud is refused then.",
        LIVE,
      ),
    ),
    algorithms: set(
      Type.Unsafe<(typeof JWT_ALGORITHMS)[number]>({ type: "string", enum: [...JWT_ALGORITHMS] }),
      10,
      "Signature algorithms that are accepted.",
      LIVE,
    ),
    jwksURL: Type.Optional(text("https address of a JSON Web Key Set.", LIVE, { maxLength: 2048, pattern: "^https://" })),
    publicKeySecretRef: Type.Optional(secretKeyRef("Secret with a public key in PEM.", LIVE, "key")),
    secretRef: Type.Optional(secretKeyRef("Secret with the bytes of an HMAC key.", LIVE, "key")),
    clockSkewSeconds: int("How far clocks may differ, in seconds.", LIVE, { default: 60, maximum: 3600 }),
  },
  {
    "x-kubernetes-validations": [
      celRule<IssuerShape>(
        "[has(self.jwksURL), has(self.publicKeySecretRef), has(self.secretRef)].filter(set, set).size() == 1",
        "exactly one of jwksURL, publicKeySecretRef and secretRef must be set",
        ({ jwksURL, publicKeySecretRef, secretRef }) =>
          [jwksURL, publicKeySecretRef, secretRef].filter((one) => one !== undefined).length === 1,
      ),
      celRule<IssuerShape>(
        "size(self.algorithms) > 0",
        "algorithms must name at least one",
        ({ algorithms }) => algorithms.length > 0,
        ".algorithms",
      ),
      celRule<IssuerShape>(
        "has(self.secretRef) == self.algorithms.exists(a, a.startsWith('HS'))",
        "algorithms HS256, HS384 and HS512 belong to secretRef, all others to jwksURL or publicKeySecretRef",
        ({ secretRef, algorithms }) => (secretRef !== undefined) === algorithms.some(isHmac),
        ".algorithms",
      ),
      celRule<IssuerShape>(
        "!has(self.secretRef) || self.algorithms.all(a, a.startsWith('HS'))",
        "algorithms must only be HS256, HS384 or HS512 with secretRef",
        ({ secretRef, algorithms }) => secretRef === undefined || algorithms.every(isHmac),
        ".algorithms",
      ),
    ],
  },
);

const ApiKey = Type.Object(
  {
    name: text("Name of the key; part of the generated Secret's name.", LIVE, {
      minLength: 1,
      maxLength: 63,
      pattern: DNS_LABEL_PATTERN,
    }),
    scopes: set(Type.Unsafe<(typeof KEY_SCOPES)[number]>({ type: "string", enum: [...KEY_SCOPES] }), 3, "What the key may do.", LIVE),
    secretRef: Type.Optional(secretKeyRef("Secret with the key; absent: the operator makes <tenant>-apikey-<name>.", LIVE, "key")),
    rotation: int("Raise it to have a generated key replaced; both are valid for 24 h.", LIVE, { default: 0 }),
  },
  {
    "x-kubernetes-validations": [
      celRule<{ scopes: readonly string[] }>(
        "size(self.scopes) > 0",
        "scopes must name at least one of publish, read and admin",
        ({ scopes }) => scopes.length > 0,
        ".scopes",
      ),
    ],
  },
);

export const TenantSpec = Type.Object(
  {
    clusterRef: objectRef("The NexusCluster that serves this tenant.", LIVE),
    tenantId: Type.Optional(
      text(
        "Id in tokens and headers; absent: the object's name. In another namespace than the cluster's it becomes <namespace>.<tenantId>.",
        LIVE,
        {
          minLength: 1,
          maxLength: 64,
          pattern: TENANT_ID_PATTERN,
        },
      ),
    ),
    suspended: flag(false, "Refuses every request and ends every session.", LIVE),
    auth: group(
      "Who may speak for this tenant.",
      LIVE,
      {
        issuers: Type.Optional(keyed(Issuer, ["name"], 8, "Who signs the tokens of its users.", LIVE)),
        apiKeys: Type.Optional(keyed(ApiKey, ["name"], 32, "Keys of its backends.", LIVE)),
      },
      { default: {} },
    ),
    quotas: TenantQuotas,
    channels: Type.Optional(ordered(ChannelRule, 64, "Rules for channels, before the cluster's.", LIVE)),
    allowedOrigins: Type.Optional(
      set(
        Type.String({
          maxLength: 512,
          pattern: ORIGIN_PATTERN,
          description: `An origin, such as https://app.example.com, or "*". ${LIVE}`,
        }),
        64,
        "Origins whose pages may connect; absent: any.",
        LIVE,
      ),
    ),
    allowedNamespaces: allowedNamespaces("Templates"),
    deletionPolicy: choice(["Retain", "Delete"], "What happens to stored data when this object is deleted.", LIVE, "Retain"),
  },
  { description: `What the tenant may do. ${LIVE}`, "x-kubernetes-validations": [immutable("clusterRef"), immutableOptional("tenantId")] },
);
export type TenantSpec = Static<typeof TenantSpec>;

export const TenantStatus = Type.Object(
  {
    observedGeneration: Type.Optional(Type.Integer({ format: "int64", description: "Generation this status is about." })),
    tenantId: Type.Optional(Type.String({ maxLength: 128, description: "The id in force." })),
    conditions: Type.Optional(
      Type.Array(Condition, {
        maxItems: 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        description: "Aspects of the state.",
      }),
    ),
  },
  { description: "What was seen.", default: NOT_SEEN },
);
export type TenantStatus = Static<typeof TenantStatus>;

export const TENANT_RULES: readonly CelRule[] = [
  nameRule<{ metadata: ObjectMeta; spec: { tenantId?: string } }>(
    "has(self.spec.tenantId) || self.metadata.name.size() <= 64",
    "metadata.name must be at most 64 characters when spec.tenantId is not set, because it becomes the id",
    ({ metadata, spec }) => spec.tenantId !== undefined || metadata.name.length <= 64,
  ),
  nameRule<{ metadata: ObjectMeta }>(
    "self.metadata.name.size() <= 180",
    "metadata.name must be at most 180 characters: the name of a generated Secret is <name>-apikey-<key>",
    ({ metadata }) => metadata.name.length <= 180,
  ),
];

export type Tenant = {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Tenant";
  readonly metadata: ObjectMeta;
  readonly spec: TenantSpec;
  readonly status?: TenantStatus;
};
