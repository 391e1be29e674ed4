// Why: the command lines of the control plane, in one place and without any I/O. What is not set here is Kubernetes'
// default; each flag that departs from production says why. It must never start anything.

import type { Binaries } from "./binaries.ts";
import type { Command } from "./components.ts";
import type { Credentials } from "./credentials.ts";
import type { CONTROL_PLANE_TOOLS, SCHEDULER_TOOLS } from "./tools.ts";

/** Where the parts of one control plane listen. */
export type Layout = {
  readonly directory: string;
  readonly apiAddress: string;
  readonly ports: {
    readonly api: number;
    readonly etcd: number;
    readonly etcdPeer: number;
    readonly controllerManager: number;
    readonly scheduler: number;
  };
  readonly serviceRange: string;
  readonly auditLog?: string;
  /** There is a kubelet, so Services and nodes are real. */
  readonly hasNode: boolean;
};

/** Without these the client-side limit of 20 requests/s makes the controller manager's start 5 s instead of 0.6 s. */
const UNLIMITED = ["--kube-api-qps", "1000", "--kube-api-burst", "2000"];

type ControlPlaneBinaries = Binaries<(typeof CONTROL_PLANE_TOOLS)[number]>;

export function etcdCommand({ etcd }: ControlPlaneBinaries, { directory, ports }: Layout): Command {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return {
    argv: [
      ...[etcd, "--data-dir", `${directory}/etcd`, "--log-level", "warn"],
      "--unsafe-no-fsync", // nothing here outlives the machine
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
    ],
  };
}

export function apiServerCommand(binaries: ControlPlaneBinaries, layout: Layout, { pki }: Credentials): Command {
  const { directory, apiAddress, ports } = layout;
  const node = [
    ...["--kubelet-client-certificate", pki("kubelet-client.crt"), "--kubelet-client-key", pki("kubelet-client.key")],
    ...["--kubelet-preferred-address-types", "InternalIP", "--enable-aggregator-routing=true"],
  ];
  const audit = layout.auditLog
    ? // Blocking: an answered request is in the log.
      [
        "--audit-policy-file",
        `${directory}/audit-policy.json`,
        "--audit-log-path",
        layout.auditLog,
        "--audit-log-mode",
        "blocking",
        "--audit-log-maxsize",
        "100000",
      ]
    : [];
  return {
    argv: [
      ...[binaries["kube-apiserver"], "--etcd-servers", `http://127.0.0.1:${ports.etcd}`],
      ...["--bind-address", apiAddress, "--advertise-address", apiAddress, "--secure-port", String(ports.api)],
      ...["--tls-cert-file", pki("apiserver.crt"), "--tls-private-key-file", pki("apiserver.key")],
      ...["--client-ca-file", pki("ca.crt"), "--token-auth-file", pki("tokens.csv")],
      ...["--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction"],
      ...["--service-cluster-ip-range", layout.serviceRange, "--service-account-issuer", "https://kubernetes.default.svc"],
      ...["--service-account-key-file", pki("service-account.pub"), "--service-account-signing-key-file", pki("service-account.key")],
      ...["--requestheader-client-ca-file", pki("ca.crt"), "--requestheader-allowed-names", "front-proxy-client"],
      ...["--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group"],
      ...["--requestheader-extra-headers-prefix", "X-Remote-Extra-"],
      ...["--proxy-client-cert-file", pki("front-proxy.crt"), "--proxy-client-key-file", pki("front-proxy.key")],
      ...["--allow-privileged", "--profiling=false"],
      // A loopback address is no legal endpoint of the `kubernetes` Service.
      ...(layout.hasNode ? node : ["--endpoint-reconciler-type", "none"]),
      ...audit,
    ],
  };
}

export function controllerManagerCommand(binaries: ControlPlaneBinaries, { ports }: Layout, credentials: Credentials): Command {
  const { pki, componentKubeconfig } = credentials;
  const kubeconfig = componentKubeconfig("controller-manager");
  return {
    argv: [
      ...[binaries["kube-controller-manager"], "--kubeconfig", kubeconfig, "--leader-elect=false", ...UNLIMITED],
      ...["--bind-address", "127.0.0.1", "--secure-port", String(ports.controllerManager)],
      ...["--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig],
      // It looks once, and the API server may be ready a moment before it has written down whom to trust.
      "--authentication-tolerate-lookup-failure",
      ...["--service-account-private-key-file", pki("service-account.key"), "--root-ca-file", pki("ca.crt")],
      ...["--use-service-account-credentials", "--concurrent-replicaset-syncs", "20"],
      // Autoscaler windows of minutes would be test runs of minutes.
      ...["--horizontal-pod-autoscaler-sync-period", "2s", "--horizontal-pod-autoscaler-initial-readiness-delay", "5s"],
      ...["--horizontal-pod-autoscaler-cpu-initialization-period", "10s", "--horizontal-pod-autoscaler-downscale-stabilization", "15s"],
    ],
  };
}

export function schedulerCommand(
  binaries: Binaries<(typeof SCHEDULER_TOOLS)[number]>,
  { ports }: Layout,
  { componentKubeconfig }: Credentials,
): Command {
  const kubeconfig = componentKubeconfig("scheduler");
  return {
    argv: [
      ...[binaries["kube-scheduler"], "--kubeconfig", kubeconfig, "--leader-elect=false", ...UNLIMITED],
      ...["--bind-address", "127.0.0.1", "--secure-port", String(ports.scheduler)],
      ...["--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig],
    ],
  };
}
