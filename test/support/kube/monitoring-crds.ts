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

const DURATION = "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";
const duration: Schema = { type: "string", pattern: DURATION };
const relabeling = object({
  action: { type: "string", enum: ["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"], default: "replace" },
  sourceLabels: list(string),
  targetLabel: string,
  replacement: string,
  regex: string,
});
const endpoint = object({ port: string, path: string, interval: duration, scrapeTimeout: duration, relabelings: list(relabeling) });
const rule = object({
  ...{ alert: string, record: string, expr: { "x-kubernetes-int-or-string": true }, for: duration },
  ...{ keep_firing_for: { ...duration, minLength: 1 }, labels: text, annotations: text },
});
const group = object({ name: { type: "string", minLength: 1 }, interval: duration, rules: list({ ...rule, required: ["expr"] }) });
/** Merged by name, as upstream's are. */
const groups: Schema = {
  ...list({ ...group, required: ["name"] }),
  ...{ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
};

export const MONITORING_CRDS = [
  crd("PodMonitor", {
    ...object({ selector: object({ matchLabels: text }), podMetricsEndpoints: list(endpoint) }),
    required: ["selector"],
  }),
  crd("PrometheusRule", object({ groups })),
];
