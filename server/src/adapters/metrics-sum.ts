// Why: a pod of several processes is scraped as one: what each counted becomes one text, by the rule each metric has in
// the table. A sum must never fall because a process ended: what it had counted stays.
import { AggregatorRegistry, type Registry } from "prom-client";
import type { Across, ServerMetricRow } from "./metrics/row.ts";
import { METRICS, RUNTIME_METRICS } from "./metrics-table.ts";

/** All metrics of one process, as data that can travel between processes. */
export type MetricsReport = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

const AGGREGATORS: Readonly<Record<Across, string>> = { sum: "sum", min: "min", max: "max", parent: "first" };
const ROWS: Readonly<Record<string, ServerMetricRow>> = { ...METRICS, ...RUNTIME_METRICS };

const acrossOf = (name: string): Across => ROWS[name]?.across ?? "sum";
const isCount = (name: string): boolean => name.endsWith("_total") || ROWS[name]?.type === "histogram";

function summed(reports: readonly MetricsReport[]): Registry {
  const ruled = reports.map((report) => report.map((metric) => ({ ...metric, aggregator: AGGREGATORS[acrossOf(metric.name)] })));
  return AggregatorRegistry.aggregate(ruled);
}

export class MetricsSum {
  /** Counters and histograms of processes that are gone, as one report. */
  #ended: MetricsReport = [];
  #folding: Promise<void> = Promise.resolve();

  /** A process is gone: what it last reported goes on counting. Gauges went with it. */
  ended(last: MetricsReport): void {
    const counts = last.filter(({ name }) => isCount(name));
    this.#folding = this.#folding.then(async () => {
      this.#ended = await summed([this.#ended, counts]).getMetricsAsJSON();
    });
  }

  /** The text for scrapers. `parent` is the report of the process that runs the others; `current` those of all that live. */
  async text(parent: MetricsReport, current: () => readonly MetricsReport[]): Promise<string> {
    let folded: Promise<void>;
    do {
      folded = this.#folding;
      await folded;
    } while (folded !== this.#folding); // one that ends meanwhile must count once: neither twice nor not at all
    return await summed([parent, ...current(), this.#ended]).metrics();
  }
}
