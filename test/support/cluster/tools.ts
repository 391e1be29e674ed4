// Why: the one list of Kubernetes programs the tests run, with the module that pins each. Data only: it must never
// build or start anything. Versions are in `test/tools/<module>/go.mod`, not here, so they cannot disagree.
import { join } from "node:path";

/** The checked-in Go modules; each program is built with the library versions its own project released it with. */
export const TOOL_MODULES = join(import.meta.dir, "..", "..", "tools");

/** `version` is the module whose required version becomes the program's own (`-X …gitVersion`). */
export type Tool = { readonly module: string; readonly package: string; readonly version?: string };

const kubernetes = (name: string): Tool => ({
  module: "kubernetes",
  package: `k8s.io/kubernetes/cmd/${name}`,
  version: "k8s.io/kubernetes",
});

export const TOOLS = {
  etcd: { module: "etcd", package: "go.etcd.io/etcd/server/v3" },
  "kube-apiserver": kubernetes("kube-apiserver"),
  kubectl: kubernetes("kubectl"),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  kubelet: kubernetes("kubelet"),
  "kube-proxy": kubernetes("kube-proxy"),
  coredns: { module: "coredns", package: "." },
  "grafana-dashboard": { module: "grafana-dashboard", package: "." },
  "metrics-server": { module: "metrics-server", package: "sigs.k8s.io/metrics-server/cmd/metrics-server" },
  kstatus: { module: "kstatus", package: "." },
  "argo-lua": { module: "argo-lua", package: "." },
  pause: { module: "pause", package: "." },
  helm: { module: "helm", package: "helm.sh/helm/v4/cmd/helm" },
  otelcol: { module: "otelcol", package: "." },
  "prometheus-operator": { module: "prometheus-operator", package: "github.com/prometheus-operator/prometheus-operator/cmd/operator" },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

export const CONTROL_PLANE_TOOLS = ["etcd", "kube-apiserver", "kubectl", "kube-controller-manager"] as const satisfies readonly ToolName[];
export const SCHEDULER_TOOLS = ["kube-scheduler"] as const satisfies readonly ToolName[];
export const NODE_TOOLS = [
  ...CONTROL_PLANE_TOOLS,
  ...SCHEDULER_TOOLS,
  "kubelet",
  "kube-proxy",
  "coredns",
  "pause",
] as const satisfies readonly ToolName[];
