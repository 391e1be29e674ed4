// Why: how people reach the fleet, and what its pods look like to Kubernetes. Plucked fields, never a whole PodSpec.
import { Type } from "@sinclair/typebox";
import {
  choice,
  group,
  int,
  keyed,
  LIVE,
  name,
  opaque,
  opaqueKeyed,
  opaqueList,
  ROLLS,
  secretKeyRef,
  secretRef,
  set,
  stringMap,
  text,
} from "../fields.ts";
import { DNS_LABEL_PATTERN } from "../names.ts";
import { celRule } from "../rules.ts";

export const Exposure = group(
  "How people reach the fleet.",
  LIVE,
  {
    service: group(
      "The Service in front of the pods.",
      LIVE,
      {
        type: choice(["ClusterIP", "NodePort", "LoadBalancer"], "Type of the Service.", LIVE, "ClusterIP"),
        annotations: Type.Optional(stringMap("Annotations of the Service.", LIVE)),
      },
      { default: {} },
    ),
    ingress: Type.Optional(
      group("An Ingress with timeouts fit for sockets.", LIVE, {
        ingressClassName: Type.Optional(name("Class of the Ingress.", LIVE)),
        host: name("Host name.", LIVE),
        annotations: Type.Optional(stringMap("Annotations of the Ingress.", LIVE)),
        tls: Type.Optional(group("Encrypt at the Ingress.", LIVE, { secretRef: secretRef("Secret of type kubernetes.io/tls.", LIVE) })),
      }),
    ),
    gateway: Type.Optional(
      group(
        "An HTTPRoute of the Gateway API.",
        LIVE,
        {
          parentRefs: opaqueList(8, "Gateways, as in an HTTPRoute.", LIVE),
          hostnames: Type.Optional(set(Type.String({ maxLength: 253, description: `Host name. ${LIVE}` }), 16, "Host names.", LIVE)),
        },
        {
          "x-kubernetes-validations": [
            celRule<{ parentRefs: readonly unknown[] }>(
              "size(self.parentRefs) > 0",
              "parentRefs must name at least one Gateway",
              ({ parentRefs }) => parentRefs.length > 0,
              ".parentRefs",
            ),
          ],
        },
      ),
    ),
  },
  { default: {} },
);

export const ListenerTls = group(
  "Encrypt the public port.",
  ROLLS,
  {
    secretRef: Type.Optional(secretRef("Secret of type kubernetes.io/tls; its renewal takes effect live.", ROLLS)),
    issuerRef: Type.Optional(
      group(
        "Issuer of cert-manager that makes the certificate.",
        ROLLS,
        {
          name: name("Name of the issuer.", ROLLS),
          kind: text("Kind of the issuer.", ROLLS, { default: "Issuer", maxLength: 63 }),
          group: text("API group of the issuer.", ROLLS, { default: "cert-manager.io", maxLength: 253 }),
        },
        { "x-kubernetes-map-type": "atomic" },
      ),
    ),
  },
  {
    "x-kubernetes-validations": [
      celRule<{ secretRef?: unknown; issuerRef?: unknown }>(
        "has(self.secretRef) != has(self.issuerRef)",
        "exactly one of secretRef and issuerRef must be set",
        ({ secretRef, issuerRef }) => (secretRef !== undefined) !== (issuerRef !== undefined),
      ),
    ],
  },
);

/** Variables the operator sets: a second entry of the same name could not be applied. */
const RESERVED_ENV = [
  "NEXUS_CLUSTER",
  "NEXUS_NODE",
  "NEXUS_BOOT_DIRECTORY",
  "NEXUS_ADMIN_CERT_FILE",
  "NEXUS_ADMIN_KEY_FILE",
  "NEXUS_ADMIN_TOKEN_FILE",
  "NEXUS_TLS_CERT_FILE",
  "NEXUS_TLS_KEY_FILE",
  "NEXUS_ENGINE",
  "NEXUS_INBOX",
  "NEXUS_REDIS_CONNECTION_FILE",
  "NEXUS_POSTGRES_URL_FILE",
];

const env = opaqueKeyed(["name"], 64, "Further environment of the server container, as in a Pod.", ROLLS, {
  "x-kubernetes-validations": [
    celRule<readonly { name: string }[]>(
      `self.all(one, !(one.name in [${RESERVED_ENV.map((one) => `'${one}'`).join(", ")}]))`,
      "env must not set NEXUS_CLUSTER, NEXUS_NODE, NEXUS_BOOT_DIRECTORY, NEXUS_ENGINE, NEXUS_INBOX, or any file of NEXUS_ADMIN_*, NEXUS_TLS_*, NEXUS_REDIS_* and NEXUS_POSTGRES_* that the operator sets",
      (entries) => entries.every(({ name }) => !RESERVED_ENV.includes(name)),
    ),
  ],
});

export const Pods = group(
  "What the server pods look like to Kubernetes.",
  ROLLS,
  {
    resources: Type.Optional(opaque("CPU and memory, as in a Pod.", ROLLS)),
    nodeSelector: Type.Optional(stringMap("Labels a node must have.", ROLLS, { "x-kubernetes-map-type": "atomic" })),
    tolerations: Type.Optional(opaqueList(32, "Taints the pods stand, as in a Pod.", ROLLS)),
    affinity: Type.Optional(opaque("Affinity, as in a Pod.", ROLLS)),
    topologySpreadConstraints: Type.Optional(
      opaqueKeyed(["topologyKey", "whenUnsatisfiable"], 8, "Replaces the default spread over zones and hosts, as in a Pod.", ROLLS),
    ),
    priorityClassName: Type.Optional(name("Priority class of the pods.", ROLLS)),
    labels: Type.Optional(stringMap("Further labels of the pods.", ROLLS)),
    annotations: Type.Optional(stringMap("Annotations of the pods.", ROLLS)),
    env: Type.Optional(env),
    serviceAccountName: Type.Optional(name("ServiceAccount to run as; absent: one the operator makes.", ROLLS)),
  },
  { default: {} },
);

const auto = (description: string) => choice(["Auto", "Disabled"], description, LIVE, "Auto");

export const Monitoring = group(
  "Objects for Prometheus and Grafana.",
  LIVE,
  {
    podMonitor: auto("PodMonitor; Auto: when the cluster has that kind."),
    rules: auto("PrometheusRule; Auto: when the cluster has that kind."),
    dashboard: auto("Dashboards as ConfigMaps; Auto: with podMonitor."),
    labels: Type.Optional(stringMap("Labels by which Prometheus finds these objects.", LIVE)),
    slo: group(
      "What the alerts promise.",
      LIVE,
      {
        deliveryPercent: text("Share of deliveries that succeed, as text.", LIVE, {
          default: "99.9",
          maxLength: 8,
          pattern: "^[0-9]{1,2}(\\.[0-9]{1,4})?$",
        }),
        latencyMilliseconds: int("Latency most deliveries stay below, in milliseconds.", LIVE, { minimum: 1, default: 500 }),
      },
      { default: {} },
    ),
    tracing: Type.Optional(
      group("Spans of publishes and deliveries over OTLP; absent: none.", LIVE, {
        endpoint: text("URL of the collector (OTLP http/protobuf); /v1/traces is added where it is not there.", LIVE, {
          maxLength: 2048,
          pattern: "^https?://",
        }),
        samplePercent: int("Share of publishes that are traced where the caller began no trace; a caller's own sampling is obeyed.", LIVE, {
          maximum: 100,
          default: 0,
        }),
      }),
    ),
  },
  { default: {} },
);

export const PlatformKey = Type.Object({
  name: text("Name in logs and metrics; part of the generated Secret's name.", LIVE, { maxLength: 63, pattern: DNS_LABEL_PATTERN }),
  secretRef: Type.Optional(secretKeyRef("Secret with the key; absent: the operator makes <cluster>-platformkey-<name>.", LIVE, "key")),
  rotation: int("Raise it to have a generated key replaced; both are valid for 24 h.", LIVE, { default: 0 }),
});

export const Image = group(
  "Image of the servers; absent: the one released with the operator.",
  ROLLS,
  {
    repository: Type.Optional(text("Repository without tag.", ROLLS, { maxLength: 512, minLength: 1 })),
    tag: Type.Optional(text("Tag.", ROLLS, { maxLength: 128, pattern: "^[\\w][\\w.-]*$" })),
    digest: Type.Optional(text("Digest; wins over tag.", ROLLS, { maxLength: 71, pattern: "^sha256:[0-9a-f]{64}$" })),
    pullPolicy: choice(["Always", "IfNotPresent", "Never"], "When the node pulls.", ROLLS, "IfNotPresent"),
    pullSecrets: Type.Optional(
      keyed(Type.Object({ name: name("Name of the Secret.", ROLLS) }), ["name"], 8, "Secrets to pull with.", ROLLS),
    ),
  },
  { default: {} },
);
