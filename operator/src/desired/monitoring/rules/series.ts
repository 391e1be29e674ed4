// Why: the few forms of PromQL that the rules have, so that every expression names the series it means and is summed the same way.
// A sum over series that do not exist is nothing, never 0: who needs a 0 says so. Pure: names in, text out.
import { type Matchers, selector } from "./model.ts";

/** What alerts of a cluster are told apart by; routes match on these. */
export const FLEET = "namespace, nexus_cluster";
export const POD = `${FLEET}, pod`;

/** For summaries and descriptions. */
export const WHERE = "{{ $labels.namespace }}/{{ $labels.nexus_cluster }}";
export const POD_WHERE = `Pod {{ $labels.pod }} of ${WHERE}`;

/** `of("up")` is `up{namespace="a",nexus_cluster="b"}`; `more`: further matchers as text. */
export type Series = (metric: string, more?: string) => string;

export const seriesOf =
  (matchers: Matchers): Series =>
  (metric, more = "") =>
    `${metric}${selector(matchers, more)}`;

/** What counters gained a second over `window`, summed. */
export const perSecond = (by: string, series: string, window: string): string => `sum by (${by}) (rate(${series}[${window}]))`;

/** How often something happened in `window`; Prometheus extrapolates, so it is no whole number. */
export const gained = (by: string, series: string, window: string): string => `sum by (${by}) (increase(${series}[${window}]))`;

/** A quantile of a histogram's `_bucket` series. */
export const quantile = (q: number, by: string, buckets: string, window: string): string =>
  `histogram_quantile(${q}, sum by (${by}, le) (rate(${buckets}[${window}])))`;

/** A decimal without what binary fractions add: 0.0144, not 0.014400000000000001. To nine places; finer than any share in a spec. */
export const decimal = (value: number): string => String(Number(value.toFixed(9)));
