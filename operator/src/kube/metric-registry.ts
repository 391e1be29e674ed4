// Why: makes a registry from a table, so that nothing is counted under a name, or with a label, that the table does not know. Series
// whose labels are closed sets are there from the start, at 0: a first error must be an increase, not a new series.
import type { LabelValues, MetricRow } from "@nexus/protocol/metric-row.ts";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type MetricTable = Readonly<Record<string, MetricRow>>;

type ValueOf<V extends LabelValues> = V extends readonly (infer T extends string)[] ? T : string;
/** The labels of a row with the values they may have. */
export type LabelsOf<R extends MetricRow> = R extends { readonly labels: infer L extends Readonly<Record<string, LabelValues>> }
  ? { readonly [K in keyof L]: ValueOf<L[K]> }
  : Readonly<Record<never, never>>;

type NamesOf<T extends MetricTable, Type extends MetricRow["type"]> = {
  [N in keyof T & string]: T[N]["type"] extends Type ? N : never;
}[keyof T & string];

/** `clear`: nothing is shown until it is set again. */
export type TableGauge<L> = { set(labels: L, value: number): void; clear(): void };

export type TableMetrics<T extends MetricTable> = {
  /** Adds; `by` is 1 when absent. */
  counter<N extends NamesOf<T, "counter">>(name: N): (labels: LabelsOf<T[N]>, by?: number) => void;
  gauge<N extends NamesOf<T, "gauge">>(name: N): TableGauge<LabelsOf<T[N]>>;
  histogram<N extends NamesOf<T, "histogram">>(name: N): (labels: LabelsOf<T[N]>, value: number) => void;
};

/** Every metric of `table` in `registry`; handles are asked for once each. */
export function metricsOf<T extends MetricTable>(table: T, registry: Registry): TableMetrics<T> {
  const made = new Map<string, Counter | Gauge | Histogram>();
  for (const [name, row] of Object.entries(table)) made.set(name, metricOf(name, row, registry));
  const find = <M>(name: string, type: new (...args: never[]) => M): M => {
    const metric = made.get(name);
    if (!(metric instanceof type)) throw new Error(`${name} is no ${type.name}`);
    return metric;
  };
  return {
    counter(name) {
      const metric = find(name, Counter);
      return (labels, by = 1) => metric.inc({ ...labels }, by);
    },
    gauge(name) {
      const metric = find(name, Gauge);
      return { set: (labels, value) => metric.set({ ...labels }, value), clear: () => clear(metric) };
    },
    histogram(name) {
      const metric = find(name, Histogram);
      return (labels, value) => metric.observe({ ...labels }, value);
    },
  };
}

function metricOf(name: string, row: MetricRow, registry: Registry): Counter | Gauge | Histogram {
  const options = { name, help: row.help, labelNames: Object.keys(row.labels ?? {}), registers: [registry] };
  if (row.type === "gauge") return clear(new Gauge(options));
  const known = closedLabels(row);
  if (row.type === "counter") {
    const metric = new Counter(options);
    for (const labels of known) metric.inc(labels, 0);
    return metric;
  }
  const metric = new Histogram({ ...options, buckets: [...(row.buckets ?? [])] });
  for (const labels of known) metric.zero(labels);
  return metric;
}

/** prom-client gives a gauge without labels a 0 of its own. */
function clear(metric: Gauge): Gauge {
  metric.reset();
  metric.remove({});
  return metric;
}

/** Every combination of labels, where all of them are closed sets; none where one is not. */
function closedLabels({ labels = {} }: MetricRow): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [label, values] of Object.entries(labels)) {
    if (typeof values === "string") return [];
    all = all.flatMap((one) => values.map((value) => ({ ...one, [label]: value })));
  }
  return all;
}
