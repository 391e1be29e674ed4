// Why: the loop and the transport must agree on how a kind is addressed, without asking discovery for kinds every API
// server has. Kinds that may be absent (KEDA, prometheus-operator, Gateway API) are looked up by discovery instead.

/** How the API server serves one kind. `group` is "" for the core group; `resource` is the lower-case plural. */
export type Kind = {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly resource: string;
  readonly namespaced: boolean;
};

const namespaced = (group: string, version: string, kind: string, resource: string): Kind => ({
  group,
  version,
  kind,
  resource,
  namespaced: true,
});

export const KINDS = {
  NexusCluster: namespaced("nexus.dev", "v1alpha1", "NexusCluster", "nexusclusters"),
  Tenant: namespaced("nexus.dev", "v1alpha1", "Tenant", "tenants"),
  Template: namespaced("nexus.dev", "v1alpha1", "Template", "templates"),
  Pod: namespaced("", "v1", "Pod", "pods"),
  Service: namespaced("", "v1", "Service", "services"),
  Secret: namespaced("", "v1", "Secret", "secrets"),
  ConfigMap: namespaced("", "v1", "ConfigMap", "configmaps"),
  ServiceAccount: namespaced("", "v1", "ServiceAccount", "serviceaccounts"),
  PersistentVolumeClaim: namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
  Namespace: { group: "", version: "v1", kind: "Namespace", resource: "namespaces", namespaced: false },
  Deployment: namespaced("apps", "v1", "Deployment", "deployments"),
  StatefulSet: namespaced("apps", "v1", "StatefulSet", "statefulsets"),
  PodDisruptionBudget: namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  HorizontalPodAutoscaler: namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
  NetworkPolicy: namespaced("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
  Ingress: namespaced("networking.k8s.io", "v1", "Ingress", "ingresses"),
  EndpointSlice: namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
  Role: namespaced("rbac.authorization.k8s.io", "v1", "Role", "roles"),
  RoleBinding: namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
  Lease: namespaced("coordination.k8s.io", "v1", "Lease", "leases"),
  Event: namespaced("events.k8s.io", "v1", "Event", "events"),
  CustomResourceDefinition: {
    group: "apiextensions.k8s.io",
    version: "v1",
    kind: "CustomResourceDefinition",
    resource: "customresourcedefinitions",
    namespaced: false,
  },
} as const satisfies Record<string, Kind>;

/** Kinds that are there only when somebody installed them; see `Capabilities` in `loop/ports.ts`. */
export const OPTIONAL_KINDS = {
  HTTPRoute: namespaced("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
  Certificate: namespaced("cert-manager.io", "v1", "Certificate", "certificates"),
  ScaledObject: namespaced("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
  TriggerAuthentication: namespaced("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications"),
  PodMonitor: namespaced("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
  PrometheusRule: namespaced("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
} as const satisfies Record<string, Kind>;

/** Kinds of which a fleet may have children, besides Pods and Secrets. Each is watched by the label of what we made. */
export const CHILD_KINDS: readonly Kind[] = [
  KINDS.Deployment,
  KINDS.StatefulSet,
  KINDS.Service,
  KINDS.ServiceAccount,
  KINDS.PodDisruptionBudget,
  KINDS.HorizontalPodAutoscaler,
  KINDS.NetworkPolicy,
  KINDS.Ingress,
  KINDS.PersistentVolumeClaim,
  KINDS.ConfigMap,
];

/** `apps/v1`, or `v1` for the core group. */
export const apiVersionOf = (kind: Pick<Kind, "group" | "version">): string =>
  kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;

/** The kind of an object whose `apiVersion` and `kind` are in the table above; undefined for any other. */
export function knownKind(apiVersion: string, kind: string): Kind | undefined {
  const found: Kind | undefined = Object.values(KINDS).find((candidate) => candidate.kind === kind);
  return found && apiVersionOf(found) === apiVersion ? found : undefined;
}
