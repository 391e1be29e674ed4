// Why: the real world for the checks: tables of the registries, rules and dashboards as they are rendered, pages as they lie in
// the tree. It must never build a second copy of any of these.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { COMMAND_NAMES } from "@nexus/cli/main.ts";
import { clusterDashboards, fixedDashboards } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { clusterMatchers, clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { RUNBOOK_BASE_URL, renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { OPERATOR_METRICS, OPERATOR_RUNTIME_METRICS } from "@nexus/operator/kube/metrics-table.ts";
import { OPERATOR_EVENTS } from "@nexus/operator/loop/log-events.ts";
import type { MetricRow } from "@nexus/protocol/metric-row.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { METRICS, RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";
import { SERVER_EVENTS } from "@nexus/server/core/log-events.ts";
import { Glob } from "bun";
import { parse } from "yaml";

import { ALERT_CASES } from "../../../test/monitoring/rules/cases/index.ts";
import type { Metric } from "./catalogue.ts";
import { fieldPaths, settingNames } from "./fields.ts";
import type { Pages } from "./links.ts";
import { SAMPLES } from "./samples.ts";
import type { RuleFile, World } from "./world.ts";

const metricOf =
  (target: Metric["target"]) =>
  ([name, { type, labels = {} }]: readonly [string, MetricRow]): Metric => ({
    ...{ name, type, target },
    labels: Object.keys(labels),
    values: Object.fromEntries(
      Object.entries(labels).filter((entry): entry is [string, readonly string[]] => typeof entry[1] !== "string"),
    ),
  });

/** What servers and operator export; the runtime's metrics are exported by both. */
export function exportedMetrics(): readonly Metric[] {
  const runtime = Object.entries(RUNTIME_METRICS);
  const both = new Set<string>(OPERATOR_RUNTIME_METRICS);
  return [
    ...Object.entries<MetricRow>(METRICS).map(metricOf("server")),
    ...Object.entries<MetricRow>(OPERATOR_METRICS).map(metricOf("operator")),
    ...runtime.map((entry) => metricOf(both.has(entry[0]) ? "both" : "server")(entry)),
  ];
}

const JOB = { job: "nexus-system/nexus" };

/** An alert of the operator is about one cluster, or about none. */
const OF_SOME_CLUSTER: RuleFile["routing"] = { labels: ["nexus_namespace", "nexus_cluster"], always: false };

const rulesOf = (cluster: NexusCluster): RuleFile => ({
  from: `rules of cluster "${cluster.metadata.name}"`,
  groups: renderGroups(clusterRules(cluster)),
  scope: clusterMatchers(cluster),
  routing: { labels: Object.keys(clusterMatchers(cluster)), always: true },
});

const CHART_RULES = "charts/nexus/files/monitoring/rules.yaml";

/** The file the chart ships, with what Helm fills in. */
async function chartRules(root: string): Promise<RuleFile> {
  const text = (await Bun.file(join(root, CHART_RULES)).text()).replaceAll("@JOB@", JOB.job).replaceAll("@RUNBOOKS@", RUNBOOK_BASE_URL);
  const { groups }: { readonly groups: RuleFile["groups"] } = parse(text); // written from RenderedGroup, and compared with it by `generate --check`
  return { from: CHART_RULES, groups, scope: JOB, routing: OF_SOME_CLUSTER };
}

/** Markdown pages of the repository that people read, by path. */
export async function readPages(root: string): Promise<Pages> {
  const found = new Map<string, string>();
  for (const pattern of ["*.md", "docs/**/*.md", "charts/**/*.md", "examples/**/*.md"])
    for await (const path of new Glob(pattern).scan({ cwd: root })) found.set(path, await Bun.file(join(root, path)).text());
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The world of the tree at `root`: pages are read there, the rest is the code's own. */
export async function loadWorld(root: string): Promise<World> {
  return {
    metrics: exportedMetrics(),
    rules: [
      ...SAMPLES.map(rulesOf),
      { from: "rules of the operator", groups: renderGroups(operatorRules(JOB)), scope: JOB, routing: OF_SOME_CLUSTER },
      await chartRules(root),
    ],
    cases: ALERT_CASES,
    dashboards: [...fixedDashboards(), ...SAMPLES.flatMap(clusterDashboards)],
    pages: await readPages(root),
    exists: (path) => existsSync(join(root, path)),
    runbookBase: RUNBOOK_BASE_URL,
    commands: COMMAND_NAMES,
    logEvents: [...Object.keys(SERVER_EVENTS), ...Object.keys(OPERATOR_EVENTS)],
    fields: fieldPaths(),
    settings: settingNames(),
  };
}
