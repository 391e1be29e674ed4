// Why: what is known of a metric before it is counted: server and operator keep theirs in tables of such rows, and their
// registries and the reference page are made from the tables. It must never know how anything is counted.

/** Every value a label can have; or, where those are many, in words where they come from (an API operation, a kind, a cluster). */
export type LabelValues = readonly string[] | string;

export type MetricRow = {
  readonly type: "counter" | "gauge" | "histogram";
  /** One sentence; becomes the HELP line and the reference. */
  readonly help: string;
  /** In the order in which they are shown. Sets are closed: no label has a value that a peer chooses. */
  readonly labels?: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram, in the metric's base unit, rising. */
  readonly buckets?: readonly number[];
};

/** The names of a row's labels. */
export const labelNames = ({ labels }: MetricRow): readonly string[] => Object.keys(labels ?? {});
