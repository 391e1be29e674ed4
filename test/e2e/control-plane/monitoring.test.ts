// Why: objects for Prometheus and Grafana against a real API server with prometheus-operator's kinds: made when these are served,
// changed live, taken away when they are not wanted, and never a reason for a fleet not to run.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { eventually } from "../../support/eventually.ts";
import { installPublished, MONITORING } from "../../support/kube/published-crds.ts";
import { type Seen, type Stage, settled, startStage, textOf, within } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";

setDefaultTimeout(90_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator();
});
afterAll(async () => {
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

const namespace = (name: string) => stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
async function fleet(ns: string, spec: object = {}): Promise<string> {
  await namespace(ns);
  await stage.plane.apply(cluster(ns, "live", spec));
  return ns;
}
const child = (resource: string, ns: string): Promise<Seen> =>
  eventually(`${resource} in ${ns}`, () => stage.get(resource, ns), { timeoutMs: 30_000 });
const gone = (resource: string, ns: string) =>
  eventually(`${resource} is gone`, async () => (await stage.get(resource, ns)) === undefined, { timeoutMs: 20_000 });
const patch = (resource: string, ns: string, change: object) =>
  stage.kubectl("patch", resource, "-n", ns, "--type=merge", "-p", JSON.stringify(change));
const ready = (ns: string, want: { readonly status: string; readonly reason: string }) =>
  stage.until("nexuscluster/live", ns, { type: "MonitoringReady", ...want });
/** What we render: strings of a rule file. */
const groupsOf = (seen: Seen | undefined) => (seen?.spec?.groups ?? []) as readonly RenderedGroup[];
const generation = async (ns: string) => (await stage.get("deployment/live-server", ns))?.metadata.generation;
const RULES = "prometheusrule/live-server";
const DASHBOARDS = "configmap/live-dashboards";
const MONITOR = "podmonitor/live-server";

test("without the kinds nothing is asked for, and it is said; they are used from the moment they are served", async () => {
  const ns = await fleet("early");
  const absent = await ready(ns, { status: "True", reason: "KindsAbsent" });
  expect(absent.message).toContain("PodMonitor");
  await installPublished(stage.plane, "newest", MONITORING);
  await fleet("impatient", { exposure: { gateway: { parentRefs: [{ name: "g" }], hostnames: ["a.example.com"] } } }); // what misses a kind has them looked for
  expect((await ready(ns, { status: "True", reason: "Reconciled" })).message).toBe("made: PodMonitor, PrometheusRule and dashboards");
  expect(groupsOf(await child(RULES, ns)).flatMap((group) => group.rules).length).toBeGreaterThan(0);
});

test("the PodMonitor selects the pods of this fleet by their labels and the name of their port", async () => {
  const ns = await fleet("selects", { monitoring: { labels: { release: "prometheus", "app.kubernetes.io/name": "mine" } } });
  const monitor = (await child(MONITOR, ns)) as Seen & { readonly metadata: { readonly labels: Readonly<Record<string, string>> } }; // ours has labels
  expect(monitor.metadata.labels).toMatchObject({ release: "prometheus", "app.kubernetes.io/name": "nexus" });
  const { selector, podMetricsEndpoints } = monitor.spec as {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly { readonly port: string; readonly relabelings: readonly object[] }[];
  };
  const template = (await child("deployment/live-server", ns)).spec?.template as {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> };
    readonly spec: { readonly containers: readonly { readonly ports: readonly { readonly name: string }[] }[] };
  };
  expect(template.metadata.labels).toMatchObject(selector.matchLabels);
  const [endpoint] = podMetricsEndpoints;
  expect(template.spec.containers[0]?.ports.map(({ name }) => name)).toContain(endpoint?.port);
  expect(endpoint?.relabelings).toEqual([{ action: "replace", targetLabel: "nexus_cluster", replacement: "live" }]);
});

test("spec.monitoring takes effect live: labels move, what is Disabled goes, and no pod is touched", async () => {
  const ns = await fleet("edited");
  await child(RULES, ns);
  const before = await generation(ns);
  await patch("nexuscluster/live", ns, { spec: { monitoring: { labels: { team: "blue" } } } });
  for (const resource of [RULES, MONITOR, DASHBOARDS])
    await eventually(`${resource} has the label`, async () => {
      const seen = await stage.get(resource, ns);
      return seen && Object(Reflect.get(seen.metadata, "labels")).team === "blue";
    });
  await patch("nexuscluster/live", ns, { spec: { monitoring: { podMonitor: "Disabled", rules: "Disabled", dashboard: "Disabled" } } });
  await gone(RULES, ns);
  await gone(MONITOR, ns);
  await gone(DASHBOARDS, ns);
  await ready(ns, { status: "True", reason: "NotRequested" });
  await patch("nexuscluster/live", ns, { spec: { monitoring: { rules: "Auto" } } });
  await child(RULES, ns);
  expect(await stage.get(MONITOR, ns)).toBeUndefined();
  expect(await generation(ns)).toBe(before);
});

test("a rule that somebody bends is put back, one that is deleted comes again, a group that somebody adds stays", async () => {
  const ns = await fleet("bent");
  const made = await child(RULES, ns);
  const [first, ...others] = groupsOf(made);
  const bent = { ...first, rules: first?.rules.map((rule) => ({ ...rule, expr: "vector(0)" })) };
  await patch(RULES, ns, { spec: { groups: [bent, ...others] } });
  const isBack = async () => Bun.deepEquals(groupsOf(await stage.get(RULES, ns)), groupsOf(made));
  await eventually("it is as it was", isBack, { timeoutMs: 20_000 });
  const drift = await stage.until("nexuscluster/live", ns, { type: "Drift", status: "True" });
  expect(drift.message).toContain("PrometheusRule live-server");
  await stage.kubectl("delete", RULES, "-n", ns);
  await eventually("it came again", isBack, { timeoutMs: 20_000 });
  const added = { name: "of-the-team", rules: [{ alert: "TeamAlert", expr: "vector(1)" }] };
  await settled(stage);
  const writes = (await stage.writes()).length;
  await patch(RULES, ns, { spec: { groups: [...groupsOf(made), added] } });
  expect(within(ns, (await settled(stage)).slice(writes)).map(textOf)).toEqual([]);
  expect(groupsOf(await stage.get(RULES, ns)).map(({ name }) => name)).toContain("of-the-team");
});

test("dashboards come with the PodMonitor, for Grafana's sidecar to find, and one that is bent is put back", async () => {
  const ns = await fleet("boards");
  const made = await child(DASHBOARDS, ns);
  expect(Reflect.get(made.metadata, "labels")).toMatchObject({ grafana_dashboard: "1" });
  const files = Object.keys(made.data ?? {});
  expect(files.length).toBeGreaterThan(0);
  expect(files.filter((name) => !name.startsWith("boards.live."))).toEqual([]); // the sidecar's folder holds those of all fleets
  await patch(DASHBOARDS, ns, { data: { [files[0] ?? ""]: "{}" } });
  const isBack = async () => Bun.deepEquals((await stage.get(DASHBOARDS, ns))?.data, made.data);
  await eventually("it is as it was", isBack, { timeoutMs: 20_000 });
  await patch("nexuscluster/live", ns, { spec: { monitoring: { podMonitor: "Disabled" } } });
  await gone(DASHBOARDS, ns);
  await child(RULES, ns);
});

test("rules that the API server refuses are told with its words, and the fleet comes about all the same", async () => {
  const ns = "refused";
  await namespace(ns);
  const hard = { "count/prometheusrules.monitoring.coreos.com": "0" };
  await stage.plane.apply({ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "none", namespace: ns }, spec: { hard } });
  await fleet(ns);
  await child("deployment/live-server", ns);
  const refused = await ready(ns, { status: "False", reason: "ApiError" });
  expect(refused.message).toMatch(/^PrometheusRule: .*quota/);
  await child(MONITOR, ns);
  expect(await stage.condition("nexuscluster/live", ns, "Stalled")).toBeUndefined();
  await stage.kubectl("delete", "resourcequota/none", "-n", ns);
  await stage.kubectl("annotate", "nexuscluster/live", "-n", ns, "look=again");
  await ready(ns, { status: "True", reason: "Reconciled" });
});

test("a PodMonitor of that name that somebody else made stays theirs, and stalls nothing", async () => {
  const ns = "theirs";
  await namespace(ns);
  const theirs = { selector: { matchLabels: { app: "other" } }, podMetricsEndpoints: [] };
  const metadata = { name: "live-server", namespace: ns };
  await stage.plane.apply({ apiVersion: "monitoring.coreos.com/v1", kind: "PodMonitor", metadata, spec: theirs });
  await fleet(ns);
  expect((await ready(ns, { status: "False", reason: "NameConflict" })).message).toContain("PodMonitor live-server exists");
  await child(RULES, ns);
  expect((await stage.get(MONITOR, ns))?.spec).toMatchObject({ selector: theirs.selector });
  expect(await stage.condition("nexuscluster/live", ns, "Stalled")).toBeUndefined();
});

test("an operator that starts again writes nothing", async () => {
  await settled(stage);
  await operator[Symbol.asyncDispose]();
  const before = (await stage.writes()).length;
  operator = await stage.operator();
  await eventually("it leads", async () => (await fetch(`${operator.url}/metrics`)).ok);
  await stage.kubectl("annotate", "nexuscluster/live", "-n", "early", "touched=1");
  expect((await settled(stage)).slice(before).map(textOf)).toEqual([]);
});
