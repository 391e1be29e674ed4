// Why: CPU, memory, files and lateness of the event loop, under the names that every program with prom-client has.
// It must never show what is not true on Bun: only what the table lists is taken. And it must never list the descriptors of
// a process that holds thousands of sockets on the event loop: 17 ms for 9,000 of them.
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { collectDefaultMetrics, Registry } from "prom-client";
import { type Shown, seriesOf } from "./exposition.ts";

/** The event loop's histogram shows its own limits while nothing was recorded since the last scrape. */
const NOTHING_RECORDED = 1e9;
const OPEN_FILES = "process_open_fds";
const DESCRIPTORS = "/proc/self/fd";

/** Reads the metrics with these names. One for the life of the process: it watches the event loop. */
export function createRuntimeReader(names: readonly string[]): () => Promise<readonly Shown[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const wanted = new Set(names.filter((name) => name !== OPEN_FILES));
  for (const { name } of registry.getMetricsAsArray()) if (!wanted.has(name)) registry.removeSingleMetric(name);
  return async () => {
    const read = new Map((await registry.getMetricsAsJSON()).map(({ name, values }) => [name, values[0]?.value]));
    read.set(OPEN_FILES, await openFiles());
    return names.map((name) => {
      const value = read.get(name) ?? Number.NaN;
      const isLag = name.startsWith("nodejs_eventloop_lag");
      const isKnown = Number.isFinite(value) && !(isLag && value > NOTHING_RECORDED);
      return { name, samples: isKnown ? [[seriesOf(name, []), value]] : [] };
    });
  };
}

/** Linux 6.2 and later say it as the size of the folder; before that it is counted, beside the event loop. */
async function openFiles(): Promise<number> {
  try {
    const { size } = statSync(DESCRIPTORS);
    return size > 0 ? size : (await readdir(DESCRIPTORS)).length - 1; // its own
  } catch {
    return Number.NaN; // no Linux: not shown
  }
}
