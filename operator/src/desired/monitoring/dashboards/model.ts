// Why: dashboards as data, in few words: rows of panels, each with queries, a unit and legends. What Grafana wants besides is
// added in one place, so that no panel can be without unit or legend. Pure.

/** Units as Grafana names them, and only these: `mps` messages, `reqps` requests, `cps` anything else a second; `short` a count. */
export type Unit = "short" | "none" | "percentunit" | "s" | "bytes" | "mps" | "reqps" | "cps";

export type Query = {
  /** PromQL. Variables of the dashboard and `$__rate_interval` are filled in by Grafana (and by the tests). */
  readonly expr: string;
  /** Grafana's legend format, `{{pod}}`; in a table the heading of the value's column. Never empty. */
  readonly legend: string;
  /** Why no series is well, in words: nothing of the kind has happened. The tests ask then only that Prometheus can run it. */
  readonly mayBeEmpty?: string;
  /** Of a number in a stat: others than the panel's. */
  readonly thresholds?: Thresholds;
};

/** Values from which it is drawn as a warning, and as an error. Where `error` is the smaller one, small values are bad. */
export type Thresholds = { readonly warning: number; readonly error?: number };

/** What a number is called, `{ 2: "open" }`, and how bad it is. */
export type Word = { readonly text: string; readonly color?: Color };
export type Color = "green" | "yellow" | "red" | "blue" | "text";

type AnyPanel = {
  readonly title: string;
  /** What is shown and what to look for: one or two sentences. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width: number;
  /** Rows of 30 pixels. */
  readonly height?: number;
  readonly thresholds?: Thresholds;
  readonly words?: Readonly<Record<number, Word>>;
  /** Digits after the point; Grafana chooses when absent. */
  readonly decimals?: number;
  /** Alerts that are about this: their pages are linked from the panel. */
  readonly alerts?: readonly string[];
};

export type Panel = AnyPanel &
  (
    | { readonly kind: "timeseries"; readonly stacked?: boolean; readonly max?: number }
    | { readonly kind: "stat" }
    | { readonly kind: "heatmap" }
    | {
        readonly kind: "table";
        /** Headings of the labels that are shown, in their order; a label that is not here has no column. */
        readonly columns: Readonly<Record<string, string>>;
        /** Heading by which it is sorted at first. */
        readonly sort: { readonly by: string; readonly first: "largest" | "smallest" };
        /** Units, thresholds and words of columns that have other ones than the panel, by the query's legend. */
        readonly values?: Readonly<
          Record<string, { readonly unit?: Unit; readonly thresholds?: Thresholds; readonly words?: Panel["words"] }>
        >;
        /** Where a click on a label leads; the url holds Grafana's `${__value.raw}` or `${__data.fields["Heading"]}`. */
        readonly links?: Readonly<Record<string, { readonly title: string; readonly url: string }>>;
      }
  );

export type Row = {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Closed at first: for whoever looks for the cause, not for whoever asks whether something is wrong. */
  readonly collapsed?: boolean;
};

/**
 * `query`: PromQL for Grafana's `label_values(…)`, of which the values of label `values` are offered; several can be chosen.
 * `all`: what "All" stands for where the label itself says that a series is ours; never `.*`, which matches those without it.
 * Without it "All" is exactly what is offered.
 */
export type Variable =
  | { readonly name: string; readonly label: string; readonly query: string; readonly values: string; readonly all?: ".+" }
  | { readonly name: string; readonly constant: string };

/** A link at the top. `tag`: a list of all dashboards that have it. */
export type Link = { readonly title: string; readonly url: string } | { readonly title: string; readonly tag: string };

export type Dashboard = {
  /** Of at most 40 characters, the same for ever: links hold it. */
  readonly uid: string;
  /** Name of the file, without `.json`; of letters, digits and `-`. */
  readonly file: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly variables: readonly Variable[];
  readonly links: readonly Link[];
  readonly rows: readonly Row[];
};
