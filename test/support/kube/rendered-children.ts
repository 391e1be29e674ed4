// Why: objects as an operator may render them, with every spelling the API server rewrites (quantities, ports as text,
// defaults in keys) or leaves out (zero, false, empty): what comes back must not look like drift. Never a user's example.
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";

const SELECTOR = { "app.kubernetes.io/name": "nexus", "app.kubernetes.io/instance": "live" };

const podTemplate = {
  metadata: { labels: SELECTOR, annotations: { "example.com/with.dots": "yes" } },
  spec: {
    serviceAccountName: "live-server",
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    hostNetwork: false,
    terminationGracePeriodSeconds: 50,
    priorityClassName: "",
    nodeSelector: {},
    securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: { type: "RuntimeDefault" } },
    imagePullSecrets: [{ name: "registry" }],
    tolerations: [{ key: "dedicated", operator: "Equal", value: "nexus", effect: "NoSchedule" }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/arch", operator: "In", values: ["amd64"] }] }],
        },
      },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "topology.kubernetes.io/zone",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: SELECTOR },
      },
      { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway", labelSelector: { matchLabels: SELECTOR } },
    ],
    initContainers: [{ name: "prepare", image: "nexus:1", command: ["true"], resources: { limits: { memory: "0.5Gi" } } }],
    containers: [
      {
        name: "server",
        image: "nexus:1",
        args: ["--port", "8081"],
        ports: [
          { name: "http", containerPort: 8081 },
          { name: "ops", containerPort: 9090, protocol: "TCP" },
          { name: "quic", containerPort: 8081, protocol: "UDP" },
        ],
        env: [
          { name: "EMPTY", value: "" },
          { name: "LOOKS_LIKE_A_QUANTITY", value: "1000m" },
          { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1000m" } } },
        ],
        resources: { requests: { cpu: "1000m", memory: "1024Ki" }, limits: { cpu: 1.5, memory: "1.5Gi", "ephemeral-storage": "1e3" } },
        livenessProbe: { httpGet: { path: "/live", port: "ops" }, initialDelaySeconds: 0, periodSeconds: 5 },
        readinessProbe: { httpGet: { path: "/ready", port: 9090 }, failureThreshold: 1 },
        securityContext: {
          allowPrivilegeEscalation: false,
          privileged: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"], add: [] },
        },
        volumeMounts: [
          { name: "boot", mountPath: "/etc/nexus/boot", readOnly: true },
          { name: "tmp", mountPath: "/tmp" },
        ],
      },
    ],
    volumes: [
      { name: "tmp", emptyDir: {} },
      { name: "cache", emptyDir: { sizeLimit: "1024Mi", medium: "" } },
      {
        name: "boot",
        projected: {
          sources: [{ secret: { name: "live-boot-00", optional: true } }, { secret: { name: "live-boot-01", optional: true } }],
        },
      },
      { name: "admin", secret: { secretName: "live-admin-tls", defaultMode: 0o440 } },
    ],
  },
};

const meta = (name: string, extra: object = {}) => ({
  name,
  labels: { "app.kubernetes.io/managed-by": "nexus-operator", ...SELECTOR },
  ...extra,
});

/** One object per kind that an operator renders; `metadata.namespace` is filled in. */
export function renderedChildren(namespace: string): readonly { readonly kind: Kind; readonly object: Manifest }[] {
  const of = (kind: Kind, object: { metadata: { name: string } } & Record<string, unknown>) => ({
    kind,
    object: {
      apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
      kind: kind.kind,
      ...object,
      metadata: { ...object.metadata, namespace },
    },
  });
  return [
    of(KINDS.ServiceAccount, {
      metadata: meta("live-server"),
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: "registry" }],
    }),
    of(KINDS.Secret, { metadata: meta("live-token"), type: "Opaque", data: { token: "c2VjcmV0" }, stringData: { plain: "text" } }),
    of(KINDS.ConfigMap, { metadata: meta("live-dashboard", { annotations: {} }), data: { "d.json": "{}", empty: "", port: "80" } }),
    of(KINDS.Service, {
      metadata: meta("live-server"),
      spec: {
        type: "ClusterIP",
        selector: SELECTOR,
        publishNotReadyAddresses: false,
        ports: [
          { name: "http", port: 80, targetPort: "http" },
          { name: "ops", port: 9090, targetPort: 9090, protocol: "TCP" },
        ],
      },
    }),
    of(KINDS.Deployment, {
      metadata: meta("live-server"),
      spec: {
        minReadySeconds: 0,
        paused: false,
        progressDeadlineSeconds: 635,
        revisionHistoryLimit: 0,
        selector: { matchLabels: SELECTOR },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: podTemplate,
      },
    }),
    of(KINDS.StatefulSet, {
      metadata: meta("live-redis"),
      spec: {
        serviceName: "live-redis",
        replicas: 1,
        selector: { matchLabels: SELECTOR },
        template: podTemplate,
        volumeClaimTemplates: [
          { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1024Mi" } } } },
        ],
      },
    }),
    of(KINDS.PodDisruptionBudget, {
      metadata: meta("live-server"),
      spec: { maxUnavailable: "10%", selector: { matchLabels: SELECTOR }, unhealthyPodEvictionPolicy: "AlwaysAllow" },
    }),
    of(KINDS.HorizontalPodAutoscaler, {
      metadata: meta("live-server"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "live-server" },
        minReplicas: 2,
        maxReplicas: 10,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
          { type: "Pods", pods: { metric: { name: "nexus_sessions" }, target: { type: "AverageValue", averageValue: "10000" } } },
        ],
        behavior: { scaleDown: { stabilizationWindowSeconds: 600, policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] } },
      },
    }),
    of(KINDS.NetworkPolicy, {
      metadata: meta("live-server"),
      spec: {
        podSelector: { matchLabels: SELECTOR },
        policyTypes: ["Ingress"],
        ingress: [{ ports: [{ port: 8081 }, { port: "ops", protocol: "TCP" }] }, { from: [{ podSelector: {} }], ports: [{ port: 9091 }] }],
      },
    }),
    of(KINDS.Ingress, {
      metadata: meta("live-server"),
      spec: {
        ingressClassName: "nginx",
        rules: [
          {
            host: "n.example.com",
            http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "live-server", port: { name: "http" } } } }] },
          },
        ],
        tls: [{ hosts: ["n.example.com"], secretName: "live-tls" }],
      },
    }),
    of(KINDS.Role, { metadata: meta("live-server"), rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }] }),
    of(KINDS.RoleBinding, {
      metadata: meta("live-server"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "live-server" },
      subjects: [{ kind: "ServiceAccount", name: "live-server", namespace }],
    }),
  ];
}
