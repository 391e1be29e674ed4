// Why: a panel that asks for a series nobody exports stays empty for ever, and nobody knows whether all is well. Every query,
// legend, column and variable is read here. Pure.
import type { Catalogue } from "./catalogue.ts";
import { readExpression } from "./promql/read.ts";
import type { Dashboard, Panel } from "./world.ts";

/** What is wrong with `dashboards`. `alerts`: names of the alerts there are. */
export function complaintsOfDashboards(
  dashboards: readonly Dashboard[],
  catalogue: Catalogue,
  alerts: ReadonlySet<string>,
): readonly string[] {
  return dashboards.flatMap(({ title, variables, rows }) => [
    ...variables.flatMap((variable) =>
      complaintsOfVariable(variable, catalogue).map((what) => `dashboard "${title}", variable ${variable.name} ${what}`),
    ),
    ...rows.flatMap(({ panels }) =>
      panels.flatMap((panel) =>
        complaintsOfPanel(panel, catalogue, alerts).map((what) => `dashboard "${title}", panel "${panel.title}" ${what}`),
      ),
    ),
  ]);
}

function complaintsOfPanel(
  { queries, columns = {}, alerts: linked = [] }: Panel,
  catalogue: Catalogue,
  alerts: ReadonlySet<string>,
): readonly string[] {
  const read = queries.map(({ expr, legend }) => ({ legend, ...readExpression(expr, catalogue) }));
  const legends = read.flatMap(({ legend, labels }) =>
    [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)]
      .map(([, label = ""]) => label)
      .filter((label) => labels && !labels.possible.has(label))
      .map((label) => `has ${label} in its legend, which its query does not give`),
  );
  return [
    ...read.flatMap(({ complaints }) => complaints),
    ...legends,
    ...Object.keys(columns)
      .filter((label) => read.every(({ labels }) => labels && !labels.possible.has(label)))
      .map((label) => `has a column ${label}, which no query of it gives`),
    ...linked.filter((name) => !alerts.has(name)).map((name) => `links to the alert ${name}, which no rule has`),
  ];
}

function complaintsOfVariable(variable: Dashboard["variables"][number], catalogue: Catalogue): readonly string[] {
  if (!("query" in variable)) return [];
  const { labels, complaints } = readExpression(variable.query, catalogue);
  if (!labels || labels.possible.has(variable.values)) return complaints;
  return [...complaints, `lists label ${variable.values}, which its series does not have`];
}
