// Why: everything the checks compare, as plain data, so that each check can be shown a small world with exactly one fault. Reading
// the real one is load.ts.
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { Metric } from "./catalogue.ts";
import type { Pages } from "./links.ts";

/** Rules as Prometheus gets them. */
export type RuleFile = {
  /** Who gets them, for complaints: "a cluster with everything". */
  readonly from: string;
  readonly groups: readonly RenderedGroup[];
  /** Matchers every selector has to carry: without them a Prometheus of many clusters would mix them. */
  readonly scope: Readonly<Record<string, string>>;
  /** Labels that an alert has all of, or none: what routes match on. `always`: each alert has them. */
  readonly routing: { readonly labels: readonly string[]; readonly always: boolean };
};

/** The four ways in which promtool is asked about each alert; a list or text that is empty counts as missing. */
export const CASES = ["fires", "silent", "boundary", "missing"] as const;
export type AlertCase = { readonly alert: string } & { readonly [K in (typeof CASES)[number]]?: unknown };

/** What is checked of a dashboard: a part of its model, which every dashboard of ours has. */
export type Dashboard = {
  readonly title: string;
  /** `values`: the label whose values are offered. */
  readonly variables: readonly ({ readonly name: string } & (
    | { readonly query: string; readonly values: string }
    | { readonly constant: string }
  ))[];
  readonly rows: readonly { readonly panels: readonly Panel[] }[];
};
export type Panel = {
  readonly title: string;
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
  /** Labels that are columns of a table, and their headings. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Alerts whose pages are linked. */
  readonly alerts?: readonly string[];
};

export type World = {
  readonly metrics: readonly Metric[];
  readonly rules: readonly RuleFile[];
  readonly cases: readonly AlertCase[];
  readonly dashboards: readonly Dashboard[];
  /** Every Markdown page of the repository. */
  readonly pages: Pages;
  /** Whether a path of the repository is a file or a folder. */
  readonly exists: (path: string) => boolean;
  readonly runbookBase: string;
  /** Commands of the CLI, and events of the logs, that pages may name. */
  readonly commands: readonly string[];
  readonly logEvents: readonly string[];
  /** Paths of our resources' fields, and names of the servers' settings. */
  readonly fields: readonly string[];
  readonly settings: readonly string[];
};

export const RUNBOOKS = "docs/runbooks/";
export const REFERENCE = "docs/reference/metrics.md";

/** Names of the pages of alerts; the index of the folder is none. */
export const runbooksOf = ({ pages }: World): readonly string[] =>
  [...pages.keys()].flatMap((path) => {
    const name = path.startsWith(RUNBOOKS) ? path.slice(RUNBOOKS.length).replace(/\.md$/, "") : "";
    return name === "" || name === "README" ? [] : [name];
  });
