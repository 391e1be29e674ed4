// Why: what the runtime says has to be true: files that are open are counted, whichever way the kernel tells.
import { expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { createRuntimeReader } from "@nexus/server/adapters/metrics/runtime.ts";
import { RUNTIME_METRICS } from "@nexus/server/adapters/metrics-table.ts";

test("open files are those of this process, and every metric asked for is there with a number that means something", async () => {
  const read = createRuntimeReader(Object.keys(RUNTIME_METRICS));
  const files = Array.from({ length: 50 }, () => openSync("/dev/null", "r"));
  const shown = new Map((await read()).map(({ name, samples }) => [name, samples[0]?.[1]]));
  const open = readdirSync("/proc/self/fd").length;
  for (const file of files) closeSync(file);
  expect([...shown.keys()]).toEqual(Object.keys(RUNTIME_METRICS));
  expect(Math.abs((shown.get("process_open_fds") ?? 0) - open)).toBeLessThanOrEqual(10);
  expect(shown.get("process_resident_memory_bytes")).toBeGreaterThan(1e7);
  for (const [name, value] of shown) if (value !== undefined) expect([name, Number.isFinite(value) && value < 1e12]).toEqual([name, true]);
});
