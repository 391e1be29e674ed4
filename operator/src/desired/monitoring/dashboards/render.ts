// Why: a dashboard as Grafana's file provisioning, its API and the sidecar take it: the classic JSON model, one source for the
// chart's files and for the operator's ConfigMaps. Pure: the same dashboard gives the same bytes, and nothing in it is Grafana's
// own (`id`, `version`), so that Grafana's copy is only replaced when ours has changed.
import { SCRAPE_SECONDS } from "../pod-monitor.ts";
import { RUNBOOK_BASE_URL, runbookURL } from "../rules/render.ts";
import { drawing, refId } from "./draw.ts";
import { type Placed, type PlacedRow, placed } from "./grid.ts";
import type { Dashboard, Link, Panel, Variable } from "./model.ts";

/** Of Grafana 11.0: newer ones read it and bring it up to date themselves. */
const SCHEMA_VERSION = 39;

/** The data source a person chooses at the top; the default one at first. */
export const DATASOURCE = { type: "prometheus", uid: "$datasource" } as const;

type Json = Readonly<Record<string, unknown>>;

/** The dashboard's file: its name, and its text with a newline at the end. `runbooks`: see {@link RUNBOOK_BASE_URL}. */
export function dashboardFile(dashboard: Dashboard, runbooks: string = RUNBOOK_BASE_URL): { readonly name: string; readonly text: string } {
  return { name: `${dashboard.file}.json`, text: `${JSON.stringify(renderDashboard(dashboard, runbooks), undefined, 1)}\n` };
}

/** The dashboard as a value. */
export function renderDashboard(dashboard: Dashboard, runbooks: string = RUNBOOK_BASE_URL): Json {
  const { uid, title, description, tags, variables, links, rows } = dashboard;
  return {
    uid,
    title,
    description,
    tags: [...tags],
    timezone: "browser",
    editable: true,
    graphTooltip: 1, // one crosshair in all panels: what happened at that time elsewhere
    schemaVersion: SCHEMA_VERSION,
    time: { from: "now-1h", to: "now" },
    refresh: "30s",
    annotations: { list: [] },
    links: links.map(topLink),
    templating: { list: [SOURCE, ...variables.map(variable)] },
    panels: placed(rows).flatMap((row) => renderRow(row, runbooks)),
  };
}

function renderRow({ row, id, gridPos, panels }: PlacedRow, runbooks: string): readonly Json[] {
  const drawn = panels.map((panel) => renderPanel(panel, runbooks));
  const head = { type: "row", id, title: row.title, collapsed: row.collapsed === true, gridPos };
  return row.collapsed ? [{ ...head, panels: drawn }] : [{ ...head, panels: [] }, ...drawn];
}

function renderPanel({ panel, id, gridPos }: Placed, runbooks: string): Json {
  const { title, description, kind, queries, alerts = [] } = panel;
  return {
    type: kind,
    id,
    title,
    description,
    datasource: DATASOURCE,
    gridPos,
    ...drawing(panel),
    ...(alerts.length > 0 ? { links: alerts.map((alert) => link(`Runbook: ${alert}`, runbookURL(runbooks, alert), true)) } : {}),
    targets: queries.map(({ expr, legend }, index) => ({
      datasource: DATASOURCE,
      editorMode: "code",
      interval: MIN_STEP,
      expr,
      refId: refId(index),
      ...mode(kind, legend),
    })),
  };
}

/**
 * Grafana's "min step", of which `$__rate_interval` is at least four: with a data source that was told nothing it would be a
 * minute, in which a rate of what is scraped each 30 s comes and goes.
 */
const MIN_STEP = `${SCRAPE_SECONDS}s`;

/** Tables show now; lines show the window. */
const mode = (kind: Panel["kind"], legend: string): Json => {
  if (kind === "table") return { format: "table", instant: true, range: false, legendFormat: legend };
  return { format: kind === "heatmap" ? "heatmap" : "time_series", instant: false, range: true, legendFormat: legend };
};

const link = (title: string, url: string, targetBlank: boolean) => ({
  type: "link",
  title,
  url,
  icon: "external link",
  tooltip: "",
  tags: [],
  asDropdown: false,
  includeVars: false,
  keepTime: !targetBlank,
  targetBlank,
});

const topLink = (to: Link): Json =>
  "url" in to ? link(to.title, to.url, false) : { ...link(to.title, "", false), type: "dashboards", tags: [to.tag], asDropdown: true };

const SOURCE: Json = { type: "datasource", name: "datasource", label: "Prometheus", query: "prometheus", hide: 0, refresh: 1, regex: "" };

function variable(given: Variable): Json {
  const { name } = given;
  if ("constant" in given) return { type: "constant", name, query: given.constant, hide: 2, skipUrlSync: true };
  const query = `label_values(${given.query}, ${given.values})`;
  return {
    type: "query",
    name,
    label: given.label,
    datasource: DATASOURCE,
    query: { query, refId: `variable-${name}` },
    definition: query,
    refresh: 2, // with the time range: a tenant of last week is offered where last week is looked at
    sort: 1,
    regex: "",
    hide: 0,
    multi: true,
    includeAll: true,
    ...(given.all ? { allValue: given.all } : {}),
    current: { text: ["All"], value: ["$__all"] },
  };
}
