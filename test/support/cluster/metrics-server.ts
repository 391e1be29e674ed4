// Why: Kubernetes' own autoscaler knows CPU and memory from metrics-server alone. This is the real one, beside the node's other
// programs. It must never count as there before it has figures.
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { ensureBinaries } from "./binaries.ts";
import type { NodeCluster } from "./node.ts";

const NAME = "metrics-server";
const NAMESPACE = "kube-system";
const PORT = 4443;
const USER = `system:serviceaccount:${NAMESPACE}:${NAME}`;
/** The smallest that metrics-server takes: a figure is that old at the most. */
const RESOLUTION = "10s";

/** Starts it and waits until it has figures of the node (about 20 s). */
export async function startMetricsServer(cluster: NodeCluster): Promise<void> {
  const binaries = await ensureBinaries([NAME]);
  const { nodeAddress, nodeName } = cluster.addresses;
  await cluster.apply(rights());
  const kubeconfig = await cluster.kubeconfigFor(USER, [], "token");
  const as = ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"].flatMap((flag) => [flag, kubeconfig]);
  await cluster.launch(NAME, [
    ...[binaries[NAME], ...as, "--bind-address", nodeAddress, "--secure-port", String(PORT)],
    ...["--cert-dir", join(cluster.directory, "pki", NAME), "--kubelet-insecure-tls", "--kubelet-preferred-address-types", "InternalIP"],
    ...["--metric-resolution", RESOLUTION, "--kubelet-request-timeout", "5s"],
  ]);
  await cluster.apply(service(nodeAddress));
  const path = `/apis/metrics.k8s.io/v1beta1/nodes/${nodeName}`;
  await eventually("metrics-server has figures of the node", async () => (await cluster.request(path)).ok, {
    timeoutMs: 90_000,
    intervalMs: 500,
  });
}

/** What its own manifest grants it. */
function rights() {
  const binding = (kind: "ClusterRoleBinding" | "RoleBinding", name: string, role: { readonly kind: string; readonly name: string }) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind,
    metadata: { name, ...(kind === "RoleBinding" ? { namespace: NAMESPACE } : {}) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", ...role },
    subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
  });
  return [
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: `system:${NAME}` },
      rules: [
        { apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] },
        { apiGroups: [""], resources: ["pods", "nodes"], verbs: ["get", "list", "watch"] },
      ],
    },
    binding("ClusterRoleBinding", `system:${NAME}`, { kind: "ClusterRole", name: `system:${NAME}` }),
    binding("ClusterRoleBinding", `${NAME}:system:auth-delegator`, { kind: "ClusterRole", name: "system:auth-delegator" }),
    binding("RoleBinding", `${NAME}-auth-reader`, { kind: "Role", name: "extension-apiserver-authentication-reader" }),
  ];
}

/** A process is no pod: its Service has no selector. */
const service = (address: string) => [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: { ports: [{ name: "https", port: 443, targetPort: PORT }] },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${NAME}-1`, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": NAME } },
    addressType: "IPv4",
    ports: [{ name: "https", port: PORT }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  },
  {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1beta1.metrics.k8s.io" },
    spec: {
      ...{ group: "metrics.k8s.io", version: "v1beta1", insecureSkipTLSVerify: true, groupPriorityMinimum: 100, versionPriority: 100 },
      service: { name: NAME, namespace: NAMESPACE },
    },
  },
];
