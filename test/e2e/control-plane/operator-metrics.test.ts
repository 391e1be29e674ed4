// Why: what a person on call sees of the operator, from a real one with real objects: a name that is not in the table, a series
// that outlives its cluster, or a push that is stuck and looks well would mislead at night.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { OPERATOR_METRICS, OPERATOR_RUNTIME_METRICS } from "@nexus/operator/kube/metrics-table.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import type { MetricRow } from "@nexus/protocol/metric-row.ts";
import { ensurePackages } from "../../support/apt.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Exposition, familyOf, readExposition } from "../../support/monitoring/exposition.ts";
import { checkMetrics } from "../../support/monitoring/promtool.ts";
import { type Stage, startStage } from "../../support/operator.ts";
import { type OtelCollector, type SeenSpan, startOtelCollector } from "../../support/otel-collector.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(90_000);

const NAMESPACE = "seen";
const OF_LIVE = { nexus_namespace: NAMESPACE, nexus_cluster: "live" };
const missing = await ensurePackages(["prometheus"]);
if (missing !== undefined) process.stderr.write(`promtool is left out: ${missing}\n`);

let stage: Stage;
let kubelet: FakeKubelet;
let collector: OtelCollector;
let leader: RunningOperator;
let standby: RunningOperator;

const textOf = async (operator: RunningOperator): Promise<string> => await (await fetch(`${operator.url}/metrics`)).text();
const scrape = async (operator: RunningOperator): Promise<Exposition> => readExposition(await textOf(operator));
const until = (what: string, isThere: (seen: Exposition) => boolean, timeoutMs = 20_000) =>
  eventually(what, async () => isThere(await scrape(leader)), { timeoutMs, intervalMs: 100 });

beforeAll(async () => {
  stage = await startStage();
  kubelet = fakeKubelet(stage, NAMESPACE, "live");
  await stage.kubectl("create", "namespace", NAMESPACE);
  collector = await startOtelCollector();
  leader = await stage.operator({ "--identity": "first", "--tracing-endpoint": collector.endpoint, "--tracing-sample-percent": "100" });
  await until("it leads", (seen) => seen.value("leader_election_master_status") === 1);
  standby = await stage.operator({ "--identity": "second" });
  const small = cluster(NAMESPACE, "idle", { replicas: 0 });
  const lost = tenant(NAMESPACE, "lost", { clusterRef: { name: "nowhere" } });
  await stage.plane.apply([cluster(NAMESPACE), small, tenant(NAMESPACE), lost, template(NAMESPACE)]);
  await kubelet.runPods(1);
  await stage.until("nexuscluster/live", NAMESPACE, { type: "Ready", status: "True" });
  await stage.until("template/hello", NAMESPACE, { type: "Ready", status: "True" });
});
afterAll(async () => {
  await standby?.stop();
  await leader?.stop();
  await collector?.[Symbol.asyncDispose]();
  await kubelet?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

test("its passes are traces: writes and pushes lie below the pass that caused them", async () => {
  const aboveIn = (seen: readonly SeenSpan[], span: SeenSpan) =>
    seen.find(({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId);
  const wanted = ["reconcile cluster", "reconcile config", "reconcile tenant", "reconcile template", "push"];
  const spans = await eventually(
    "the collector has the first passes, and above every push its pass: they travel in batches",
    async () => {
      const seen = await collector.spans();
      const isWhole = seen.every((span) => span.name !== "push" || aboveIn(seen, span));
      return isWhole && wanted.every((name) => seen.some((span) => span.name === name)) && seen;
    },
    { timeoutMs: 20_000 },
  );
  const above = (span: SeenSpan) => aboveIn(spans, span);
  const named = (name: string) => spans.filter((span) => span.name === name);
  for (const push of named("push")) expect(above(push)?.name).toMatch(/^reconcile (config|cluster)$/); // whichever knew of the pod
  expect(named("PATCH deployments").map((span) => above(span)?.name)).toContain("reconcile cluster");
  expect(named("PATCH templates/status").map((span) => above(span)?.name)).toContain("reconcile template");
  expect(named("reconcile template")[0]?.attributes).toMatchObject({ "k8s.namespace.name": NAMESPACE, "nexus.object": "hello" });
  expect(spans.every(({ resource }) => resource["service.name"] === "nexus-operator" && resource["service.instance.id"] === "first")).toBe(
    true,
  );
  expect(spans.filter(({ name }) => name.startsWith("GET") || name.includes("leases"))).toEqual([]);
  await until("they are counted", (seen) => (seen.value("nexus_operator_trace_spans_total", { outcome: "exported" }) ?? 0) > 0);
});

describe("a real operator's metrics", () => {
  test("are those of the table, with its labels and values", async () => {
    const rows: Readonly<Record<string, MetricRow>> = OPERATOR_METRICS;
    const known = new Set<string>([...Object.keys(rows), ...OPERATOR_RUNTIME_METRICS]);
    const seen = await scrape(leader);
    expect([...seen.families.keys()].sort()).toEqual([...known].sort());
    for (const sample of seen.samples) {
      const name = familyOf(seen, sample.name);
      const { le: _, ...labels } = sample.labels;
      expect([name, Object.keys(labels).sort()]).toEqual([name, Object.keys(rows[name]?.labels ?? {}).sort()]);
      for (const [label, values] of Object.entries(rows[name]?.labels ?? {}))
        if (typeof values !== "string") expect(values).toContain(labels[label] ?? "");
    }
    const silent = Object.keys(rows).filter((name) => !seen.samples.some((sample) => familyOf(seen, sample.name) === name));
    // Nothing was put back, written in vain, refused or scaled here, and no watch has ended yet.
    const unused = ["drift_total", "unchanged_writes_total", "cluster_replicas_bound"].map((name) => `nexus_operator_${name}`);
    expect(silent.filter((name) => !unused.includes(name) && !/^reflector_(watches|list_failures)_total$/.test(name))).toEqual([]);
  });

  test.skipIf(missing !== undefined)("have nothing that promtool complains of", async () => {
    expect(await checkMetrics(await textOf(leader))).toEqual({ isOk: true, output: "" });
  });

  test("show every cluster's conditions, pods and certificates, and how many objects are well", async () => {
    await until("the pod has everything", (seen) => seen.value("nexus_operator_cluster_pods", { ...OF_LIVE, state: "synced" }) === 1);
    const seen = await scrape(leader);
    const condition = (type: string) => seen.value("nexus_operator_cluster_condition", { ...OF_LIVE, type });
    expect(["Ready", "Available", "ConfigSynced", "Stalled", "Drift"].map(condition)).toEqual([1, 1, 1, 0, 0]);
    expect(["wanted", "ready"].map((state) => seen.value("nexus_operator_cluster_pods", { ...OF_LIVE, state }))).toEqual([1, 1]);
    for (const certificate of ["admin_ca", "admin"]) {
      const expiry = seen.value("nexus_operator_certificate_expiry_timestamp_seconds", { ...OF_LIVE, certificate }) ?? 0;
      expect(expiry).toBeGreaterThan(Date.now() / 1000 + 80 * 86_400);
    }
    expect(seen.value("nexus_operator_clusters")).toBe(2);
    const objects = (kind: string, state: string) => seen.value("nexus_operator_objects", { kind, state });
    expect([objects("Tenant", "ready"), objects("Tenant", "not_ready")]).toEqual([1, 1]);
    expect([objects("Template", "ready"), objects("Template", "not_ready")]).toEqual([1, 0]);
    expect(seen.value("nexus_operator_watch_heard_timestamp_seconds", { kind: "Pod" })).toBeGreaterThan(Date.now() / 1000 - 120);
    expect(seen.value("nexus_operator_lead_renewed_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000 - 15);
  });

  test("are of the leader alone where they are about clusters", async () => {
    const seen = await scrape(standby);
    expect(seen.value("leader_election_master_status")).toBe(0);
    expect(seen.samples.filter(({ labels }) => labels.nexus_cluster !== undefined)).toEqual([]);
    expect([seen.value("nexus_operator_clusters"), seen.value("nexus_operator_lead_renewed_timestamp_seconds")]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test("time an edit from being seen to being live on every ready pod", async () => {
    const count = async () => (await scrape(leader)).value("nexus_operator_live_duration_seconds_count") ?? 0;
    const before = await count();
    await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text: "another" } }));
    await eventually("it was timed", async () => (await count()) === before + 1, { timeoutMs: 20_000, intervalMs: 100 });
    const seen = await scrape(leader);
    expect(seen.value("nexus_operator_live_duration_seconds_sum")).toBeLessThan(20);
    expect(seen.value("nexus_operator_push_duration_seconds_count")).toBeGreaterThan(0);
  });

  test("show how old the oldest change is that a pod does not take, and 0 once it did", async () => {
    const pods = [...kubelet.pods.values()];
    const age = (seen: Exposition) => seen.value("nexus_operator_cluster_oldest_push_seconds", OF_LIVE) ?? -1;
    expect(age(await scrape(leader))).toBe(0);
    for (const pod of pods) pod.mute(true);
    await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text: "not heard" } }));
    await until("the age is seen", (seen) => age(seen) > 1);
    await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text: "a newer one" } }));
    const older = age(await scrape(leader));
    await until("a newer change does not make it younger", (seen) => age(seen) > older + 1);
    for (const pod of pods) pod.mute(false);
    await until("all was taken", (seen) => age(seen) === 0, 40_000);
  });

  test("forget a cluster that is gone", async () => {
    await stage.kubectl("delete", "nexuscluster", "idle", "-n", NAMESPACE);
    await until("its series ended", (seen) => !seen.samples.some(({ labels }) => labels.nexus_cluster === "idle"));
    expect((await scrape(leader)).value("nexus_operator_clusters")).toBe(1);
  });
});

describe("a running operator", () => {
  test("says that it lives, whether it leads, and changes its log level on the loopback address", async () => {
    for (const operator of [leader, standby]) expect((await fetch(`${operator.url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${leader.url}/readyz`)).text()).toBe("ok\nleading\n");
    expect(await (await fetch(`${standby.url}/readyz`)).text()).toBe("ok\nstandby\n");
    const change = (body: unknown) => fetch(`${standby.localUrl}/log-level`, { method: "PUT", body: JSON.stringify(body) });
    expect(await (await change({ level: "error" })).json()).toEqual({ level: "error" });
    expect(standby.log.level()).toBe("error");
    expect((await change({ level: "loud" })).status).toBe(400);
    expect((await fetch(`${standby.url}/log-level`)).status).toBe(404);
  });

  test("tells every pass, push and request at level debug, and none of them without", async () => {
    const lines = async () => (await scrape(leader)).value("nexus_operator_log_lines_total", { level: "debug" }) ?? 0;
    const passes = async () =>
      (await scrape(leader)).value("controller_runtime_reconcile_total", { controller: "template", result: "success" }) ?? 0;
    const edit = async (text: string) => {
      const before = await passes();
      await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text } }));
      await eventually("it was looked at", async () => (await passes()) > before, { timeoutMs: 20_000 });
    };
    await edit("before");
    expect(await lines()).toBe(0);
    await fetch(`${leader.localUrl}/log-level`, { method: "PUT", body: '{"level":"debug","minutes":1}' });
    await edit("while");
    await eventually("passes, a push and a write were told", async () => (await lines()) > 3, { timeoutMs: 20_000 });
    await fetch(`${leader.localUrl}/log-level`, { method: "PUT", body: '{"level":"warn"}' });
  });
});
