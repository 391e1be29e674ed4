// Why: the ONE list of what the operator may do. The chart's roles, operator/deploy/rbac.yaml, the table in the documentation
// and `nexus operator check` all come from it, and the test runner fails on a right here that nothing uses. It must never
// hold a wildcard, `exec`, `escalate`, `bind` or `impersonate`.
import { KINDS, type Kind, OPTIONAL_KINDS } from "../loop/kinds.ts";

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

/**
 * Where a right holds. `Watched`: in every namespace the operator watches (all of them, or each listed one). `Cluster`: on
 * objects without a namespace, only when all namespaces are watched. `Listed`: only when namespaces are listed, in each of
 * them. `Release`: in the operator's own namespace.
 */
export type Reach = "Watched" | "Cluster" | "Listed" | "Release";

export type Right = {
  readonly reach: Reach;
  readonly kinds: readonly Kind[];
  readonly subresource?: "status" | "scale";
  readonly verbs: readonly Verb[];
  /** Only objects of these names; `create`, `list` and `watch` cannot be narrowed so. */
  readonly names?: readonly string[];
  /** What it is for, as the documentation says it. */
  readonly why: string;
};

/** Name of the Lease; the chart puts its own in its place. */
export const LEASE_NAME = "nexus-operator";

const OURS = [KINDS.NexusCluster, KINDS.Tenant, KINDS.Template];
const LOOK: readonly Verb[] = ["get", "list", "watch"];
/** What goes only with its owner. */
const MADE: readonly Verb[] = [...LOOK, "create", "patch"];
const OWN: readonly Verb[] = [...MADE, "delete"];

export const RIGHTS: readonly Right[] = [
  { reach: "Watched", kinds: [KINDS.NexusCluster], verbs: ["list", "watch"], why: "what users ask for" },
  { reach: "Watched", kinds: [KINDS.Tenant, KINDS.Template], verbs: LOOK, why: "what users ask for" },
  { reach: "Watched", kinds: OURS, subresource: "status", verbs: ["patch"], why: "what became of it; the rest is never written" },
  { reach: "Cluster", kinds: [KINDS.Namespace], verbs: ["list", "watch"], why: "labels of namespaces decide who may attach" },
  { reach: "Listed", kinds: [KINDS.Namespace], verbs: ["get"], why: "labels of the listed namespaces decide who may attach" },
  { reach: "Watched", kinds: [KINDS.Pod], verbs: ["list", "watch"], why: "which servers are ready, and where" },
  {
    reach: "Watched",
    kinds: [KINDS.Pod],
    verbs: ["patch"],
    why: "the annotation controller.kubernetes.io/pod-deletion-cost, so that the emptiest server goes first; an admission policy allows nothing else",
  },
  { reach: "Watched", kinds: [KINDS.Service], verbs: OWN, why: "how a fleet and its Redis are reached" },
  { reach: "Watched", kinds: [KINDS.ServiceAccount], verbs: MADE, why: "as whom a fleet runs; it may do nothing" },
  {
    reach: "Watched",
    kinds: [KINDS.Secret],
    verbs: [...OWN, "update"],
    why: "reads the Secrets that users name; lists and watches only its own and those labelled nexus.dev/watch; writes boot copies, API keys, certificates and passwords; deletes a key that was taken out of a Tenant; an admission policy lets it write only its own",
  },
  { reach: "Watched", kinds: [KINDS.Deployment], verbs: MADE, why: "the servers" },
  { reach: "Watched", kinds: [KINDS.Deployment], subresource: "scale", verbs: ["patch"], why: "the number of servers" },
  { reach: "Watched", kinds: [KINDS.StatefulSet], verbs: OWN, why: "a managed Redis" },
  {
    reach: "Watched",
    kinds: [KINDS.PersistentVolumeClaim],
    verbs: ["list", "watch", "patch"],
    why: "growing the volume of a managed Redis",
  },
  { reach: "Watched", kinds: [KINDS.ConfigMap], verbs: OWN, why: "settings of a managed Redis, and dashboards" },
  { reach: "Watched", kinds: [KINDS.PodDisruptionBudget], verbs: MADE, why: "how many servers an eviction may take" },
  { reach: "Watched", kinds: [KINDS.HorizontalPodAutoscaler], verbs: OWN, why: "autoscaling with provider HPA" },
  { reach: "Watched", kinds: [KINDS.NetworkPolicy], verbs: OWN, why: "who may reach the admin port and Redis" },
  { reach: "Watched", kinds: [KINDS.Ingress], verbs: OWN, why: "exposure.ingress" },
  { reach: "Watched", kinds: [OPTIONAL_KINDS.HTTPRoute], verbs: OWN, why: "exposure.gateway" },
  { reach: "Watched", kinds: [OPTIONAL_KINDS.Certificate], verbs: OWN, why: "tls.issuerRef" },
  {
    reach: "Watched",
    kinds: [OPTIONAL_KINDS.ScaledObject, OPTIONAL_KINDS.TriggerAuthentication],
    verbs: OWN,
    why: "autoscaling with provider KEDA",
  },
  {
    reach: "Watched",
    kinds: [OPTIONAL_KINDS.PodMonitor, OPTIONAL_KINDS.PrometheusRule],
    verbs: OWN,
    why: "monitoring of a fleet, where somebody installed prometheus-operator",
  },
  { reach: "Watched", kinds: [KINDS.Event], verbs: ["create", "patch"], why: "what happened, for kubectl describe" },
  { reach: "Release", kinds: [KINDS.Lease], verbs: ["create"], why: "one of the replicas leads" },
  { reach: "Release", kinds: [KINDS.Lease], verbs: ["get", "update"], names: [LEASE_NAME], why: "one of the replicas leads" },
];

/** A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1). */
export type PolicyRule = {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly Verb[];
};

export const resourceOf = (kind: Kind, subresource?: string): string =>
  subresource === undefined ? kind.resource : `${kind.resource}/${subresource}`;

/** The rules for a reach, one per right and API group, in the order of {@link RIGHTS}. */
export const rulesFor = (reach: Reach): readonly PolicyRule[] =>
  RIGHTS.filter((right) => right.reach === reach).flatMap(({ kinds, subresource, verbs, names }) =>
    [...new Set(kinds.map(({ group }) => group))].map((group) => ({
      apiGroups: [group],
      resources: kinds.filter((kind) => kind.group === group).map((kind) => resourceOf(kind, subresource)),
      ...(names ? { resourceNames: names } : {}),
      verbs,
    })),
  );
