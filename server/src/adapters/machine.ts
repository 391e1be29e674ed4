// Why: what this process takes of its machine: CPU, memory and how late its event loop is, over the time the operator looks at.
// It must never keep a process alive, nor read a file more than once: what is asked often is kept.
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MachineUse } from "../core/load.ts";
import type { Clock } from "../core/ports.ts";
import { Rate, WINDOW_MS } from "../core/traffic.ts";

const SAMPLE_MS = 1_000;
/** A limit above this is none: cgroup v1 writes a huge number, and no machine of ours has 4 TiB. */
const NO_LIMIT_BYTES = 2 ** 42;
const LIMIT_FILES = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

export type Machine = { use(): MachineUse; stop(): void };

/** Samples once a second until it is stopped. */
export function watchMachine(clock: Pick<Clock, "monotonic">): Machine {
  const memoryLimitBytes = limitOf(LIMIT_FILES.map(textOf));
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const cpu = new Rate();
  let lagMs = 0;
  let lagSince = clock.monotonic();
  const sample = () => {
    const now = clock.monotonic();
    cpu.sample(now, cpuSeconds());
    if (now - lagSince < WINDOW_MS) return;
    lagMs = percentileMs();
    lagSince = now;
    delay.reset();
  };
  const percentileMs = () => Math.max(0, delay.percentile(99) / 1e6 || 0); // nothing recorded yet is NaN
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  timer.unref();
  return {
    use: () => ({
      cpuCores: cpu.perSecond(clock.monotonic(), cpuSeconds()),
      rssBytes: process.memoryUsage.rss(),
      memoryLimitBytes,
      loopLagP99Ms: Math.max(lagMs, percentileMs()),
    }),
    stop() {
      clearInterval(timer);
      delay.disable();
    },
  };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The smallest limit that is one; 0 when none is. */
export function limitOf(texts: readonly (string | undefined)[]): number {
  const limits = texts.map((text) => Number(text ?? "")).filter((bytes) => bytes > 0 && bytes < NO_LIMIT_BYTES);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // the other version of cgroups, or no Linux
  }
}
