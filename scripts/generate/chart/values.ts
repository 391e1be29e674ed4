// Why: the ONE schema of the chart's values. values.yaml, values.schema.json and the table in the chart's README are written
// from it, so that a default, its type and its description cannot disagree. Data only.
import { LOG_LEVELS } from "@nexus/protocol/config.ts";
import { type TSchema, Type } from "@sinclair/typebox";
import { RUNBOOK_BASE_URL } from "../../../operator/src/desired/monitoring/rules/render.ts";

/** Nothing is required: what is not given has its default. */
const group = (description: string, properties: Record<string, TSchema>) =>
  Type.Partial(Type.Object(properties), { description, additionalProperties: false });
const text = (description: string, fallback = "", options: object = {}) => Type.String({ description, default: fallback, ...options });
const yes = (description: string, fallback = true) => Type.Boolean({ description, default: fallback });
const whole = (description: string, fallback: number, minimum: number, maximum: number) =>
  Type.Integer({ description, default: fallback, minimum, maximum });
/** Checked by the API server, not by us: it knows the shape of its own objects. */
const free = (description: string, fallback: Record<string, unknown> = {}) =>
  Type.Object({}, { description, default: fallback, additionalProperties: true });
const freeList = (description: string) => Type.Array(Type.Object({}, { additionalProperties: true }), { description, default: [] });
const names = (description: string) => Type.Record(Type.String(), Type.String(), { description, default: {} });
/** `Auto` depends on what the cluster serves; the words are no booleans in YAML 1.1. */
const byCapability = (description: string) =>
  Type.Unsafe<string>({ type: "string", enum: ["Auto", "Enabled", "Disabled"], default: "Auto", description });

/** A registry may have a port; a colon after the last slash is a tag that belongs into another value. */
const REPOSITORY = "^([^\\s@/]+/)*[^\\s@/:]+$";
const DNS_LABEL = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";

export const CHART_VALUES = group("Values of the chart.", {
  image: group("The image of the operator; the same image runs the servers.", {
    repository: text("Registry and name, without tag.", "nexus.dev/nexus", { pattern: REPOSITORY }),
    tag: text("Tag; empty: the chart's appVersion. Not used when `digest` is set."),
    digest: text("`sha256:…`: exactly this image.", "", { pattern: "^(sha256:[0-9a-f]{64})?$" }),
    pullPolicy: Type.Unsafe<string>({
      type: "string",
      enum: ["IfNotPresent", "Always", "Never"],
      default: "IfNotPresent",
      description: "When nodes pull it.",
    }),
    pullSecrets: Type.Array(Type.Object({ name: Type.String({ minLength: 1 }) }, { additionalProperties: false }), {
      default: [],
      description:
        "Secrets of the release's namespace with the registry's credentials: `[{name}]`. Servers have their own in the NexusCluster.",
    }),
  }),
  serverImage: text("Image of the servers that name none; empty: the operator's own image."),
  redisImage: text("Image of a managed Redis whose NexusCluster names none; empty: the one released with the operator."),
  replicas: whole("Operator pods: one leads, the others stand by with warm watches.", 2, 1, 5),
  operatorId: text(
    "Tells two operators apart that serve different objects of one cluster. Never change it: children carry it.",
    "default",
    {
      pattern: DNS_LABEL,
    },
  ),
  workers: whole("Passes at the same time.", 8, 1, 64),
  logLevel: Type.Unsafe<string>({
    type: "string",
    enum: [...LOG_LEVELS],
    default: "info",
    description: "How much the operator logs; it can be changed while it runs (docs/operations.md).",
  }),
  watch: group("What the operator looks at, and so where it has rights.", {
    scope: Type.Unsafe<string>({
      type: "string",
      enum: ["Cluster", "ListedNamespaces"],
      default: "Cluster",
      description:
        "`Cluster`: all namespaces, by a ClusterRole that reads Secrets everywhere. `ListedNamespaces`: Roles in `watch.namespaces`, no right anywhere else.",
    }),
    namespaces: Type.Array(Type.String({ pattern: DNS_LABEL }), {
      default: [],
      uniqueItems: true,
      description: "With `ListedNamespaces`: these, and they must exist.",
    }),
    selector: text("Label selector of the NexusClusters, Tenants and Templates this operator serves; empty: all."),
  }),
  leaderElection: group("How fast another replica takes over.", {
    leaseSeconds: whole("A leader that did not renew for so long is replaced.", 15, 2, 300),
    renewSeconds: whole("A leader that could not renew for so long gives up.", 10, 1, 299),
    retrySeconds: whole("Time between attempts.", 2, 1, 60),
  }),
  crds: group("The custom resource definitions.", {
    enabled: yes("Install and upgrade them with the release. `false`: `kubectl apply -f crds` is yours."),
    keep: yes("Keep them, and every NexusCluster, Tenant and Template, when the release is uninstalled."),
  }),
  rbac: group("Rights.", {
    create: yes("Make the operator's roles and bindings. `false`: bind docs/reference/rights.md yourself."),
    userRoles: yes("Let Kubernetes' own roles view, edit and admin see and change NexusClusters, Tenants and Templates."),
  }),
  serviceAccount: group("As whom the operator runs.", {
    create: yes("Make it."),
    name: text("Its name; empty: the release's."),
    annotations: names("Annotations of it."),
  }),
  admissionPolicy: byCapability(
    "ValidatingAdmissionPolicies: of pods the operator changes only the deletion cost of its own servers; of Secrets it writes only its own.",
  ),
  flowControl: group("Fairness at the API server.", {
    mode: byCapability("FlowSchema for the operator's requests."),
    priorityLevel: text("An existing PriorityLevelConfiguration; empty: one of its own."),
    shares: whole("Of the API server's concurrency, for a level of its own.", 20, 1, 1000),
  }),
  podDisruptionBudget: group("Evictions.", { enabled: yes("At most one operator pod at a time.") }),
  networkPolicy: group("Who may reach the operator's pods.", {
    enabled: yes("Let in the metrics port only. What goes out is not restricted."),
    metricsFrom: freeList("Peers of a NetworkPolicy that may scrape; empty: every pod of the cluster."),
  }),
  monitoring: group("Prometheus, when prometheus-operator's kinds are served.", {
    podMonitor: byCapability("PodMonitor of the operator."),
    rules: byCapability("PrometheusRule with the alerts about the operator, and about what only it knows of every fleet."),
    runbookBaseURL: text(
      "Where the pages about alerts (docs/runbooks) are published: links in alerts and dashboards, also in those of every fleet, begin with it.",
      RUNBOOK_BASE_URL,
      { pattern: '^https?://[^\\s"]+$' },
    ),
    dashboards: byCapability("ConfigMap with dashboards for Grafana's sidecar (label `grafana_dashboard`); Auto: with podMonitor's kind."),
    labels: names("Labels by which your Prometheus and Grafana select them."),
    intervalSeconds: whole("Time between scrapes.", 30, 5, 300),
  }),
  tracing: group("Spans of the operator's passes. Those of servers are each NexusCluster's (`monitoring.tracing`).", {
    endpoint: text("Collector (OTLP http/protobuf), for example `http://otel.monitoring:4318`; empty: none.", "", {
      pattern: "^(https?://[^\\s@]+)?$",
    }),
    samplePercent: whole("Share of passes that are traced.", 0, 0, 100),
    headersSecret: text(
      "Secret of the release's namespace with headers for the collector under `headers` (`name=value`, by commas or lines); empty: none.",
    ),
  }),
  resources: free("Of the operator's container.", { requests: { cpu: "50m", memory: "96Mi" }, limits: { memory: "2Gi" } }),
  priorityClassName: text("Without the operator servers go on, but nothing new takes effect."),
  nodeSelector: names("Nodes it may run on."),
  tolerations: freeList("Taints it tolerates."),
  affinity: free("Where it would rather run."),
  topologySpreadConstraints: freeList("Replaces the default: spread over hosts and zones where possible."),
  podLabels: names("More labels of its pods."),
  podAnnotations: names("Annotations of its pods."),
  extraEnv: freeList("More environment of its container, as in a pod: proxies, `NODE_EXTRA_CA_CERTS`."),
  fullnameOverride: text("Name of everything; empty: `<release>-operator`.", "", { pattern: "^([a-z]([-a-z0-9]{0,48}[a-z0-9])?)?$" }),
});
