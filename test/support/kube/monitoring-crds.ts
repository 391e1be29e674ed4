// Why: prometheus-operator is installed by others; tests get definitions of just the fields we render. A field that is not here is
// refused by the API server, so a rendering that strays from the documented API fails.

type Schema = Readonly<Record<string, unknown>>;
const string: Schema = { type: "string" };
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: "object", properties });
const list = (items: Schema): Schema => ({ type: "array", items });
const text: Schema = { type: "object", additionalProperties: string };

const crd = (kind: string, spec: Schema) => {
  const plural = `${kind.toLowerCase()}s`;
  const schema = { openAPIV3Schema: object({ spec }) };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: "monitoring.coreos.com",
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: "v1", served: true, storage: true, schema }],
    },
  };
};

const endpoint = object({ port: string, path: string, interval: { type: "string", pattern: "^[0-9]+s$" } });
const rule = object({
  alert: string,
  record: string,
  expr: { "x-kubernetes-int-or-string": true },
  for: string,
  labels: text,
  annotations: text,
});

export const MONITORING_CRDS = [
  crd("PodMonitor", object({ selector: object({ matchLabels: text }), podMetricsEndpoints: list(endpoint) })),
  crd("PrometheusRule", object({ groups: list(object({ name: string, interval: string, rules: list(rule) })) })),
];
