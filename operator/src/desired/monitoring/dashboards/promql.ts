// Why: the few forms of PromQL that nearly every panel has, so that a rate, a quantile and a share are the same thing on all
// dashboards. Pure: series in, text out.
import type { Query } from "./model.ts";

const by = (labels: string) => (labels === "" ? "" : ` by (${labels})`);

/** What a counter gained a second, summed by `labels` (`"pod, code"`). */
export const perSecond = (series: string, labels = ""): string => `sum${by(labels)} (rate(${series}[$__rate_interval]))`;

/** As {@link perSecond}, without the lines that stand still: of fifty codes the five that happen. */
export const happening = (series: string, labels: string): string => `${perSecond(series, labels)} > 0`;

/** A quantile of a histogram (its `_bucket` series) over all pods, or by `labels`. */
export const quantile = (q: number, buckets: string, labels = ""): string =>
  `histogram_quantile(${q}, sum by (${["le", ...(labels === "" ? [] : [labels])].join(", ")}) (rate(${buckets}[$__rate_interval])))`;

/** `part` of `whole`, both of counters; no line while nothing of `whole` happens, 0 while nothing of `part` does. */
export const share = (part: string, whole: string, labels = ""): string =>
  labels === ""
    ? `(${perSecond(part)} or vector(0)) / (${perSecond(whole)} > 0)`
    : `(${perSecond(part, labels)} or 0 * ${perSecond(whole, labels)}) / (${perSecond(whole, labels)} > 0)`;

/** Median, 99th percentile. `name`: the histogram without `_bucket`; `series` gives it its matchers. */
export const quantiles = (buckets: string, legend = ""): readonly Query[] =>
  ([0.5, 0.9, 0.99] as const).map((q) => ({ expr: quantile(q, buckets), legend: `${legend}p${q * 100}` }));

/** A heatmap's cells: how many fell into each bucket. */
export const heat = (buckets: string): string => `sum by (le) (increase(${buckets}[$__rate_interval]))`;
