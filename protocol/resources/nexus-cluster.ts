// Why: NexusCluster, one fleet of servers: the source of its CRD, of its reference and of the types everyone uses.
// It must never hold behaviour; rules between fields are CEL texts that the API server enforces.
import { type Static, Type } from "@sinclair/typebox";
import { Exposure, Image, ListenerTls, Monitoring, PlatformKey, Pods } from "./cluster/exposure.ts";
import { Redis, Storage } from "./cluster/redis.ts";
import { Autoscaling, Rollout } from "./cluster/scaling.ts";
import { Condition, NOT_SEEN } from "./conditions.ts";
import { allowedNamespaces, choice, int, keyed, LIVE, type ObjectMeta, ordered } from "./fields.ts";
import { type API_VERSION, CLUSTER_NAME_PATTERN } from "./names.ts";
import { type CelRule, celRule, nameRule } from "./rules.ts";
import { ChannelRule, Delivery, Limits } from "./settings.ts";

type SpecShape = {
  readonly redis: { readonly mode: string };
  readonly replicas: number;
  readonly autoscaling?: unknown;
  readonly storage: { readonly inbox: string };
  readonly delivery: Delivery;
  readonly limits: Limits;
};

const SPEC_RULES: readonly CelRule[] = [
  celRule<SpecShape>(
    "self.redis.mode != 'None' || self.replicas <= 1",
    'replicas must be at most 1 while redis.mode is "None": several pods need Redis to act as one',
    ({ redis, replicas }) => redis.mode !== "None" || replicas <= 1,
    ".replicas",
  ),
  celRule<SpecShape>(
    "self.redis.mode != 'None' || !has(self.autoscaling)",
    'autoscaling needs a redis.mode other than "None": several pods need Redis to act as one',
    ({ redis, autoscaling }) => redis.mode !== "None" || autoscaling === undefined,
    ".autoscaling",
  ),
  celRule<SpecShape>(
    "self.redis.mode != 'None' || self.storage.inbox == 'Auto'",
    'storage.inbox must be "Auto" while redis.mode is "None": a server in memory has nothing else',
    ({ redis, storage }) => redis.mode !== "None" || storage.inbox === "Auto",
    ".storage.inbox",
  ),
  celRule<SpecShape>(
    "self.delivery.staleSeconds > self.delivery.heartbeatSeconds",
    "delivery.staleSeconds must be greater than delivery.heartbeatSeconds",
    ({ delivery }) => delivery.staleSeconds > delivery.heartbeatSeconds,
    ".delivery.staleSeconds",
  ),
  celRule<SpecShape>(
    "self.limits.batchBytes >= self.limits.bodyBytes",
    "limits.batchBytes must not be less than limits.bodyBytes",
    ({ limits }) => limits.batchBytes >= limits.bodyBytes,
    ".limits.batchBytes",
  ),
];

export const NexusClusterSpec = Type.Object(
  {
    image: Image,
    replicas: int("Number of pods; ignored while autoscaling is set.", LIVE, { default: 1, maximum: 1000 }),
    autoscaling: Type.Optional(Autoscaling),
    redis: Redis,
    storage: Storage,
    channels: Type.Optional(ordered(ChannelRule, 64, "Rules for channels, in order; the first whose match covers the name wins.", LIVE)),
    limits: Limits,
    delivery: Delivery,
    tenancy: choice(["Multiple", "Single"], "Single maps every claim and header to tenant default.", LIVE, "Multiple"),
    platformKeys: Type.Optional(keyed(PlatformKey, ["name"], 8, "Keys that act for any tenant.", LIVE)),
    allowedNamespaces: allowedNamespaces("Tenants"),
    exposure: Exposure,
    tls: Type.Optional(ListenerTls),
    pods: Pods,
    rollout: Rollout,
    monitoring: Monitoring,
  },
  { description: `What the fleet should be. ${LIVE}`, "x-kubernetes-validations": SPEC_RULES },
);

/** The spec as the API server hands it out: defaults filled in. */
export type NexusClusterSpec = Static<typeof NexusClusterSpec>;

const count = (description: string) => Type.Optional(Type.Integer({ format: "int32", minimum: 0, description }));

export const NexusClusterStatus = Type.Object(
  {
    observedGeneration: Type.Optional(Type.Integer({ format: "int64", description: "Generation this status is about." })),
    replicas: count("Pods that exist."),
    readyReplicas: count("Pods that are ready."),
    selector: Type.Optional(Type.String({ maxLength: 1024, description: "Label selector of the pods, for the scale subresource." })),
    connections: count("Sessions, to 2 significant digits; moves at most once a minute."),
    endpoints: Type.Optional(
      Type.Array(Type.String({ maxLength: 512 }), {
        maxItems: 16,
        "x-kubernetes-list-type": "atomic",
        description: "Addresses people can use.",
      }),
    ),
    version: Type.Optional(Type.String({ maxLength: 128, description: "Version of the servers." })),
    bundle: Type.Optional(
      Type.Object(
        {
          digest: Type.String({ maxLength: 64, description: "Digest of the configuration." }),
          podsSynced: Type.Integer({ format: "int32", description: "Ready pods that have it." }),
          podsTotal: Type.Integer({ format: "int32", description: "Ready pods." }),
        },
        { description: "The live configuration." },
      ),
    ),
    pendingRollout: Type.Optional(
      Type.Object(
        {
          digest: Type.String({ maxLength: 128, description: "What to write into rollout.approve." }),
          reason: Type.String({ maxLength: 1024, description: "Why the pods would change." }),
          fields: Type.Array(Type.String({ maxLength: 256 }), {
            maxItems: 16,
            "x-kubernetes-list-type": "atomic",
            description: "Paths that would change.",
          }),
        },
        { description: "A change of the pods that waits for rollout.approve." },
      ),
    ),
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
export type NexusClusterStatus = Static<typeof NexusClusterStatus>;

/** Rules on the whole object. */
export const NEXUS_CLUSTER_RULES: readonly CelRule[] = [
  nameRule<{ metadata: ObjectMeta }>(
    `self.metadata.name.matches('${CLUSTER_NAME_PATTERN}')`,
    "metadata.name must be at most 40 characters of a-z, 0-9 and '-', start with a letter and end with a letter or digit",
    ({ metadata }) => new RegExp(CLUSTER_NAME_PATTERN, "u").test(metadata.name),
  ),
];

export type NexusCluster = {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "NexusCluster";
  readonly metadata: ObjectMeta;
  readonly spec: NexusClusterSpec;
  readonly status?: NexusClusterStatus;
};
