// Why: links hold uids for ever, Grafana lays panels over each other without a word, and a dashboard that differs from run to run
// is written again and again.
import { expect, test } from "bun:test";
import { drawing } from "@nexus/operator/desired/monitoring/dashboards/draw.ts";
import { placed } from "@nexus/operator/desired/monitoring/dashboards/grid.ts";
import type { Dashboard, Panel } from "@nexus/operator/desired/monitoring/dashboards/model.ts";
import { share } from "@nexus/operator/desired/monitoring/dashboards/promql.ts";
import { dashboardFile, renderDashboard } from "@nexus/operator/desired/monitoring/dashboards/render.ts";
import { clusterUid } from "@nexus/operator/desired/monitoring/dashboards/scope.ts";
import { clusterDashboards, fixedDashboards } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { SCRAPE_SECONDS } from "@nexus/operator/desired/monitoring/pod-monitor.ts";
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import { isAlert } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { ServerMetricRow } from "@nexus/server/adapters/metrics/row.ts";
import { METRICS } from "@nexus/server/adapters/metrics-table.ts";
import { SAMPLES } from "../../../scripts/check/monitoring/samples.ts";

const sample = (wanted: string): NexusCluster => {
  const found = SAMPLES.find(({ metadata }) => metadata.name === wanted);
  if (!found) throw new Error(`there is no sample ${wanted}`);
  return found;
};
const [FULL, LEAN] = [sample("full"), sample("lean")];
const all: readonly Dashboard[] = [...SAMPLES.flatMap(clusterDashboards), ...fixedDashboards()];
const panelsOf = ({ rows }: Dashboard): readonly Panel[] => rows.flatMap(({ panels }) => panels);
const named = (namespace: string, name: string): NexusCluster => ({ ...FULL, metadata: { ...FULL.metadata, namespace, name } });

test("a fleet with Redis has three pages, one without has two", () => {
  expect(clusterDashboards(FULL).map(({ file }) => file)).toEqual(["nexus-cluster", "nexus-tenants", "nexus-redis"]);
  expect(clusterDashboards(LEAN).map(({ file }) => file)).toEqual(["nexus-cluster", "nexus-tenants"]);
});

test("no two dashboards share a uid, and none is too long, whatever fleets are called", () => {
  const long = "x".repeat(63);
  const others = [named("a", "b-c"), named("a-b", "c"), named("a", "b"), named(long, `${long}1`), named(long, `${long}2`)];
  const uids = [...all, ...others.flatMap(clusterDashboards)].map(({ uid }) => uid);
  expect(new Set(uids).size).toBe(uids.length);
  for (const uid of uids) expect(uid).toMatch(/^[a-z0-9-]{8,40}$/);
});

test("uids are kept for ever", () => {
  expect(clusterUid(named("shop", "live"), "cluster")).toBe("nexus-cluster-c4232729608cbef7");
  expect(fixedDashboards().map(({ uid }) => uid)).toEqual(["nexus-overview", "nexus-operator"]);
});

test("the same fleet gives the same bytes, and only its own", () => {
  for (const fleet of SAMPLES) {
    const texts = clusterDashboards(fleet).map((one) => dashboardFile(one).text);
    expect(clusterDashboards(structuredClone(fleet)).map((one) => dashboardFile(one).text)).toEqual(texts);
    for (const text of texts) expect(text).toContain(`"query": ${JSON.stringify(fleet.metadata.name)}`);
  }
});

test("what a fleet ships fits into one ConfigMap beside everything else of it", () => {
  const bytes = clusterDashboards(FULL).reduce((sum, one) => sum + Buffer.byteLength(dashboardFile(one).text), 0);
  expect(bytes).toBeLessThan(512 * 1024);
});

test("no panel lies over another one, or leaves the page", () => {
  const lying = all.flatMap((one) => {
    const places = placed(one.rows).flatMap(({ row, gridPos, panels }) => [
      ...[gridPos],
      ...(row.collapsed ? [] : panels.map((panel) => panel.gridPos)),
    ]);
    const taken = new Set<string>();
    return places.flatMap(({ x, y, w, h }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`).filter((cell) => {
        const isWrong = taken.has(cell) || Number(cell.split(",")[0]) >= 24;
        taken.add(cell);
        return isWrong;
      }),
    );
  });
  expect(lying).toEqual([]);
});

test("a panel that does not fit begins a new line below the highest one, and a closed row takes one line", () => {
  const panel = (width: number, height: number) => ({ width, height, kind: "timeseries" }) as Panel; // only what is placed
  const rows = [
    { title: "a", panels: [panel(12, 4), panel(12, 8), panel(6, 3)], collapsed: true },
    { title: "b", panels: [panel(20, 5), panel(6, 2)] },
  ];
  expect(placed(rows).map(({ id, gridPos, panels }) => ({ id, y: gridPos.y, panels: panels.map((one) => [one.id, one.gridPos]) }))).toEqual(
    [
      {
        ...{ id: 1, y: 0 },
        panels: [
          [2, { x: 0, y: 1, w: 12, h: 4 }],
          [3, { x: 12, y: 1, w: 12, h: 8 }],
          [4, { x: 0, y: 9, w: 6, h: 3 }],
        ],
      },
      {
        ...{ id: 5, y: 1 },
        panels: [
          [6, { x: 0, y: 2, w: 20, h: 5 }],
          [7, { x: 0, y: 7, w: 6, h: 2 }],
        ],
      },
    ],
  );
});

test("every panel says what to look for, and every line has a name", () => {
  const poor = all.flatMap((one) =>
    panelsOf(one)
      .filter(
        ({ description, queries }) => description.length < 25 || queries.length === 0 || queries.some(({ legend }) => legend.trim() === ""),
      )
      .map(({ title }) => `${one.title}: ${title}`),
  );
  expect(poor).toEqual([]);
});

test("titles tell panels of a row apart, unless they draw the same thing in two ways", () => {
  const same = all.flatMap((one) =>
    one.rows.flatMap(({ panels }) => {
      const titles = panels.map(({ kind, title }) => `${kind} ${title}`);
      return titles.filter((title, index) => titles.indexOf(title) !== index).map((title) => `${one.title}: ${title}`);
    }),
  );
  expect(same).toEqual([]);
});

test("numbers that show a rate have a unit of something a second", () => {
  const wrong = all.flatMap((one) =>
    panelsOf(one)
      .filter(({ kind, unit, queries }) => {
        if (kind === "table" || kind === "heatmap") return false;
        const isRate = queries.every(({ expr }) => /^(topk\(10, )?sum[^/]*\brate\(/.test(expr) && !expr.includes("process_cpu"));
        const isCount = ["short", "none", "bytes"].includes(unit);
        return isRate && isCount;
      })
      .map(({ title }) => `${one.title}: ${title}`),
  );
  expect(wrong).toEqual([]);
});

const stat = (thresholds: Panel["thresholds"]): Panel => ({
  ...{ kind: "stat", title: "t", description: "d", unit: "short", width: 4, queries: [{ expr: "up", legend: "up" }] },
  ...(thresholds ? { thresholds } : {}),
});

test("thresholds turn red at the error, from whichever side it lies", () => {
  const steps = (thresholds: Panel["thresholds"]) => drawing(stat(thresholds)).fieldConfig;
  expect(steps({ warning: 1, error: 2 })).toMatchObject({
    defaults: {
      thresholds: {
        steps: [
          { color: "green", value: null },
          { color: "yellow", value: 1 },
          { color: "red", value: 2 },
        ],
      },
    },
  });
  expect(steps({ warning: 0.5, error: 0.1 })).toMatchObject({
    defaults: {
      thresholds: {
        steps: [
          { color: "red", value: null },
          { color: "yellow", value: 0.1 },
          { color: "green", value: 0.5 },
        ],
      },
    },
  });
});

test("numbers of one stat can be judged apart, and a warning never looks like more", () => {
  const alerts: Panel = {
    ...stat(undefined),
    queries: [
      { expr: "a", legend: "critical", thresholds: { warning: 1, error: 1 } },
      { expr: "b", legend: "warning", thresholds: { warning: 1 } },
    ],
  };
  const colours = (value: object) => ({ id: "thresholds", value: expect.objectContaining(value) });
  expect(drawing(alerts).fieldConfig).toMatchObject({
    overrides: [
      {
        matcher: { id: "byFrameRefID", options: "A" },
        properties: [colours({ steps: expect.arrayContaining([{ color: "red", value: 1 }]) })],
      },
      {
        matcher: { id: "byFrameRefID", options: "B" },
        properties: [
          colours({
            steps: [
              { color: "green", value: null },
              { color: "yellow", value: 1 },
            ],
          }),
        ],
      },
    ],
  });
});

test("what is critical stands on top of the alerts", () => {
  const table = panelsOf(clusterDashboards(FULL)[0] as Dashboard).find(({ title }) => title === "Alerts that fire");
  expect(drawing(table as Panel).options).toMatchObject({ sortBy: [{ displayName: "Severity", desc: false }] }); // critical, info, warning
});

test("a table has the columns it names, in their order, and one per query", () => {
  const table: Panel = {
    ...{ kind: "table", title: "t", description: "d", unit: "short", width: 24 },
    columns: { tenant: "Tenant" },
    sort: { by: "Sessions", first: "largest" },
    queries: [
      { expr: "a", legend: "Sessions" },
      { expr: "b", legend: "Published" },
    ],
    values: { Published: { unit: "mps" } },
  };
  expect(drawing(table).transformations?.at(-1)).toEqual({
    id: "organize",
    options: {
      excludeByName: {},
      indexByName: { tenant: 0, "Value #A": 1, "Value #B": 2 },
      renameByName: { tenant: "Tenant", "Value #A": "Sessions", "Value #B": "Published" },
    },
  });
  expect(drawing(table).fieldConfig).toMatchObject({
    overrides: [{ matcher: { id: "byName", options: "Published" }, properties: [{ id: "unit", value: "mps" }] }],
  });
});

test("no panel has more queries than Grafana has letters", () => {
  expect(Math.max(...all.flatMap(panelsOf).map(({ queries }) => queries.length))).toBeLessThanOrEqual(26);
});

test("a fleet in memory is shown nothing that only Redis or PostgreSQL has", () => {
  const text = clusterDashboards(LEAN)
    .flatMap(panelsOf)
    .flatMap(({ queries }) => queries.map(({ expr }) => expr))
    .join("\n");
  const others = Object.entries<ServerMetricRow>(METRICS).flatMap(([name, { only }]) => (only ? [name] : []));
  expect(others.length).toBeGreaterThan(20);
  expect(others.filter((name) => text.includes(name))).toEqual([]);
});

test("every alert has a panel that shows what it is about, and no panel names an alert there is not", () => {
  const rules = [...SAMPLES.flatMap(clusterRules), ...operatorRules({ job: "a" })].flatMap((group) => group.rules);
  const alerts = rules.flatMap((rule) => (isAlert(rule) ? [rule.name] : []));
  const linked = all.flatMap(panelsOf).flatMap((panel) => panel.alerts ?? []);
  // An alert without a panel: add its name to `alerts` of the panel with its series.
  expect([...new Set(linked)].sort()).toEqual([...new Set(alerts)].sort());
});

test("a rate always sees several scrapes, whatever Grafana was told of its data source", () => {
  const targets = all.flatMap((one) => JSON.stringify(renderDashboard(one)).match(/"expr":/g) ?? []);
  const steps = all.flatMap((one) => JSON.stringify(renderDashboard(one)).match(/"interval":"30s"/g) ?? []);
  expect(steps.length).toBe(targets.length);
  expect(SCRAPE_SECONDS).toBe(30);
});

test("runbooks are linked where they are published", () => {
  const text = JSON.stringify(renderDashboard(fixedDashboards()[1] as Dashboard, "https://wiki.example/nexus/"));
  expect(text).toContain('"https://wiki.example/nexus/NexusOperatorHasNoLeader"');
  expect(text).not.toContain("nexus.dev/runbooks");
});

test("a share is of sums, by whom it is asked", () => {
  expect(share("a", "b")).toBe("(sum (rate(a[$__rate_interval])) or vector(0)) / (sum (rate(b[$__rate_interval])) > 0)");
  expect(share("a", "b", "pod")).toBe(
    "(sum by (pod) (rate(a[$__rate_interval])) or 0 * sum by (pod) (rate(b[$__rate_interval]))) / (sum by (pod) (rate(b[$__rate_interval])) > 0)",
  );
});
