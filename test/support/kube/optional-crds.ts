// Why: Gateway API, cert-manager and KEDA are installed by others; tests that need their kinds get definitions of just the fields we
// render, with the defaults upstream fills in and the list types upstream merges by. A field that is not here is refused by the
// API server, so a rendering that strays from the documented API fails.

type Schema = Readonly<Record<string, unknown>>;

const string = (extra: Schema = {}): Schema => ({ type: "string", ...extra });
const object = (properties: Readonly<Record<string, Schema>>, extra: Schema = {}): Schema => ({ type: "object", properties, ...extra });
const list = (items: Schema, extra: Schema = {}): Schema => ({ type: "array", items, ...extra });

const GATEWAY = "gateway.networking.k8s.io";
const conditions = list(
  object({
    type: string({ default: "" }), // a key of the list needs a default or to be required
    status: string(),
    reason: string(),
    message: string(),
    lastTransitionTime: string({ format: "date-time" }),
    observedGeneration: { type: "integer", format: "int64" },
  }),
  { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] },
);
const parentRef = {
  group: string({ default: GATEWAY }),
  kind: string({ default: "Gateway" }),
  namespace: string(),
  name: string(),
  sectionName: string(),
  port: { type: "integer", format: "int32" },
};
const backendRef = object({
  group: string({ default: "" }),
  kind: string({ default: "Service" }),
  name: string(),
  namespace: string(),
  port: { type: "integer", format: "int32" },
  weight: { type: "integer", format: "int32", default: 1 },
});
const route = object({
  spec: object({
    parentRefs: list(object(parentRef), { "x-kubernetes-list-type": "atomic" }),
    hostnames: list(string(), { "x-kubernetes-list-type": "atomic" }),
    rules: list(
      object({
        matches: list(object({ path: object({ type: string({ default: "PathPrefix" }), value: string({ default: "/" }) }) }), {
          "x-kubernetes-list-type": "atomic",
        }),
        backendRefs: list(backendRef, { "x-kubernetes-list-type": "atomic" }),
        timeouts: object({ request: string({ pattern: "^([0-9]{1,5}(h|m|s|ms)){1,4}$" }), backendRequest: string() }),
      }),
      { "x-kubernetes-list-type": "atomic" },
    ),
  }),
  status: object({ parents: list(object({ parentRef: object(parentRef), controllerName: string(), conditions })) }),
});

const certificate = object({
  spec: object({
    secretName: string(),
    secretTemplate: object({
      labels: { type: "object", additionalProperties: string() },
      annotations: { type: "object", additionalProperties: string() },
    }),
    dnsNames: list(string(), { "x-kubernetes-list-type": "atomic" }),
    usages: list(string({ enum: ["digital signature", "key encipherment", "server auth", "client auth"] }), {
      "x-kubernetes-list-type": "atomic",
    }),
    privateKey: object({ algorithm: string(), size: { type: "integer" }, rotationPolicy: string({ enum: ["Never", "Always"] }) }),
    issuerRef: object({ name: string(), kind: string(), group: string() }),
  }),
  status: object({ conditions }),
});

const crd = (group: string, version: string, kind: string, schema: Schema) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: `${kind.toLowerCase()}s.${group}`,
    // Groups under k8s.io need somebody's word for it.
    annotations: { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2466" },
  },
  spec: {
    group,
    scope: "Namespaced",
    names: { kind, plural: `${kind.toLowerCase()}s`, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [{ name: version, served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: schema } }],
  },
});

const hpaBehavior = object({
  stabilizationWindowSeconds: { type: "integer" },
  selectPolicy: string(),
  policies: list(object({ type: string(), value: { type: "integer" }, periodSeconds: { type: "integer" } }), {
    "x-kubernetes-list-type": "atomic",
  }),
});
const text: Schema = { type: "object", additionalProperties: string() };
/** `withBehavior`: as of the release whose fallback can keep the size. */
const scaledObjectOf = (withBehavior: boolean): Schema =>
  object({
    spec: object({
      scaleTargetRef: object({ apiVersion: string(), kind: string(), name: string(), envSourceContainerName: string() }),
      minReplicaCount: { type: "integer" },
      maxReplicaCount: { type: "integer" },
      pollingInterval: { type: "integer" },
      cooldownPeriod: { type: "integer" },
      fallback: object({
        failureThreshold: { type: "integer" },
        replicas: { type: "integer" },
        ...(withBehavior
          ? {
              behavior: string({
                enum: ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"],
                default: "static",
              }),
            }
          : {}),
      }),
      advanced: object({
        restoreToOriginalReplicaCount: { type: "boolean" },
        horizontalPodAutoscalerConfig: object({ name: string(), behavior: object({ scaleUp: hpaBehavior, scaleDown: hpaBehavior }) }),
      }),
      triggers: list(
        object({
          type: string(),
          name: string(),
          metricType: string({ enum: ["AverageValue", "Value", "Utilization"] }),
          metadata: text,
          authenticationRef: object({ name: string(), kind: string() }),
        }),
      ),
    }),
    status: object({ conditions }),
  });
const triggerAuthentication = object({
  spec: object({ secretTargetRef: list(object({ parameter: string(), name: string(), key: string() })) }),
});

export const SCALED_OBJECT_CRD = crd("keda.sh", "v1alpha1", "ScaledObject", scaledObjectOf(true));
export const OLD_SCALED_OBJECT_CRD = crd("keda.sh", "v1alpha1", "ScaledObject", scaledObjectOf(false));
export const TRIGGER_AUTHENTICATION_CRD = crd("keda.sh", "v1alpha1", "TriggerAuthentication", triggerAuthentication);
export const HTTP_ROUTE_CRD = crd(GATEWAY, "v1", "HTTPRoute", route);
export const CERTIFICATE_CRD = crd("cert-manager.io", "v1", "Certificate", certificate);

/** All of them. */
export const OPTIONAL_CRDS = [HTTP_ROUTE_CRD, CERTIFICATE_CRD, SCALED_OBJECT_CRD, TRIGGER_AUTHENTICATION_CRD];
