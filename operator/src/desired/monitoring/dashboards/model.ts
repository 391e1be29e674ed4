// Why: dashboards as data, in few words: rows of panels, each with queries, a unit and legends. What Grafana wants besides is
// added in one place, so that no panel can be without unit or legend. Pure.

export type Unit = "short" | "percentunit" | "s" | "bytes" | "ops" | "reqps" | "cps" | "none" | "dateTimeAsIso";

export type Query = {
  /** PromQL. `$namespace`, `$nexus_cluster` and `$__rate_interval` are filled in by Grafana (and by the tests). */
  readonly expr: string;
  /** Grafana's legend format, `{{pod}}`. Never empty. */
  readonly legend: string;
  /** Empty is well: nothing of the kind has happened. The tests ask only that Prometheus can run it. */
  readonly mayBeEmpty?: boolean;
};

export type Panel = {
  readonly title: string;
  /** What is shown and what to look for: one or two sentences. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "table" | "heatmap";
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width: number;
  readonly height?: number;
  /** Values from which it is drawn as a warning, and as an error. */
  readonly thresholds?: { readonly warning: number; readonly error: number };
};

export type Row = { readonly title: string; readonly panels: readonly Panel[] };

/** `query`: PromQL for Grafana's `label_values(…)`. */
export type Variable =
  | { readonly name: string; readonly label: string; readonly query: string }
  | { readonly name: string; readonly constant: string };

export type Dashboard = {
  /** Of at most 40 characters, the same for ever: links hold it. */
  readonly uid: string;
  readonly title: string;
  readonly tags: readonly string[];
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
};
