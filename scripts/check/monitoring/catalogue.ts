// Why: which time series there can be at all, with their labels, so that a rule or a panel which names another one is found by
// reading it. Made from the tables of the registries; Prometheus' own series are a short list here. Pure.

export type MetricType = "counter" | "gauge" | "histogram";

/** One metric as a registry exports it. `values`: what a label can say, where that is a closed list. */
export type Metric = {
  readonly name: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Labels that scraping adds: those of a fleet's PodMonitor, or those of the operator's. */
  readonly target: "server" | "operator" | "both";
};

/** Labels that every series of a name has, and those some may have. */
export type Labels = { readonly always: ReadonlySet<string>; readonly possible: ReadonlySet<string> };

/** One name that can stand in an expression. `labels`: undefined when nobody knows. */
export type Series = {
  readonly labels: Labels | undefined;
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** What `rate` may be taken of; `recorded`: a rule's result, of which nobody says. */
  readonly type: "counter" | "gauge" | "recorded";
};

export type Catalogue = ReadonlyMap<string, Series>;

/** What prometheus-operator gives each series of a PodMonitor. */
const SCRAPED = ["namespace", "pod", "container", "endpoint", "job", "instance"];
const TARGET_LABELS = {
  server: [...SCRAPED, "nexus_cluster"],
  operator: SCRAPED,
  both: [...SCRAPED, "nexus_cluster"],
} as const;

/** Series that Prometheus makes of each scrape itself. */
const OF_PROMETHEUS: readonly Metric[] = ["up", "scrape_duration_seconds", "scrape_samples_scraped"].map((name) => ({
  ...{ name, type: "gauge", labels: [], target: "both" },
}));

/** Series that Prometheus makes of alerts; they have the labels of the alert, so nothing is known of them. */
const OF_ALERTS = ["ALERTS", "ALERTS_FOR_STATE"];

/** Every name an expression may use for `metrics` and for what Prometheus adds; a histogram is three, and not one under its own name. */
export function catalogueOf(metrics: readonly Metric[]): Map<string, Series> {
  const found = new Map<string, Series>();
  for (const name of OF_ALERTS) found.set(name, { labels: undefined, values: {}, type: "gauge" });
  for (const { name, type, labels, values = {}, target } of [...OF_PROMETHEUS, ...metrics]) {
    const always = new Set([...labels, ...(target === "both" ? SCRAPED : TARGET_LABELS[target])]);
    const possible = new Set([...labels, ...TARGET_LABELS[target]]);
    const add = (series: string, kind: Series["type"], more: readonly string[] = []) =>
      found.set(series, {
        labels: { always: new Set([...always, ...more]), possible: new Set([...possible, ...more]) },
        values,
        type: kind,
      });
    if (type === "histogram") {
      add(`${name}_bucket`, "counter", ["le"]);
      add(`${name}_sum`, "counter");
      add(`${name}_count`, "counter");
    } else add(name, type);
  }
  return found;
}
