// Why: how the operator's own pods and Deployment are found, as its manifests and its chart label them.

export const OPERATOR_LABELS = { "app.kubernetes.io/name": "nexus-operator" } as const;
export const OPERATOR_SELECTOR = "app.kubernetes.io/name=nexus-operator";
