// Why: durations are observed on the hot path, so an observation is a walk over a dozen bounds and two additions; what
// scrapers see, cumulative buckets, is made when they ask. It must never allocate in `observe`.
import { type Sample, seriesOf } from "./exposition.ts";
import type { ServerMetricRow } from "./row.ts";

export class HistogramCell {
  readonly #bounds: readonly number[];
  readonly #names: readonly string[];
  /** Not cumulative; the last one is for what lies above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  constructor(name: string, bounds: readonly number[], labels: readonly (readonly [string, string])[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
    const ends = [...bounds.map(String), "+Inf"];
    this.#names = [
      ...ends.map((end) => seriesOf(`${name}_bucket`, [...labels, ["le", end]])),
      seriesOf(`${name}_sum`, labels),
      seriesOf(`${name}_count`, labels),
    ];
  }

  /** In the metric's unit; what is below 0 (two clocks that differ) counts as 0. */
  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    if (value > 0) this.#sum += value;
  }

  samples(): readonly Sample[] {
    let total = 0;
    const numbers = this.#counts.map((count) => (total += count));
    numbers.push(this.#sum, total);
    return this.#names.map((name, index) => [name, numbers[index] ?? 0]);
  }
}

/** A histogram with at most one label. */
export class HistogramFamily {
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #label: string | undefined;
  readonly #cells = new Map<string, HistogramCell>();

  constructor(name: string, { buckets = [], labels = {} }: ServerMetricRow) {
    this.#name = name;
    this.#bounds = buckets;
    const [label, ...more] = Object.entries(labels);
    if (more.length > 0) throw new Error(`${name} has more than one label`);
    this.#label = label?.[0];
    if (!label) this.cell();
    else if (typeof label[1] !== "string") for (const value of label[1]) this.cell(value);
  }

  /** The histogram with this label value. */
  cell(value = ""): HistogramCell {
    let cell = this.#cells.get(value);
    if (!cell) {
      cell = new HistogramCell(this.#name, this.#bounds, this.#label === undefined ? [] : [[this.#label, value]]);
      this.#cells.set(value, cell);
    }
    return cell;
  }

  samples(): readonly Sample[] {
    return [...this.#cells.values()].flatMap((cell) => cell.samples());
  }
}
