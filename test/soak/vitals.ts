// Why: what a process holds on to shows only over time: memory, descriptors, connections. It must never ask the process
// itself: a leak may hide behind its own counters.
import { readdir, readFile } from "node:fs/promises";

/** `at`: milliseconds of `performance.now()`. `rssBytes`: resident. `handles`: open descriptors. `redis`: connections at Redis. */
export type Vitals = { readonly at: number; readonly rssBytes: number; readonly handles: number; readonly redis: number };

const PAGE_BYTES = 4096;

/** Of a process on this machine (Linux). */
export async function processVitals(pid: number): Promise<{ readonly rssBytes: number; readonly handles: number }> {
  const [statm, handles] = await Promise.all([readFile(`/proc/${pid}/statm`, "utf8"), readdir(`/proc/${pid}/fd`)]);
  return { rssBytes: Number(statm.split(" ")[1]) * PAGE_BYTES, handles: handles.length };
}

/** Least-squares slope, per minute. */
export function slopePerMinute(points: readonly { readonly at: number; readonly value: number }[]): number {
  const count = points.length;
  if (count < 2) return 0;
  const meanAt = points.reduce((sum, { at }) => sum + at, 0) / count;
  const meanValue = points.reduce((sum, { value }) => sum + value, 0) / count;
  let over = 0;
  let under = 0;
  for (const { at, value } of points) {
    over += (at - meanAt) * (value - meanValue);
    under += (at - meanAt) ** 2;
  }
  return under === 0 ? 0 : (over / under) * 60_000;
}
