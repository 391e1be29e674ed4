// Why: the configuration files of the programs that make a node. Pure text from addresses and paths; what is not set is the
// program's default, and each departure says why. It must never read the machine.
import { join } from "node:path";
import type { Credentials } from "./credentials.ts";
import type { NodeAddresses } from "./node-network.ts";

export type NodeFiles = Readonly<
  Record<"containerd.toml" | "cni/10-nexus.conflist" | "kubelet.json" | "kube-proxy.json" | "Corefile" | "resolv.conf", string>
>;

export const PAUSE_IMAGE = "nexus.test/pause:1";

/** Where containerd listens, inside the cluster's folder. */
export const containerdSocket = (directory: string): string => join(directory, "run", "containerd.sock");

/** Content of every configuration file, by its path inside the cluster's folder. */
export function nodeFiles(directory: string, addresses: NodeAddresses, credentials: Credentials): NodeFiles {
  const json = (value: unknown) => JSON.stringify(value, undefined, 2);
  return {
    "containerd.toml": containerd(directory),
    "cni/10-nexus.conflist": json(cni(directory, addresses)),
    "kubelet.json": json(kubelet(directory, addresses, credentials)),
    "kube-proxy.json": json(kubeProxy(addresses, credentials)),
    Corefile: corefile(addresses, credentials),
    "resolv.conf": `nameserver ${addresses.nodeAddress}\n`,
  };
}

const containerd = (directory: string) => `version = 2
root = "${directory}/containerd"
state = "${directory}/run/containerd"
[grpc]
  address = "${containerdSocket(directory)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a score cannot be lowered, and runc fails every pod.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${directory}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
`;

/** ptp routes everything, so a pod reaches itself through its Service without bridge settings of the machine. */
const cni = (directory: string, { podRange }: NodeAddresses) => ({
  cniVersion: "1.0.0",
  name: "nexus",
  plugins: [
    {
      type: "ptp",
      ipMasq: false,
      mtu: 1500,
      ipam: { type: "host-local", dataDir: join(directory, "ipam"), ranges: [[{ subnet: podRange }]], routes: [{ dst: "0.0.0.0/0" }] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});

const kubelet = (directory: string, { nodeAddress, cgroup }: NodeAddresses, { pki }: Credentials) => ({
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  address: nodeAddress,
  healthzBindAddress: "127.0.0.1",
  authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki("ca.crt") } },
  authorization: { mode: "Webhook" },
  containerRuntimeEndpoint: `unix://${containerdSocket(directory)}`,
  cgroupDriver: "cgroupfs",
  cgroupRoot: `/${cgroup}`,
  failCgroupV1: false, // cgroup v1 machines exist still; refused by default since 1.35
  failSwapOn: false,
  oomScoreAdj: 0, // see containerd
  clusterDNS: [nodeAddress],
  clusterDomain: "cluster.local",
  resolvConf: join(directory, "resolv.conf"),
  serializeImagePulls: false,
  imageGCHighThresholdPercent: 100, // images cannot be pulled again
  evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%" },
  nodeStatusUpdateFrequency: "4s",
  syncFrequency: "10s", // default 1 min: how long a Secret that changed takes to reach a file of a pod
});

const kubeProxy = ({ nodeAddress, podRange }: NodeAddresses, { componentKubeconfig }: Credentials) => ({
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  bindAddress: nodeAddress,
  healthzBindAddress: "127.0.0.1:10256",
  metricsBindAddress: "127.0.0.1:10249",
  clientConnection: { kubeconfig: componentKubeconfig("proxy") },
  mode: "nftables",
  clusterCIDR: podRange,
  nftables: { minSyncPeriod: "50ms" }, // default 1 s: what a test would wait after every Service change
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" }, // not writable in a network namespace
  nodePortAddresses: [`${nodeAddress}/32`],
});

const corefile = ({ nodeAddress }: NodeAddresses, { componentKubeconfig }: Credentials) => `cluster.local in-addr.arpa {
  bind ${nodeAddress}
  kubernetes {
    kubeconfig ${componentKubeconfig("dns")}
  }
}
`;

/** What CoreDNS may read. */
export const DNS_ROLE = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "system:coredns" },
    rules: [
      { apiGroups: [""], resources: ["services", "namespaces"], verbs: ["list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "system:coredns" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:coredns" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "system:coredns" }],
  },
] as const;
