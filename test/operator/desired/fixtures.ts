// Why: the one table of everything the operator renders: which clusters, and which builders. Golden files, dry runs, the
// Restricted profile and "apply twice changes nothing" all walk it: who adds a builder or a feature adds a line here.

import type { SecretReader } from "@nexus/operator/desired/bundle/credentials.ts";
import { deployment, deploymentPods, disruptionBudget, serviceAccount } from "@nexus/operator/desired/children.ts";
import { certificate } from "@nexus/operator/desired/exposure/certificate.ts";
import { httpRoute } from "@nexus/operator/desired/exposure/http-route.ts";
import { ingress } from "@nexus/operator/desired/exposure/ingress.ts";
import { service } from "@nexus/operator/desired/exposure/service.ts";
import { dashboardsConfigMap } from "@nexus/operator/desired/monitoring/dashboards.ts";
import { podMonitor } from "@nexus/operator/desired/monitoring/pod-monitor.ts";
import { prometheusRule } from "@nexus/operator/desired/monitoring/prometheus-rule.ts";
import { childLabels, childNames, ownedBy } from "@nexus/operator/desired/names.ts";
import { serverPolicy } from "@nexus/operator/desired/network/server-policy.ts";
import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { postgresSecret } from "@nexus/operator/desired/pods/storage.ts";
import { connectionSecret, externalConnection } from "@nexus/operator/desired/redis/connection.ts";
import { redisHeadlessService, redisPolicy, redisService } from "@nexus/operator/desired/redis/network.ts";
import { redisConfigMap } from "@nexus/operator/desired/redis/settings.ts";
import { redisStatefulSet } from "@nexus/operator/desired/redis/stateful-set.ts";
import { usersSecret } from "@nexus/operator/desired/redis/users.ts";
import { horizontalPodAutoscaler } from "@nexus/operator/desired/scaling/horizontal.ts";
import { scaledObject, triggerAuthentication } from "@nexus/operator/desired/scaling/keda.ts";
import { bootSecret, opaqueSecret } from "@nexus/operator/desired/secrets.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../bundle/fixtures.ts";

export const CONTEXT: RenderContext = {
  operatorId: "default",
  defaultImage: "nexus.dev/nexus:0.1.0",
  operatorPods: { namespace: "nexus-system", labels: { "app.kubernetes.io/name": "nexus-operator" } },
};

/** What a builder answers when a cluster does not ask for its object. */
type Render = (cluster: NexusCluster, context: RenderContext) => KubeObject | undefined;

const managed =
  (render: (cluster: NexusCluster, context: RenderContext) => KubeObject): Render =>
  (cluster, context) =>
    cluster.spec.redis.mode === "Managed" ? render(cluster, context) : undefined;

const headOf = (cluster: NexusCluster, { operatorId }: RenderContext, name: string) => ({
  ...{ namespace: cluster.metadata.namespace ?? "default", name },
  labels: childLabels(cluster.metadata.name, "server", operatorId),
  ownerReferences: ownedBy(cluster),
});
const PACKED = { digest: "d".repeat(64), scope: "*", data: new TextEncoder().encode("a bucket") };

/** Every object a pass may apply, by the file it lands in. `deployment` and `deploymentPods` are two halves of one object. */
export const BUILDERS: Readonly<Record<string, Render>> = {
  serviceAccount: (cluster, context) => (cluster.spec.pods.serviceAccountName === undefined ? serviceAccount(cluster, context) : undefined),
  service,
  // Content is made once and never rendered; what is around it is.
  generatedSecret: (cluster, context) =>
    opaqueSecret(headOf(cluster, context, childNames(cluster.metadata.name).adminToken), { token: "eA==" }),
  bootSecret: (cluster, context) => bootSecret(headOf(cluster, context, childNames(cluster.metadata.name).boot(0)), PACKED),
  disruptionBudget,
  networkPolicy: serverPolicy,
  ingress: (cluster, context) => cluster.spec.exposure.ingress && ingress(cluster, context, cluster.spec.exposure.ingress),
  httpRoute: (cluster, context) => cluster.spec.exposure.gateway && httpRoute(cluster, context, cluster.spec.exposure.gateway),
  redisConfigMap: managed(redisConfigMap),
  redisService: managed(redisService),
  redisHeadlessService: managed(redisHeadlessService),
  redisPolicy: managed(redisPolicy),
  redisUsers: managed((cluster, context) =>
    usersSecret(cluster, context, { password: "now", previous: "before", sinceMs: 1_767_225_600_000 }),
  ),
  redisStatefulSet: managed(redisStatefulSet),
  redisConnection: (cluster, context) => cluster.spec.redis.external && connectionSecret(cluster, context, connectionOf(cluster)),
  postgresConnection: (cluster, context) =>
    cluster.spec.storage.postgres && postgresSecret(cluster, context, Buffer.from("postgres://nexus@db/nexus").toString("base64")),
  horizontalPodAutoscaler: (cluster, context) =>
    cluster.spec.autoscaling?.provider === "HPA" ? horizontalPodAutoscaler(cluster, cluster.spec.autoscaling, context) : undefined,
  scaledObject: (cluster, context) =>
    cluster.spec.autoscaling?.provider === "KEDA"
      ? scaledObject(cluster, cluster.spec.autoscaling, { ...context, canKeepSize: true })
      : undefined,
  triggerAuthentication: (cluster, context) =>
    cluster.spec.autoscaling?.provider === "KEDA" ? triggerAuthentication(cluster, cluster.spec.autoscaling, context) : undefined,
  prometheusRule: (cluster, context) => (cluster.spec.monitoring.rules === "Auto" ? prometheusRule(cluster, context) : undefined),
  podMonitor: (cluster, context) => (cluster.spec.monitoring.podMonitor === "Auto" ? podMonitor(cluster, context) : undefined),
  dashboards: (cluster, context) => (cluster.spec.monitoring.dashboard === "Auto" ? dashboardsConfigMap(cluster, context) : undefined),
  certificate: (cluster, context) => cluster.spec.tls?.issuerRef && certificate(cluster, context, cluster.spec.tls.issuerRef),
  deployment,
  deploymentPods,
};

const SENTINELS = {
  redis: {
    mode: "External",
    external: {
      topology: "Sentinel",
      addresses: ["sentinel-0:26379", "sentinel-1:26379"],
      masterName: "main",
      database: 2,
      usernameSecretRef: { name: "redis", key: "username" },
      passwordSecretRef: { name: "redis", key: "password" },
      tls: { caSecretRef: { name: "redis-ca", key: "ca.crt" }, clientSecretRef: { name: "redis-client" } },
    },
  },
} as const;

/** Rules and dashboards are long: one cluster shows them. */
const plain = (spec: object = {}): NexusCluster => aCluster({ monitoring: { rules: "Disabled", dashboard: "Disabled" }, ...spec });

/** Clusters by name: the smallest, one of everything about pods, and one for each feature that renders something of its own. */
export const CLUSTERS: Readonly<Record<string, () => NexusCluster>> = {
  small: () => plain(),
  full: () =>
    plain({
      image: { tag: "0.2.0", pullSecrets: [{ name: "registry" }] },
      delivery: { drainSeconds: 60 },
      exposure: { service: { type: "LoadBalancer", annotations: { "example.com/lb": "internal" } } },
      pods: {
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
        nodeSelector: { "kubernetes.io/arch": "amd64" },
        tolerations: [{ key: "dedicated", operator: "Exists" }],
        priorityClassName: "system-cluster-critical",
        labels: { team: "blue", "app.kubernetes.io/name": "mine" },
        annotations: { note: "hello" },
        env: [{ name: "TZ", value: "UTC" }],
      },
    }),
  nodePort: () => plain({ exposure: { service: { type: "NodePort" } } }),
  ingress: () =>
    plain({
      exposure: {
        ingress: {
          ingressClassName: "nginx",
          host: "push.example.com",
          annotations: { "nginx.ingress.kubernetes.io/proxy-read-timeout": "7200", "example.com/mine": "yes" },
          tls: { secretRef: { name: "push-tls" } },
        },
      },
    }),
  gateway: () =>
    plain({
      exposure: {
        gateway: {
          parentRefs: [{ name: "public", namespace: "infra", sectionName: "https" }],
          hostnames: ["push.example.com", "*.example.org"],
        },
      },
    }),
  redisManaged: () =>
    plain({
      replicas: 2,
      image: { pullSecrets: [{ name: "registry" }] },
      redis: {
        mode: "Managed",
        managed: { image: "registry.example/redis:7.4", memory: "1Gi", storage: { size: "20Gi", storageClassName: "fast" } },
      },
    }),
  redisExternal: () =>
    plain({ replicas: 3, ...SENTINELS, storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "pg", key: "url" } } } }),
  scaledHPA: () =>
    plain({
      ...SENTINELS,
      autoscaling: { provider: "HPA", maxReplicas: 20, targets: { messagesPerSecondPerPod: 5000 } },
      pods: { resources: { requests: { cpu: "500m", memory: "256Mi" } } },
    }),
  scaledKEDA: () =>
    plain({
      ...SENTINELS,
      autoscaling: {
        provider: "KEDA",
        minReplicas: 3,
        maxReplicas: 20,
        targets: { messagesPerSecondPerPod: 5000 },
        scaleDown: { stabilizationSeconds: 300, podsPerStep: 2 },
        prometheus: { serverAddress: "https://prometheus.monitoring:9090", authSecretRef: { name: "prometheus", key: "token" } },
      },
      pods: { resources: { requests: { cpu: "500m" } } },
    }),
  monitored: () => aCluster({ ...SENTINELS, monitoring: { labels: { release: "prometheus", "app.kubernetes.io/name": "mine" } } }),
  tlsSecret: () => plain({ tls: { secretRef: { name: "public-tls" } }, exposure: { ingress: { host: "push.example.com" } } }),
  tlsIssuer: () =>
    plain({ tls: { issuerRef: { name: "letsencrypt", kind: "ClusterIssuer" } }, exposure: { service: { type: "LoadBalancer" } } }),
};

/** What the Secrets of users hold in these fixtures. */
export const readFixture: SecretReader = (_namespace, name, key) => Buffer.from(`${name}/${key} of a user\n`);

function connectionOf({ spec }: NexusCluster) {
  const found = spec.redis.external && externalConnection(spec.redis.external, "default", readFixture);
  return found?.kind === "connection" ? found.connection : undefined;
}

/** Everything rendered for one cluster, by builder. */
export function renderAll(cluster: NexusCluster, context: RenderContext = CONTEXT): Readonly<Record<string, KubeObject>> {
  const found = Object.entries(BUILDERS).flatMap(([name, render]) => {
    const object = render(cluster, context);
    return object ? [[name, object] as const] : [];
  });
  return Object.fromEntries(found);
}
