// Why: what is counted here and what is read when somebody asks, by the names of the table and in its order.
// It must never hold a metric that is not in the table, nor one twice.
import { METRICS, type MetricName } from "../metrics-table.ts";
import { CounterFamily } from "./counters.ts";
import { type Sample, type Shown, seriesOf } from "./exposition.ts";
import { HistogramFamily } from "./histograms.ts";
import type { ServerMetricRow } from "./row.ts";

type Reader = () => readonly Sample[];

const rowOf = (name: MetricName): ServerMetricRow => METRICS[name];

export class MetricRegistry {
  readonly #readers = new Map<string, Reader>();
  #scrape = 0;

  counter(name: MetricName): CounterFamily {
    const family = new CounterFamily(name, rowOf(name));
    this.#add(name, () => family.samples());
    return family;
  }

  histogram(name: MetricName): HistogramFamily {
    const family = new HistogramFamily(name, rowOf(name));
    this.#add(name, () => family.samples());
    return family;
  }

  /** A metric without labels whose number somebody else keeps. */
  read(name: MetricName, value: () => number): void {
    const series = seriesOf(name, []);
    this.#add(name, () => [[series, value()]]);
  }

  /** The same with one label. */
  readBy(name: MetricName, values: () => Readonly<Record<string, number>>): void {
    const label = Object.keys(rowOf(name).labels ?? {})[0] ?? "";
    this.#add(name, () => Object.entries(values()).map(([key, value]) => [seriesOf(name, [[label, key]]), value]));
  }

  /** Series that somebody else names. */
  readSeries(name: MetricName, samples: Reader): void {
    this.#add(name, samples);
  }

  /** What several metrics are read from, asked once a scrape. */
  perScrape<T>(read: () => T): () => T {
    let known: { readonly scrape: number; readonly value: T } | undefined;
    return () => {
      if (known?.scrape !== this.#scrape) known = { scrape: this.#scrape, value: read() };
      return known.value;
    };
  }

  /** One scrape. */
  shown(): readonly Shown[] {
    this.#scrape++;
    const shown: Shown[] = [];
    for (const name of Object.keys(METRICS)) {
      const samples = this.#readers.get(name);
      if (samples) shown.push({ name, samples: samples() });
    }
    return shown;
  }

  #add(name: MetricName, reader: Reader): void {
    if (this.#readers.has(name)) throw new Error(`${name} is there already`);
    this.#readers.set(name, reader);
  }
}
