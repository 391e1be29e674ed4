// Why: PodMonitors and PrometheusRules are for prometheus-operator, so it is asked: the real program reads what the operator and the
// chart made, must refuse nothing, and the files it writes for a Prometheus must be right and whole. Compiling it costs more than
// the rest of a tier, so `npm test` leaves this out: `npm test -- --tier prometheus-operator`, and every night.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { ensurePackages } from "../support/apt.ts";
import { unavailableBinaries } from "../support/cluster/binaries.ts";
import { unavailableControlPlane } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { openHelm, WITH_PROMETHEUS } from "../support/helm.ts";
import { installPublished } from "../support/kube/published-crds.ts";
import { type Pod, type PodMonitor, targetsOf } from "../support/monitoring/discovery.ts";
import {
  configurationOf,
  type PrometheusOperator,
  READ_BY_IT,
  ruleFilesOf,
  startPrometheusOperator,
} from "../support/monitoring/prometheus-operator.ts";
import { promtool, withFolder } from "../support/monitoring/promtool.ts";
import { relabeled, withoutKubernetes } from "../support/monitoring/relabeled.ts";
import { type Stage, settled, startStage, textOf } from "../support/operator.ts";
import { cluster } from "../support/resources.ts";

setDefaultTimeout(90_000);

const missing =
  (await unavailableControlPlane()) ?? unavailableBinaries(["prometheus-operator", "helm"]) ?? (await ensurePackages(["prometheus"]));
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

const SELECTED = { release: "people" };
const FLEET = { namespace: "shop", name: "live-server" };
const RELEASE = { namespace: "nexus-system", name: "nexus-operator" };

const running = (pod: Pod, podIP: string): Pod => ({ ...pod, status: { phase: "Running", podIP } });

/** Takes what has the label, from everywhere. `version`: that of the promtool that judges (Debian 12's). */
const PROMETHEUS = {
  apiVersion: "monitoring.coreos.com/v1",
  kind: "Prometheus",
  metadata: { name: "people", namespace: "monitoring" },
  spec: {
    ...{ version: "v2.42.0", replicas: 1 },
    ...{ podMonitorSelector: { matchLabels: SELECTED }, podMonitorNamespaceSelector: {} },
    ...{ ruleSelector: { matchLabels: SELECTED }, ruleNamespaceSelector: {} },
  },
};

describe.skipIf(missing !== undefined)("prometheus-operator", () => {
  let stage: Stage;
  let nexus: RunningOperator & AsyncDisposable;
  let theirs: PrometheusOperator;

  beforeAll(async () => {
    stage = await startStage();
    await installPublished(stage.plane, "newest", READ_BY_IT);
    for (const name of ["shop", "monitoring"]) await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    using helm = await openHelm();
    const rendered = await helm.render({ monitoring: { labels: SELECTED } }, ...WITH_PROMETHEUS);
    await stage.plane.apply([PROMETHEUS, ...rendered.filter(({ apiVersion }) => apiVersion.startsWith("monitoring."))]);
    nexus = await stage.operator();
    await stage.plane.apply(cluster("shop", "live", { monitoring: { labels: SELECTED } }));
    await stage.plane.apply(cluster("shop", "other", { monitoring: { podMonitor: "Disabled", rules: "Disabled" } }));
    theirs = await startPrometheusOperator(stage);
  }, 400_000);
  afterAll(async () => {
    await theirs?.[Symbol.asyncDispose]();
    await nexus?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  const counted = (resource: "PodMonitor" | "PrometheusRule", want: { readonly selected: number; readonly rejected: number }) =>
    eventually(
      `${resource}: ${JSON.stringify(want)}`,
      async () => {
        const counts = await theirs.counts(resource);
        if (!Bun.deepEquals(counts, want)) throw new Error(`${JSON.stringify(counts)}\n${(await theirs.log()).slice(-2_000)}`);
        return true;
      },
      { timeoutMs: 30_000 },
    );
  const configuration = () =>
    eventually("both jobs", async () => {
      const made = await configurationOf(stage, "monitoring", "people");
      return made?.scrape_configs.length === 2 ? made : undefined;
    });
  /** One pod of `live`, one of `other`, as if they ran. */
  const podsOfFleets = async (): Promise<readonly [Pod, Pod] | undefined> => {
    const { items } = JSON.parse(await stage.kubectl("get", "pods", "-n", "shop", "-o", "json")) as { readonly items: readonly Pod[] }; // kubectl's list
    const [live, other] = ["live", "other"].map((name) => items.find(({ metadata }) => metadata.name.startsWith(`${name}-server-`)));
    return live && other && [running(live, "10.0.0.1"), running(other, "10.0.0.2")];
  };
  const groupsOf = async ({ namespace, name }: { readonly namespace: string; readonly name: string }) =>
    ((await stage.get(`prometheusrule/${name}`, namespace))?.spec?.groups ?? []) as readonly RenderedGroup[]; // ours

  test("takes what the operator and the chart made, refuses none of it, and says so on the objects", async () => {
    await counted("PodMonitor", { selected: 2, rejected: 0 });
    await counted("PrometheusRule", { selected: 2, rejected: 0 });
    for (const { namespace, name } of [FLEET, RELEASE])
      for (const resource of ["podmonitor", "prometheusrule"]) {
        const path = "jsonpath={.status.bindings[*].conditions[*].type}={.status.bindings[*].conditions[*].status}";
        const told = () => stage.kubectl("get", resource, name, "-n", namespace, "-o", path);
        await eventually(`${resource} ${name} is accepted`, async () => (await told()) === "Accepted=True");
      }
    const events = await stage.kubectl("get", "events", "-A", "--field-selector=reason=InvalidConfiguration", "-o", "name");
    expect(events.trim()).toBe("");
  });

  test("writes a configuration that promtool takes, with a job for the fleet and one for the operator", async () => {
    const { scrape_configs: jobs, ...rest } = await configuration();
    expect(jobs.map(({ job_name }) => job_name).sort()).toEqual([
      "podMonitor/nexus-system/nexus-operator/0",
      "podMonitor/shop/live-server/0",
    ]);
    await withFolder(async (folder) => {
      const file = join(folder, "prometheus.json");
      await Bun.write(file, withoutKubernetes({ scrape_configs: jobs, ...rest }));
      expect(await promtool(["check", "config", file])).toMatchObject({ isOk: true });
    });
  });

  test("its jobs keep the pods they are for, of all others none, and give series the names that rules and panels select by", async () => {
    const { scrape_configs: jobs } = await configuration();
    const fleet = jobs.find(({ job_name }) => job_name === "podMonitor/shop/live-server/0");
    expect(fleet).toMatchObject({ scrape_interval: "30s", metrics_path: "/metrics" });
    expect(fleet?.kubernetes_sd_configs).toMatchObject([{ role: "pod", namespaces: { names: ["shop"] } }]);
    const pods = await eventually("a pod of each fleet", podsOfFleets);
    const found = fleet && (await relabeled(fleet, pods));
    const [live] = pods;
    const named = { nexus_cluster: "live", namespace: "shop", pod: live.metadata.name, container: "server", endpoint: "ops" };
    const kept = [...(found ?? [])].filter(([, labels]) => labels !== undefined);
    expect(kept).toEqual([["10.0.0.1:9090", { ...named, job: "shop/live-server" }]]);
    expect(found?.size).toBeGreaterThan(3); // its other ports, and those of the other fleet
    // And those tests that have no prometheus-operator read a PodMonitor as it does.
    const monitor = (await stage.get("podmonitor/live-server", "shop")) as unknown as PodMonitor; // ours, as it is served
    const [ours] = targetsOf(monitor, pods);
    expect(ours).toMatchObject({ address: "10.0.0.1:9090", labels: { ...named, job: "shop/live-server" } });

    // The chart's rules select the operator by its job.
    const release = jobs.find(({ job_name }) => job_name === "podMonitor/nexus-system/nexus-operator/0");
    expect(release?.relabel_configs).toContainEqual(
      expect.objectContaining({ target_label: "job", replacement: "nexus-system/nexus-operator" }),
    );
  });

  test("writes rule files that promtool takes, with every rule as it was made", async () => {
    const files = await eventually("both files", async () => {
      const found = await ruleFilesOf(stage, "monitoring", "people");
      return found.size === 2 ? found : undefined;
    });
    for (const { namespace, name } of [FLEET, RELEASE]) {
      const [file, made] = [...files].find(([path]) => path.startsWith(`${namespace}-${name}-`)) ?? [];
      if (file === undefined || made === undefined) throw new Error(`no file of ${namespace}/${name} in ${[...files.keys()]}`);
      const groups = await groupsOf({ namespace, name });
      expect(groups.flatMap(({ rules }) => rules).length).toBeGreaterThan(20);
      expect(made.parsed.groups).toEqual([...groups]);
      await withFolder(async (folder) => {
        await Bun.write(join(folder, file), made.text);
        const verdict = await promtool(["check", "rules", join(folder, file)]);
        expect(verdict).toMatchObject({ isOk: true });
        expect(verdict.output).toContain(`${groups.flatMap(({ rules }) => rules).length} rules found`);
      });
    }
  });

  test("what it writes on our objects is nothing to our operator", async () => {
    const ofMonitoring = (await settled(stage)).map(textOf).filter((text) => /podmonitors|prometheusrules/.test(text));
    expect(ofMonitoring).toHaveLength(2); // each made once
    expect((await stage.until("nexuscluster/live", "shop", { type: "MonitoringReady" })).reason).toBe("Reconciled");
    expect(await stage.condition("nexuscluster/live", "shop", "Drift")).toBeUndefined();
  });

  test("a rule that is wrong is refused and counted, alone: so the counts above mean something", async () => {
    const metadata = { name: "wrong", namespace: "shop", labels: SELECTED };
    const spec = { groups: [{ name: "wrong", rules: [{ alert: "Wrong", expr: "sum(" }] }] };
    await stage.plane.apply({ apiVersion: "monitoring.coreos.com/v1", kind: "PrometheusRule", metadata, spec });
    await counted("PrometheusRule", { selected: 3, rejected: 1 });
  });
});
