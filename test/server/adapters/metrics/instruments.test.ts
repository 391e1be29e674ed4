// Why: we write down our own numbers, so that what Prometheus makes of them has to be proved here: buckets, zeros, escapes.
import { describe, expect, test } from "bun:test";
import { CounterFamily } from "@nexus/server/adapters/metrics/counters.ts";
import { seriesOf, textOf } from "@nexus/server/adapters/metrics/exposition.ts";
import { HistogramFamily } from "@nexus/server/adapters/metrics/histograms.ts";
import type { ServerMetricRow } from "@nexus/server/adapters/metrics/row.ts";
import { METRICS, RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";
import fc from "fast-check";
import { readExposition } from "../../../support/monitoring/exposition.ts";

const ROWS: Readonly<Record<string, ServerMetricRow>> = { ...METRICS, ...RUNTIME_METRICS };

describe("a counter", () => {
  test("of small closed sets is there from the start, each pair with 0", () => {
    const family = new CounterFamily("x_total", { type: "counter", help: "X.", labels: { a: ["1", "2"], b: ["3"] } });
    family.add(2, "2", "3");
    expect(family.samples()).toEqual([
      ['x_total{a="1",b="3"}', 0],
      ['x_total{a="2",b="3"}', 2],
    ]);
  });

  test("of an open set is there once it counted", () => {
    const family = new CounterFamily("x_total", { type: "counter", help: "X.", labels: { a: "whatever" } });
    expect(family.samples()).toEqual([]);
    family.add(1, "b");
    expect(family.samples()).toEqual([['x_total{a="b"}', 1]]);
  });
});

test("a histogram's buckets are cumulative, and its sum and count are of all that was observed", () => {
  const bounds = [0.1, 1, 10];
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1, max: 100, noNaN: true })), (values) => {
      const family = new HistogramFamily("x_seconds", { type: "histogram", help: "X.", buckets: bounds });
      for (const value of values) family.cell().observe(value);
      const shown = new Map(family.samples());
      for (const bound of bounds)
        expect(shown.get(`x_seconds_bucket{le="${bound}"}`)).toBe(values.filter((value) => value <= bound).length);
      expect(shown.get('x_seconds_bucket{le="+Inf"}')).toBe(values.length);
      expect(shown.get("x_seconds_count")).toBe(values.length);
      expect(shown.get("x_seconds_sum")).toBeCloseTo(
        values.reduce((sum, value) => sum + Math.max(0, value), 0),
        6,
      );
    }),
  );
});

test("whatever a label's value is, it stays inside its quotes", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      const series = seriesOf("x_total", [
        ["a", a],
        ["b", b],
      ]);
      const text = textOf([{ name: "x_total", samples: [[series, 1]] }], { x_total: { type: "counter", help: "X." } });
      expect(readExposition(text).samples).toEqual([{ name: "x_total", labels: { a, b }, value: 1 }]);
    }),
  );
});

test("values that are no number are written as Prometheus reads them", () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e21, 0.1 + 0.2];
  const text = textOf([{ name: "x", samples: values.map((value, index) => [`x{i="${index}"}`, value]) }], {
    x: { type: "gauge", help: "X." },
  });
  expect(readExposition(text).samples.map(({ value }) => value)).toEqual(values);
});

describe("the table", () => {
  test.each(Object.entries(ROWS))("%s follows Prometheus' rules for names", (name, { type, help, buckets, labels = {} }) => {
    expect(name.endsWith("_total")).toBe(type === "counter");
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
    expect(buckets?.length ?? 0).toBeGreaterThanOrEqual(type === "histogram" ? 5 : 0);
    expect(buckets ?? []).toEqual((buckets ?? []).toSorted((a, b) => a - b));
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
    expect(help).not.toContain("\n");
    for (const label of Object.keys(labels)) expect(label).toMatch(/^[a-z_]+$/);
    expect(Object.keys(labels)).not.toContain("le");
  });
});
