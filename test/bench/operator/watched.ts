// Why: what is known of an operator process from outside: the kernel's word on its memory and CPU, its own metrics and log.
import { readFileSync } from "node:fs";
import { eventually } from "../../support/eventually.ts";
import type { OperatorProcess, Stage } from "../../support/operator.ts";

const MiB = 1024;
/** Ticks a second of the kernel's CPU accounting. */
const TICKS = 100;

export type Watched = AsyncDisposable & {
  readonly process: OperatorProcess;
  readonly startedMs: number;
  /** Sum of a metric over its labels, or over those that contain `labels`. */
  metric(name: string, labels?: string): Promise<number>;
  /** Requests so far, by method; those of the Lease are the PUTs. */
  calls(): Promise<Readonly<Record<string, number>>>;
  isLeading(): Promise<boolean>;
  /** It could lead at once. */
  isStandby(): Promise<boolean>;
  rssMiB(): number;
  /** The most it ever had. */
  peakMiB(): number;
  cpuSeconds(): number;
};

export async function startWatched(stage: Stage, flags: Readonly<Record<string, string>> = {}): Promise<Watched> {
  const startedMs = performance.now();
  const child = await stage.process(flags);
  const url = await eventually(
    "the operator listens",
    () => child.log().find((line) => line.event === "operator.started")?.url as string | undefined, // our own log
    { timeoutMs: 60_000, intervalMs: 20 },
  );
  const lines = async (name: string): Promise<readonly string[]> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  };
  const amountOf = (line: string) => Number(line.split(" ").at(-1));
  const status = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / MiB;
  return {
    process: child,
    startedMs,
    metric: async (name, labels = "") =>
      (await lines(name)).filter((line) => line.includes(labels)).reduce((sum, line) => sum + amountOf(line), 0),
    async calls() {
      const sums: Record<string, number> = {};
      for (const line of await lines("rest_client_requests_total")) {
        const method = /method="(\w+)"/.exec(line)?.[1] ?? "?";
        sums[method] = (sums[method] ?? 0) + amountOf(line);
      }
      return sums;
    },
    isLeading: async () => (await (await fetch(`${url}/readyz`)).text()).includes("leading"),
    isStandby: async () => (await (await fetch(`${url}/readyz`)).text()).includes("standby"),
    rssMiB: () => Math.round(status("VmRSS")),
    peakMiB: () => Math.round(status("VmHWM")),
    cpuSeconds() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
