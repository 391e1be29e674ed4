// Why: series of clusters are read from what the operator knows at that moment; each number here is one that an alert compares.
import { expect, test } from "bun:test";
import { createAuthority } from "@nexus/operator/kube/certificates.ts";
import { complete } from "@nexus/operator/kube/complete.ts";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { SeriesReader } from "@nexus/operator/loop/cluster-series.ts";
import type { PushProgress } from "@nexus/operator/loop/pusher.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import type { TemplateIndex } from "@nexus/operator/loop/template-index.ts";
import type { DeploymentObject } from "@nexus/operator/loop/views.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { cluster, tenant } from "../../support/resources.ts";

const clusterOf = (name: string, spec: object = {}, status?: NexusCluster["status"]): NexusCluster =>
  complete<NexusCluster>({ ...cluster("shop", name, spec), metadata: { name, namespace: "shop" }, ...(status ? { status } : {}) });

function setup(progress: Partial<PushProgress> = {}) {
  const clusters = new MemoryStore<NexusCluster>();
  const tenants = new MemoryStore<Tenant>({}, 1, ({ status }) =>
    status?.conditions?.some(({ type }) => type === "Ready") ? "ready" : undefined,
  );
  const templates = new MemoryStore<TemplateIndex>({}, 1, ({ status }) => (status === "settled" ? "ready" : undefined));
  const deployments = new MemoryStore<DeploymentObject>();
  const secrets = new Map<string, SecretObject>();
  const reader = new SeriesReader({
    views: { clusters, tenants, templates, deployments },
    pusher: { progress: () => ({ podsSynced: 0, podsTotal: 0, oldestSeconds: 0, ...progress }) },
    secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
    boot: (key) => (key === "shop/main" ? { behindMs: 2_500, left: 3, fullest: 0.5 } : undefined),
    purges: (key) => (key === "shop/main" ? 4 : 0),
    isHeldBack: (key) => key === "shop/main",
    wallMs: () => 1_700_000_000_000,
  });
  const put = <T>(store: MemoryStore<T>, key: string, value: T) => store.set(key, { uid: key, resourceVersion: "1", value });
  const secret = (name: string, pem: string) =>
    secrets.set(`shop/${name}`, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace: "shop", name },
      data: { "tls.crt": Buffer.from(pem).toString("base64") },
    });
  return { clusters, tenants, templates, deployments, reader, put, secret };
}

const condition = (type: "Ready" | "Drift" | "Available" | "RedisReady", status: "True" | "False" | "Unknown") => ({
  ...{ type, status, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z", reason: "AsExpected" as const, message: "" },
});

test("conditions are numbers: a verdict that is not there is unknown, one that exists only while True is not so", () => {
  const { clusters, reader, put } = setup();
  const conditions = [
    condition("Ready", "False"),
    condition("Available", "True"),
    condition("RedisReady", "Unknown"),
    condition("Drift", "True"),
  ];
  put(clusters, "shop/main", clusterOf("main", {}, { observedGeneration: 1, conditions }));
  expect(reader.read().clusters[0]?.conditions).toEqual({
    ...{ Ready: 0, Available: 1, RedisReady: -1, Drift: 1 },
    ...{ ConfigSynced: -1, AutoscalingActive: -1, MonitoringReady: -1, Reconciling: 0, Stalled: 0, Paused: 0 },
  });
});

test("pods are those of the Deployment and the word of the pods themselves; before there is one, what the spec asks for", () => {
  const { clusters, deployments, reader, put } = setup({ podsSynced: 2, oldestSeconds: 7 });
  put(clusters, "shop/main", clusterOf("main", { replicas: 1, redis: { mode: "Managed" } }));
  expect(reader.read().clusters[0]).toMatchObject({
    pods: { wanted: 1, ready: 0, synced: 2 },
    oldestPushSeconds: 7,
    isRolloutPaused: false,
  });
  put(deployments, "shop/main-server", {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "main-server", namespace: "shop" } },
    ...{ spec: { replicas: 5, paused: true }, status: { readyReplicas: 3 } },
  });
  expect(reader.read().clusters[0]).toMatchObject({ pods: { wanted: 5, ready: 3, synced: 2 }, bounds: undefined, isRolloutPaused: true });
  const autoscaling = { minReplicas: 2, maxReplicas: 8, provider: "Nexus" };
  const pendingRollout = { digest: "sha256:1", reason: "another version", fields: ["spec"] };
  put(clusters, "shop/main", clusterOf("main", { redis: { mode: "Managed" }, autoscaling }, { observedGeneration: 1, pendingRollout }));
  expect(reader.read().clusters[0]).toMatchObject({ bounds: { min: 2, max: 8 }, isUpgradePending: true });
});

test("a paused cluster is not behind: nobody is told meanwhile, because somebody asked for that", () => {
  const { clusters, reader, put } = setup({ podsTotal: 1, oldestSeconds: 900 });
  const running = clusterOf("main");
  put(clusters, "shop/main", running);
  expect(reader.read().clusters[0]?.oldestPushSeconds).toBe(900);
  put(clusters, "shop/main", { ...running, metadata: { ...running.metadata, annotations: { "nexus.dev/paused": "true" } } });
  expect(reader.read().clusters[0]?.oldestPushSeconds).toBe(0);
});

test("a certificate says when it ends; one that cannot be read ended long ago; one that is not there says nothing", async () => {
  const { clusters, reader, put, secret } = setup();
  const nowMs = Date.UTC(2026, 0, 1);
  put(clusters, "shop/main", clusterOf("main", { tls: { secretRef: { name: "mine" } } }));
  expect(reader.read().clusters[0]?.certificates).toEqual([]);
  secret("main-admin-ca", (await createAuthority("test", nowMs)).certPem);
  secret("mine", "no certificate");
  const expected = [
    { which: "admin_ca", expiry: nowMs / 1000 + 730 * 86_400 },
    { which: "listener", expiry: 0 },
  ] as const;
  expect(reader.read().clusters[0]?.certificates).toEqual(expected);
  expect(reader.read().clusters[0]?.certificates).toEqual(expected);
});

test("what other parts know of a cluster is its own, and the time of a good pass ends with it", () => {
  const { clusters, reader, put } = setup();
  for (const name of ["main", "other"]) put(clusters, `shop/${name}`, clusterOf(name));
  reader.reconciled("shop/main");
  const told = { boot: { behindSeconds: 2.5, left: 3, fullest: 0.5 }, purges: 4, isHeldBack: true, reconciledMs: 1_700_000_000_000 };
  expect(reader.read().clusters).toMatchObject([told, { boot: undefined, purges: 0, isHeldBack: false, reconciledMs: undefined }]);
  clusters.delete("shop/main");
  reader.reconciled("shop/main");
  put(clusters, "shop/main", clusterOf("main"));
  expect(reader.read().clusters[0]?.reconciledMs).toBeUndefined();
});

test("a cap keeps the first by name, whatever order they came in, and counts all", () => {
  const { clusters, reader, put } = setup();
  for (const name of ["d", "b", "a", "c"]) put(clusters, `shop/${name}`, clusterOf(name));
  const { clusters: shown, count } = reader.read(2);
  expect([shown.map(({ name }) => name), count]).toEqual([["a", "b"], 4]);
});

test("objects are counted as they change, are made anew and go, without looking at each", () => {
  const { tenants, templates, reader, put } = setup();
  const index = (status: TemplateIndex["status"]): TemplateIndex => ({
    metadata: { name: "t" },
    spec: { tenantRef: { name: "acme" } },
    isPaused: false,
    status,
  });
  for (let number = 0; number < 100; number++) put(templates, `shop/${number}`, index(number % 2 === 0 ? "settled" : undefined));
  put(templates, "shop/0", index(undefined));
  put(templates, "shop/1", index("settled"));
  put(templates, "shop/1", index("settled"));
  templates.delete("shop/2");
  templates.delete("shop/2");
  put(tenants, "shop/acme", complete<Tenant>({ ...tenant("shop"), metadata: { name: "acme", namespace: "shop" } }));
  expect(reader.read().objects).toEqual([
    { kind: "Tenant", ready: 0, notReady: 1 },
    { kind: "Template", ready: 49, notReady: 50 },
  ]);
});
