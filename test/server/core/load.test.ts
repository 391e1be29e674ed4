// Why: the operator sizes a fleet by these figures: rates of now, failures that are ours, room that is really there.
import { describe, expect, test } from "bun:test";
import { NodeLoad } from "@nexus/protocol/admin.ts";
import { limitOf } from "@nexus/server/adapters/machine.ts";
import { nodeLoad, sumOfLoads } from "@nexus/server/core/load.ts";
import { Pool } from "@nexus/server/core/pool.ts";
import { Session } from "@nexus/server/core/session.ts";
import { Rate, TrafficMeter } from "@nexus/server/core/traffic.ts";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import { recordingMetrics } from "../../support/recording-metrics.ts";

const machine = { cpuCores: 0.25, rssBytes: 1000, memoryLimitBytes: 4000, loopLagP99Ms: 3 };
const traffic = { messagesPerSecond: 12.34567, opened: 5, refused: 1 };

describe("a rate", () => {
  test("is of the window, whatever was before it", () => {
    const rate = new Rate();
    let count = 0;
    for (let second = 0; second <= 60; second++) {
      count += second < 30 ? 1000 : 10;
      rate.sample(second * 1000, count);
    }
    expect(rate.perSecond(60_000, count)).toBeCloseTo(10, 5);
    expect(new Rate().perSecond(5, 100)).toBe(0);
  });
});

describe("the meter", () => {
  test("counts deliveries and sessions on their way to the metrics, and only failures of ours as refused", () => {
    const passed: string[] = [];
    const meter = new TrafficMeter();
    const metrics = meter.watch({
      ...recordingMetrics(),
      delivered: (transport, count) => void passed.push(`${transport} ${count}`),
      sessionOpened: (transport) => void passed.push(`opened ${transport}`),
    });
    meter.beat(0);
    metrics.delivered("websocket", 30);
    metrics.sessionOpened("sse");
    for (const code of ["unauthorized", "shutting_down", "connection_limit", "rate_limited"] as const) meter.failed(code);
    expect(meter.read(10_000)).toEqual({ messagesPerSecond: 3, opened: 1, refused: 0 });
    for (const code of ["node_full", "internal", "broker_unavailable", "issuer_unavailable"] as const) meter.failed(code);
    expect(meter.read(10_000).refused).toBe(4);
    expect(passed).toEqual(["websocket 30", "opened sse"]);
  });
});

describe("the load", () => {
  test("says what an idle share of a core can take, within the room there is, and nothing while draining", () => {
    const load = nodeLoad({ traffic, machine, room: 5000, isAccepting: true });
    expect(Value.Check(NodeLoad, load)).toBe(true);
    expect(load).toMatchObject({ messages_per_second: 12.346, accepts_per_second: 750, sessions_opened: 5, sessions_refused: 1 });
    expect(nodeLoad({ traffic, machine, room: 40, isAccepting: true }).accepts_per_second).toBe(40);
    expect(nodeLoad({ traffic, machine, room: -3, isAccepting: true }).accepts_per_second).toBe(0);
    expect(nodeLoad({ traffic, machine: { ...machine, cpuCores: 2 }, room: 40, isAccepting: true }).accepts_per_second).toBe(0);
    expect(nodeLoad({ traffic, machine, room: 5000, isAccepting: false }).accepts_per_second).toBe(0);
  });

  test("of several processes is their sum; the lag is the worst, the limit that of their container", () => {
    const one = nodeLoad({ traffic, machine, room: 5000, isAccepting: true });
    const other = nodeLoad({ traffic, machine: { ...machine, loopLagP99Ms: 9 }, room: 10, isAccepting: true });
    expect(sumOfLoads([one, other])).toEqual({
      ...{ messages_per_second: 24.692, loop_lag_p99_ms: 9, cpu_cores: 0.5, rss_bytes: 2000, memory_limit_bytes: 4000 },
      ...{ accepts_per_second: 760, sessions_opened: 10, sessions_refused: 2 },
    });
    expect(sumOfLoads([])).toBeUndefined();
  });

  test("knows a memory limit by either version of cgroups, and a huge one as none", () => {
    expect(limitOf([undefined, "max"])).toBe(0);
    expect(limitOf(["9223372036854771712"])).toBe(0);
    expect(limitOf(["max", "268435456"])).toBe(268435456);
  });
});

test("sessions picked at random are different ones, as many as asked for, from all places", () => {
  const pool = new Pool();
  for (let i = 0; i < 50; i++) {
    const identity = { tenant: "acme", user: `u${i}`, roles: [], channels: [] };
    pool.add(new Session({ sessionId: String(i), identity, transport: "websocket", full: true, connectedAt: 0 }));
  }
  fc.assert(
    fc.property(fc.nat(80), fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (count, numbers) => {
      const picked = pool.some(count, () => numbers.next().value ?? 0);
      expect(new Set(picked).size).toBe(Math.min(count, 50));
      expect(picked.length).toBe(Math.min(count, 50));
    }),
  );
  const seen = new Set(Array.from({ length: 300 }, () => pool.some(5, Math.random)).flat());
  expect(seen.size).toBe(50);
});
