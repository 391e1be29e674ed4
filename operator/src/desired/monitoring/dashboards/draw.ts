// Why: how each kind of panel looks in Grafana, decided once: colours by threshold, legends with the numbers people ask for,
// gaps in a line where nobody was scraped. Pure; the words are those of Grafana's dashboard schema.
import type { Panel, Thresholds, Word } from "./model.ts";

type Json = Readonly<Record<string, unknown>>;

/** `fieldConfig` and `options` of a panel, and the transformations a table needs. */
export function drawing(panel: Panel): { readonly fieldConfig: Json; readonly options: Json; readonly transformations?: readonly Json[] } {
  switch (panel.kind) {
    case "timeseries":
      return { fieldConfig: fields(panel, "palette-classic", line(panel)), options: LINES };
    case "stat":
      return { fieldConfig: { ...fields(panel, "thresholds"), overrides: ownThresholds(panel) }, options: STAT };
    case "heatmap":
      return {
        fieldConfig: { defaults: { unit: panel.unit, custom: { scaleDistribution: { type: "linear" } } }, overrides: [] },
        options: heatmap(panel),
      };
    case "table":
      return {
        fieldConfig: { ...fields(panel, "thresholds", CELLS), overrides: overrides(panel) },
        options: tableOptions(panel),
        transformations: join(panel),
      };
    default:
      return panel satisfies never;
  }
}

const fields = (panel: Panel, color: string, custom?: Json) => ({
  defaults: {
    unit: panel.unit,
    ...(panel.decimals === undefined ? {} : { decimals: panel.decimals }),
    ...(panel.kind === "timeseries" && panel.max !== undefined ? { max: panel.max } : {}),
    color: { mode: color },
    mappings: mappings(panel.words),
    thresholds: steps(panel.thresholds),
    ...(custom ? { custom } : {}),
  },
  overrides: [],
});

/** Grafana colours a value like the last step it has reached. */
const steps = (thresholds: Thresholds | undefined) => {
  const at = (color: string, value: number | null) => ({ color, value });
  if (!thresholds) return { mode: "absolute", steps: [at("text", null)] };
  const { warning, error } = thresholds;
  if (error === undefined) return { mode: "absolute", steps: [at("green", null), at("yellow", warning)] };
  return {
    mode: "absolute",
    steps:
      error < warning
        ? [at("red", null), at("yellow", error), at("green", warning)]
        : [at("green", null), at("yellow", warning), at("red", error)],
  };
};

/** Numbers of one stat that are judged apart, such as critical alerts and warnings. */
const ownThresholds = ({ queries }: Panel): readonly Json[] =>
  queries.flatMap(({ thresholds }, index) =>
    thresholds
      ? [{ matcher: { id: "byFrameRefID", options: refId(index) }, properties: [{ id: "thresholds", value: steps(thresholds) }] }]
      : [],
  );

const mappings = (words: Readonly<Record<number, Word>> | undefined) =>
  words
    ? [
        {
          type: "value",
          options: Object.fromEntries(
            Object.entries(words).map(([value, { text, color }], index) => [value, { text, index, ...(color ? { color } : {}) }]),
          ),
        },
      ]
    : [];

const line = (panel: Extract<Panel, { kind: "timeseries" }>): Json => ({
  drawStyle: "line",
  lineInterpolation: "linear",
  lineWidth: 1,
  fillOpacity: panel.stacked ? 30 : 10,
  gradientMode: "none",
  showPoints: "never",
  spanNulls: false, // a gap is news: nobody was scraped
  axisSoftMin: 0,
  stacking: { mode: panel.stacked ? "normal" : "none", group: "A" },
  thresholdsStyle: { mode: panel.thresholds ? "dashed" : "off" },
});

const LINES: Json = {
  legend: { displayMode: "table", placement: "bottom", showLegend: true, calcs: ["lastNotNull", "max"], sortBy: "Last *", sortDesc: true },
  tooltip: { mode: "multi", sort: "desc" },
};

/** The last value only: a mean over the window would say that all is well while it is not. */
const STAT: Json = {
  colorMode: "background",
  graphMode: "area",
  justifyMode: "auto",
  orientation: "auto",
  percentChangeColorMode: "standard",
  reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
  showPercentChange: false,
  textMode: "auto",
  wideLayout: true,
};

const heatmap = ({ unit }: Panel): Json => ({
  calculate: false,
  cellGap: 1,
  color: { mode: "scheme", scheme: "Oranges", fill: "dark-orange", scale: "exponential", exponent: 0.5, steps: 64, reverse: false },
  exemplars: { color: "rgba(255,0,255,0.7)" },
  filterValues: { le: 1e-9 },
  legend: { show: true },
  rowsFrame: { layout: "auto" },
  showValue: "never",
  tooltip: { mode: "single", showColorScale: true, yHistogram: false },
  yAxis: { axisPlacement: "left", reverse: false, unit },
});

const CELLS: Json = { align: "auto", cellOptions: { type: "auto" }, inspect: false };
const tableOptions = ({ sort }: Table): Json => ({
  ...{ cellHeight: "sm", frameIndex: 0, showHeader: true, footer: { show: false, reducer: ["sum"] } },
  sortBy: [{ displayName: sort.by, desc: sort.first === "largest" }],
});

type Table = Extract<Panel, { kind: "table" }>;

/** One line per set of labels: Grafana merges the queries' tables and calls a value `Value #<refId>`, or `Value` when it is alone. */
const join = ({ columns, queries }: Table): readonly Json[] => {
  const labels = Object.keys(columns);
  const values = queries.map((_, index) => (queries.length === 1 ? "Value" : `Value #${refId(index)}`));
  const order = [...labels, ...values];
  return [
    { id: "merge", options: {} },
    { id: "filterFieldsByName", options: { include: { names: order } } },
    {
      id: "organize",
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
        renameByName: { ...columns, ...Object.fromEntries(values.map((name, index) => [name, queries[index]?.legend ?? name])) },
      },
    },
  ];
};

const overrides = ({ columns, values = {}, links = {} }: Table): readonly Json[] => [
  ...Object.entries(values).map(([heading, { unit, thresholds, words }]) => ({
    matcher: { id: "byName", options: heading },
    properties: [
      ...(unit ? [{ id: "unit", value: unit }] : []),
      ...(thresholds ? [{ id: "thresholds", value: steps(thresholds) }] : []),
      ...(words ? [{ id: "mappings", value: mappings(words) }] : []),
      ...(thresholds || words ? [{ id: "custom.cellOptions", value: { type: "color-text" } }] : []),
    ],
  })),
  ...Object.entries(links).map(([label, { title, url }]) => ({
    matcher: { id: "byName", options: columns[label] ?? label },
    properties: [{ id: "links", value: [{ title, url, targetBlank: false }] }],
  })),
];

/** A, B, … Z: Grafana's names of a panel's queries. */
export const refId = (index: number): string => String.fromCharCode("A".charCodeAt(0) + index);
