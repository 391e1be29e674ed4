// Why: metrics as the text that scrapers read (Prometheus text format 0.0.4), and as data that can travel between processes.
// A scrape holds the event loop while it is written, so names and labels are made once per series, not once per scrape.
// It must never look a value up: it is handed what is to be shown.
import type { ServerMetricRow } from "./row.ts";

/** Name and labels of one series as the text has them, and its value. */
export type Sample = readonly [series: string, value: number];

/** One metric as it is now. */
export type Shown = { readonly name: string; readonly samples: readonly Sample[] };

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** `nexus_refusals_total{code="forbidden"}`. Pairs are shown in their order. */
export function seriesOf(name: string, labels: readonly (readonly [string, string])[]): string {
  if (labels.length === 0) return name;
  return `${name}{${labels.map(([label, value]) => `${label}="${escaped(value)}"`).join(",")}}`;
}

const escaped = (value: string): string => value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');

/** What a scrape answers. Every metric needs its row. */
export function textOf(metrics: readonly Shown[], rows: Readonly<Record<string, ServerMetricRow>>): string {
  let text = "";
  for (const { name, samples } of metrics) {
    const row = rows[name];
    if (!row) throw new Error(`${name} is in no table`);
    text += `# HELP ${name} ${row.help}\n# TYPE ${name} ${row.type}\n`;
    for (const [series, value] of samples) text += `${series} ${numberOf(value)}\n`;
  }
  return text;
}

function numberOf(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
