// Why: CPU, memory, files and lateness of the event loop, under the names that every program with prom-client has.
// It must never show what is not true on Bun: only what the table lists is taken.
import { collectDefaultMetrics, Registry } from "prom-client";
import { type Shown, seriesOf } from "./exposition.ts";

/** The event loop's histogram shows its own limits while nothing was recorded since the last scrape. */
const NOTHING_RECORDED = 1e9;

/** Reads the metrics with these names. One for the life of the process: it watches the event loop. */
export function createRuntimeReader(names: readonly string[]): () => Promise<readonly Shown[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const wanted = new Set(names);
  for (const { name } of registry.getMetricsAsArray()) if (!wanted.has(name)) registry.removeSingleMetric(name);
  return async () => {
    const read = new Map((await registry.getMetricsAsJSON()).map(({ name, values }) => [name, values[0]?.value]));
    return names.map((name) => {
      const value = read.get(name) ?? Number.NaN;
      const isLag = name.startsWith("nodejs_eventloop_lag");
      const isKnown = Number.isFinite(value) && !(isLag && value > NOTHING_RECORDED);
      return { name, samples: isKnown ? [[seriesOf(name, []), value]] : [] };
    });
  };
}
