// Why: a pod of several processes is scraped as one: what each counted becomes one text, by the rule each metric has in
// the table. A sum must never fall because a process ended: what it had counted stays.
import { type Sample, type Shown, textOf } from "./metrics/exposition.ts";
import type { Across, ServerMetricRow } from "./metrics/row.ts";
import { METRICS, RUNTIME_METRICS } from "./metrics-table.ts";

/** All metrics of one process, as data that can travel between processes. */
export type MetricsReport = readonly Shown[];

const ROWS: Readonly<Record<string, ServerMetricRow>> = { ...METRICS, ...RUNTIME_METRICS };

const COMBINE: Readonly<Record<Across, (known: number, value: number) => number>> = {
  sum: (known, value) => known + value,
  min: Math.min,
  max: Math.max,
  parent: (known) => known,
};

/** In the order of the table; of a metric that is the parent's the first report that has it speaks. */
function summed(reports: readonly MetricsReport[]): MetricsReport {
  const all = new Map<string, Map<string, number>>();
  for (const report of reports) {
    for (const { name, samples } of report) {
      const combine = COMBINE[ROWS[name]?.across ?? "sum"];
      const known = all.get(name) ?? new Map<string, number>();
      all.set(name, known);
      for (const [series, value] of samples) {
        const before = known.get(series);
        known.set(series, before === undefined ? value : combine(before, value));
      }
    }
  }
  return Object.keys(ROWS).flatMap((name) => {
    const samples = all.get(name);
    return samples ? [{ name, samples: [...samples] satisfies readonly Sample[] }] : [];
  });
}

export class MetricsSum {
  /** Counters and histograms of processes that are gone, as one report. */
  #ended: MetricsReport = [];

  /** A process is gone: what it last reported goes on counting. Gauges went with it. */
  ended(last: MetricsReport): void {
    const counts = last.filter(({ name }) => ROWS[name]?.type !== "gauge");
    this.#ended = summed([this.#ended, counts]);
  }

  /** The text for scrapers. `parent` is the report of the process that runs the others; `current` those of all that live. */
  text(parent: MetricsReport, current: readonly MetricsReport[]): string {
    return textOf(summed([parent, ...current, this.#ended]), ROWS);
  }
}
