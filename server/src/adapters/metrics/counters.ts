// Why: counting costs an addition to a plain number; who counts often keeps the cell, who counts seldom names the labels.
// Small closed sets are shown from the start with 0, because a series that begins with 1 has no rate. It must never be
// given a label value that a peer chose.
import type { LabelValues } from "@nexus/protocol/metric-row.ts";
import { type Sample, seriesOf } from "./exposition.ts";
import type { ServerMetricRow } from "./row.ts";

/** One series. Add to `value`, and to nothing else. */
export type Cell = { readonly series: string; value: number };

/** Sets of labels with more combinations than this are shown as they happen. */
const SHOWN_FROM_START = 64;

export class CounterFamily {
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #cells = new Map<string, Map<string, Cell>>();

  /** Of at most two labels. */
  constructor(name: string, row: ServerMetricRow) {
    this.#name = name;
    this.#labels = Object.keys(row.labels ?? {});
    if (this.#labels.length > 2) throw new Error(`${name} has more than two labels`);
    for (const [first, second] of combinations(Object.values(row.labels ?? {}))) this.cell(first, second);
  }

  /** The series with these label values, in the order of the row's labels; missing ones are "". */
  cell(first = "", second = ""): Cell {
    return this.#cells.get(first)?.get(second) ?? this.#open(first, second);
  }

  add(by: number, first = "", second = ""): void {
    this.cell(first, second).value += by;
  }

  #open(first: string, second: string): Cell {
    const values = [first, second];
    const pairs = this.#labels.map((label, index) => [label, values[index] ?? ""] as const);
    const cell = { series: seriesOf(this.#name, pairs), value: 0 };
    const beneath = this.#cells.get(first) ?? new Map<string, Cell>();
    this.#cells.set(first, beneath.set(second, cell));
    return cell;
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const beneath of this.#cells.values()) for (const { series, value } of beneath.values()) samples.push([series, value]);
    return samples;
  }
}

/** All pairs of values, or none where the sets are open or large. */
function combinations(labels: readonly LabelValues[]): readonly (readonly [string?, string?])[] {
  const sets: (readonly string[])[] = [];
  for (const values of labels) {
    if (typeof values === "string") return [];
    sets.push(values);
  }
  if (sets.reduce((product, { length }) => product * length, 1) > SHOWN_FROM_START) return [];
  const [firsts, seconds] = sets;
  if (!firsts) return [[]];
  return firsts.flatMap((first): (readonly [string?, string?])[] => (seconds ? seconds.map((second) => [first, second]) : [[first]]));
}
