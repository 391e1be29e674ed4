// Why: every optional part of the three kinds at once, in the spellings people use (numbers where texts are, short quantities,
// empty lists), so that what an API server rewrites or fills in cannot look like a difference.

const object = (kind: string, name: string, spec: object) => ({
  apiVersion: "nexus.dev/v1alpha1",
  kind,
  metadata: { name, labels: { "app.kubernetes.io/managed-by": "git" }, annotations: { "example.com/owner": "team a" } },
  spec,
});

export const FULL: readonly object[] = [
  object("NexusCluster", "full", {
    image: { repository: "registry.example.com/nexus", tag: "0.1.0", pullSecrets: [{ name: "registry" }] },
    autoscaling: {
      provider: "HPA",
      maxReplicas: 20,
      targets: { connectionsPerPod: 5000, messagesPerSecondPerPod: 2000 },
      scaleUp: { podsPerStep: 2 },
      scaleDown: { stabilizationSeconds: 900 },
    },
    redis: {
      mode: "External",
      external: {
        topology: "Sentinel",
        addresses: ["sentinel-0.redis:26379", "sentinel-1.redis:26379"],
        masterName: "main",
        passwordSecretRef: { name: "redis" },
        tls: { caSecretRef: { name: "redis-ca" }, clientSecretRef: { name: "redis-client" } },
      },
    },
    storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "postgres" } } },
    channels: [{ match: "orders.*", history: { size: 50 }, subscribe: "Claim" }, { match: "*" }],
    limits: { frameBytes: 32768, jwksPrivateNetworks: true },
    delivery: { heartbeatSeconds: 20, drainSeconds: 45 },
    platformKeys: [{ name: "ops" }, { name: "own", secretRef: { name: "platform" }, rotation: 2 }],
    allowedNamespaces: {
      from: "Selector",
      selector: { matchLabels: { team: "a" }, matchExpressions: [{ key: "stage", operator: "In", values: ["prod"] }] },
    },
    exposure: {
      service: { type: "LoadBalancer", annotations: { "a.b/c": "1" } },
      ingress: { ingressClassName: "nginx", host: "n.example.com", tls: { secretRef: { name: "ingress-tls" } } },
      gateway: { parentRefs: [{ name: "public", namespace: "gateways" }], hostnames: ["n.example.com"] },
    },
    tls: { issuerRef: { name: "letsencrypt", kind: "ClusterIssuer" } },
    pods: {
      resources: { requests: { cpu: 1, memory: "1024Mi" }, limits: { memory: "2Gi" } },
      nodeSelector: { pool: "nexus" },
      tolerations: [{ key: "dedicated", operator: "Exists" }],
      topologySpreadConstraints: [{ topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", maxSkew: 1 }],
      priorityClassName: "high",
      labels: { team: "a" },
      annotations: { x: "y" },
      env: [{ name: "TZ", value: "UTC" }],
      serviceAccountName: "own",
    },
    rollout: { maxSurge: "25%", maxUnavailable: 0, upgrades: "Automatic" },
    monitoring: {
      podMonitor: "Disabled",
      labels: { release: "p" },
      slo: { deliveryPercent: "99.95" },
      tracing: { endpoint: "http://otel:4318", samplePercent: 5 },
    },
  }),
  object("Tenant", "full", {
    clusterRef: { name: "full" },
    tenantId: "Full.1",
    suspended: true,
    auth: {
      issuers: [
        {
          name: "idp",
          issuer: "https://idp.example.com/",
          audiences: ["nexus", "app"],
          algorithms: ["RS256", "ES256"],
          jwksURL: "https://idp.example.com/jwks",
        },
        { name: "pem", algorithms: ["EdDSA"], publicKeySecretRef: { name: "pem", key: "pub" }, clockSkewSeconds: 0 },
        { name: "hmac", algorithms: ["HS256"], secretRef: { name: "hmac" } },
      ],
      apiKeys: [
        { name: "backend", scopes: ["read", "publish"] },
        { name: "own", scopes: ["admin"], secretRef: { name: "imported" } },
      ],
    },
    quotas: { connections: 100000, publishPerSecond: 500, publishBurst: 1000, inbox: { mode: "Acked", messages: 1000 } },
    channels: [],
    allowedOrigins: ["https://app.example.com", "*"],
    allowedNamespaces: { from: "All" },
    deletionPolicy: "Delete",
  }),
  object("Template", "full", {
    tenantRef: { name: "full" },
    templateId: "Full_1",
    eventType: "order.shipped",
    priority: "High",
    ttlSeconds: 3600,
    engine: "Liquid",
    variables: [
      { name: "order", required: true },
      { name: "list", type: "array", default: [] },
      { name: "n", type: "integer", default: 0 },
    ],
    payload: { title: "{{ order | upcase }}", nothing: null, deep: { list: [1, 1.5, true, null, {}] } },
    locales: [
      { locale: "de-AT", payload: { title: "{{ order }}" } },
      { locale: "fr", payloadText: '{"title": {{ order | json }} }' },
    ],
  }),
];
