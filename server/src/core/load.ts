// Why: one answer to "how loaded are you", from what the node counted and what the machine says. Pure.
import type { NodeLoad } from "@nexus/protocol/admin.ts";
import type { Traffic } from "./traffic.ts";

/** CPU of one session that comes in, authenticates and catches up: measured at 0.1 to 1 ms (docs/benchmarks.md); the worse one. */
const ACCEPT_CPU_SECONDS = 0.001;

/** What the process uses: `cpuCores` over the last 15 s, the rest now. `memoryLimitBytes` 0: none known. */
export type MachineUse = {
  readonly cpuCores: number;
  readonly rssBytes: number;
  readonly memoryLimitBytes: number;
  readonly loopLagP99Ms: number;
};

/** `room`: sessions the node may still hold. `isAccepting`: false while it drains. */
export function nodeLoad(facts: {
  readonly traffic: Traffic;
  readonly machine: MachineUse;
  readonly room: number;
  readonly isAccepting: boolean;
}): NodeLoad {
  const { traffic, machine, room, isAccepting } = facts;
  return {
    messages_per_second: round(traffic.messagesPerSecond),
    loop_lag_p99_ms: round(machine.loopLagP99Ms),
    cpu_cores: round(machine.cpuCores),
    rss_bytes: machine.rssBytes,
    memory_limit_bytes: machine.memoryLimitBytes,
    accepts_per_second: isAccepting ? acceptsPerSecond(machine.cpuCores, room) : 0,
    sessions_opened: traffic.opened,
    sessions_refused: traffic.refused,
  };
}

/** One event loop takes what its idle share of a core allows, and never more than there is room for. */
const acceptsPerSecond = (cpuCores: number, room: number): number =>
  Math.max(0, Math.min(room, Math.floor((1 - Math.min(1, cpuCores)) / ACCEPT_CPU_SECONDS)));

/** What several processes of a pod are together. Undefined when none of them said anything. */
export function sumOfLoads(loads: readonly NodeLoad[]): NodeLoad | undefined {
  const [first, ...others] = loads;
  if (!first) return undefined;
  return others.reduce(
    (sum, load) => ({
      messages_per_second: round(sum.messages_per_second + load.messages_per_second),
      loop_lag_p99_ms: Math.max(sum.loop_lag_p99_ms, load.loop_lag_p99_ms),
      cpu_cores: round(sum.cpu_cores + load.cpu_cores),
      rss_bytes: sum.rss_bytes + load.rss_bytes,
      memory_limit_bytes: Math.max(sum.memory_limit_bytes, load.memory_limit_bytes), // of one container
      accepts_per_second: sum.accepts_per_second + load.accepts_per_second,
      sessions_opened: sum.sessions_opened + load.sessions_opened,
      sessions_refused: sum.sessions_refused + load.sessions_refused,
    }),
    first,
  );
}

const round = (value: number): number => Math.round(Math.max(0, value) * 1000) / 1000;
