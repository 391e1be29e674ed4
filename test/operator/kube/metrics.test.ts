// Why: what the operator exports is what its table says, for every replica, and a cluster's series end with it.
import { expect, test } from "bun:test";
import { createOperatorMetrics, type OperatorFacts } from "@nexus/operator/kube/metrics.ts";
import { OPERATOR_METRICS, OPERATOR_RUNTIME_METRICS } from "@nexus/operator/kube/metrics-table.ts";
import type { AllSeries, ClusterSeries } from "@nexus/operator/loop/cluster-series.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { MetricRow } from "@nexus/protocol/metric-row.ts";
import { type Exposition, familyOf, readExposition } from "../../support/monitoring/exposition.ts";

const conditions: ClusterSeries["conditions"] = {
  ...{ Ready: 1, Available: 1, ConfigSynced: 0, RedisReady: 1, AutoscalingActive: 1 },
  ...{ MonitoringReady: -1, Reconciling: 0, Stalled: 0, Paused: 0, Drift: 0 },
};
const one: ClusterSeries = {
  ...{ namespace: "shop", name: "main", conditions, pods: { wanted: 3, ready: 2, synced: 1 }, bounds: { min: 2, max: 9 } },
  ...{ boot: { behindSeconds: 3, left: 7, fullest: 0.75 }, purges: 2, reconciledMs: 1_700_000_000_750, isHeldBack: true },
  ...{ oldestPushSeconds: 4.5, certificates: [{ which: "admin", expiry: 1_800_000_000 }], isRolloutPaused: true, isUpgradePending: false },
};
const all: AllSeries = { clusters: [one], count: 3, objects: [{ kind: "Tenant", ready: 5, notReady: 1 }] };
const standby: OperatorFacts = {
  ...{ isLeading: () => false, workers: 8, underWay: () => [], renewedMs: () => undefined, series: () => undefined },
  heardMs: () => new Map([["Pod", 1_700_000_000_500]]),
  watched: () => new Map([["Pod", 12]]),
};
const leader = (series: () => AllSeries | undefined): OperatorFacts => ({
  ...standby,
  ...{ isLeading: () => true, renewedMs: () => 1_700_000_000_250, series },
  underWay: () => [
    { controller: "cluster", forMs: 1500 },
    { controller: "cluster", forMs: 500 },
  ],
});

async function scraped(
  facts: OperatorFacts,
): Promise<{ metrics: ReturnType<typeof createOperatorMetrics>; read: () => Promise<Exposition> }> {
  const metrics = createOperatorMetrics("1.2.3");
  metrics.observe(facts);
  return { metrics, read: async () => readExposition(await metrics.text()) };
}

test("exports every metric of the table with its type and help, and nothing else", async () => {
  const { metrics, read } = await scraped(leader(() => all));
  const text = await metrics.text();
  const expected = Object.entries(OPERATOR_METRICS).map(([name, { type }]): [string, string] => [name, type]);
  const { families } = await read();
  const own = [...families].filter(([name]) => !OPERATOR_RUNTIME_METRICS.some((runtime) => runtime === name));
  expect(own.sort()).toEqual(expected.sort());
  expect([...families.keys()].filter((name) => OPERATOR_RUNTIME_METRICS.some((runtime) => runtime === name)).sort()).toEqual(
    [...OPERATOR_RUNTIME_METRICS].sort(),
  );
  for (const [name, { help }] of Object.entries(OPERATOR_METRICS)) expect(text).toContain(`# HELP ${name} ${help}\n`);
});

test("a counter whose labels are closed is there at 0 before anything happened, so that its first step is seen", async () => {
  const exposition = await (await scraped(standby)).read();
  const closed = Object.entries<MetricRow>(OPERATOR_METRICS).filter(
    ([, { type, labels = {} }]) => type === "counter" && Object.values(labels).every((values) => typeof values !== "string"),
  );
  expect(closed.length).toBeGreaterThan(5);
  for (const [name, { labels = {} }] of closed) {
    const samples = exposition.samples.filter((sample) => sample.name === name);
    expect([name, samples.length]).toEqual([name, Object.values(labels).reduce((count, values) => count * values.length, 1)]);
    expect(samples.every(({ value }) => value === 0)).toBe(true);
  }
});

test("shows what is known of clusters where it leads, and ends a cluster's series with the cluster", async () => {
  let known: AllSeries = all;
  const { read } = await scraped(leader(() => known));
  const seen = await read();
  const cluster = { nexus_namespace: "shop", nexus_cluster: "main" };
  expect(seen.value("leader_election_master_status")).toBe(1);
  expect(seen.value("nexus_operator_lead_renewed_timestamp_seconds")).toBe(1_700_000_000.25);
  expect(seen.value("nexus_operator_clusters")).toBe(3);
  expect(seen.value("nexus_operator_clusters_unlabelled")).toBe(2);
  expect(seen.value("nexus_operator_cluster_condition", { ...cluster, type: "Ready" })).toBe(1);
  expect(seen.value("nexus_operator_cluster_condition", { ...cluster, type: "MonitoringReady" })).toBe(-1);
  expect(seen.value("nexus_operator_cluster_pods", { ...cluster, state: "synced" })).toBe(1);
  expect(seen.value("nexus_operator_cluster_replicas_bound", { ...cluster, bound: "max" })).toBe(9);
  expect(seen.value("nexus_operator_cluster_oldest_push_seconds", cluster)).toBe(4.5);
  expect(seen.value("nexus_operator_certificate_expiry_timestamp_seconds", { ...cluster, certificate: "admin" })).toBe(1_800_000_000);
  expect(seen.value("nexus_operator_rollout_paused", cluster)).toBe(1);
  expect(seen.value("nexus_operator_boot_copy_oldest_seconds", cluster)).toBe(3);
  expect(seen.value("nexus_operator_boot_copy_fullest_ratio", cluster)).toBe(0.75);
  expect(seen.value("nexus_operator_boot_copy_left_entries", cluster)).toBe(7);
  expect(seen.value("nexus_operator_purges_pending", cluster)).toBe(2);
  expect(seen.value("nexus_operator_cluster_reconciled_timestamp_seconds", cluster)).toBe(1_700_000_000.75);
  expect(seen.value("nexus_operator_cluster_held_back", cluster)).toBe(1);
  expect(seen.value("nexus_operator_watched_objects", { kind: "Pod" })).toBe(12);
  expect(seen.value("nexus_operator_objects", { kind: "Tenant", state: "not_ready" })).toBe(1);
  expect(seen.value("controller_runtime_active_workers", { controller: "cluster" })).toBe(2);
  expect(seen.value("workqueue_unfinished_work_seconds")).toBe(2);
  expect(seen.value("workqueue_longest_running_processor_seconds")).toBe(1.5);
  expect(seen.value("nexus_operator_watch_heard_timestamp_seconds", { kind: "Pod" })).toBe(1_700_000_000.5);

  known = { clusters: [], count: 0, objects: [] };
  const after = await read();
  expect(after.samples.filter(({ labels }) => labels.nexus_cluster !== undefined)).toEqual([]);
  expect(after.value("nexus_operator_clusters")).toBe(0);
});

test("a standby shows nothing of clusters, so that sums over replicas are right", async () => {
  const seen = await (await scraped(standby)).read();
  expect(seen.value("leader_election_master_status")).toBe(0);
  expect(seen.value("nexus_operator_lead_renewed_timestamp_seconds")).toBeUndefined();
  expect(
    seen.samples.filter(({ name }) =>
      /^nexus_operator_(boot_copy|cluster_|clusters$|clusters_u|objects|certificate|purges|rollout|upgrade)/.test(name),
    ),
  ).toEqual([]);
  expect(seen.value("nexus_operator_watch_heard_timestamp_seconds", { kind: "Pod" })).toBeDefined();
});

test("a kind that is not watched any more is not shown as one that fell silent", async () => {
  const kinds = new Map([["Pod", 1000]]).set("ScaledObject", 1000);
  const { read } = await scraped({ ...standby, heardMs: () => kinds, watched: () => kinds });
  const of = async () => (await read()).samples.filter(({ labels }) => labels.kind === "ScaledObject").map(({ name }) => name);
  expect(await of()).toEqual(["nexus_operator_watch_heard_timestamp_seconds", "nexus_operator_watched_objects"]);
  kinds.delete("ScaledObject");
  expect(await of()).toEqual([]);
});

test("tells passes that failed from those that are given up and from bugs", async () => {
  const { metrics, read } = await scraped(standby);
  metrics.reconciled("tenant", { kind: "done" });
  metrics.reconciled("tenant", { kind: "again", afterMs: 1 });
  metrics.reconciled("tenant", { kind: "failed", error: new KubeError({ status: 503, reason: "X", message: "x" }), retry: true });
  metrics.reconciled("tenant", { kind: "failed", error: new KubeError({ status: 422, reason: "X", message: "x" }), retry: false });
  metrics.reconciled("tenant", { kind: "failed", error: new TypeError("x"), retry: true });
  const seen = await read();
  const of = (name: string, labels = {}) => seen.value(`controller_runtime_${name}`, { controller: "tenant", ...labels });
  expect(["success", "requeue_after", "error"].map((result) => of("reconcile_total", { result }))).toEqual([1, 1, 3]);
  expect([of("reconcile_errors_total"), of("terminal_reconcile_errors_total"), of("reconcile_panics_total")]).toEqual([3, 1, 1]);
});

test("every sample has the labels of its row, with values of their sets", async () => {
  const exposition = await (await scraped(leader(() => all))).read();
  const rows: Readonly<Record<string, MetricRow>> = OPERATOR_METRICS;
  for (const sample of exposition.samples) {
    const row = rows[familyOf(exposition, sample.name)];
    if (!row) continue; // the runtime's own
    const { le: _, ...labels } = sample.labels;
    expect(Object.keys(labels).sort()).toEqual(Object.keys(row.labels ?? {}).sort());
    for (const [label, values] of Object.entries(row.labels ?? {}))
      if (typeof values !== "string") expect(values).toContain(labels[label] ?? "");
  }
});
