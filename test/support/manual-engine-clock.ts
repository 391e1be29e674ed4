// Why: engines measure retention, buckets and leases by a clock; their tests move it by hand.
import type { Clock } from "@nexus/server/core/ports.ts";

export type ManualServerClock = Clock & { advance(ms: number): void };

export function manualServerClock(startMs = Date.UTC(2026, 0, 1)): ManualServerClock {
  let passed = 0;
  return {
    now: () => startMs + passed,
    monotonic: () => 1000 + passed,
    advance: (ms) => {
      passed += ms;
    },
  };
}
