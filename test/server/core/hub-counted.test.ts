// Why: latency and holes are what the service is judged by: a late entry is late, one that is handed out twice is not, and a
// hole counts once per session that has it.
import { expect, test } from "bun:test";
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Frame } from "@nexus/server/core/frame.ts";
import { Hub } from "@nexus/server/core/hub.ts";
import type { BusListener, Entry, ReadResult, StreamId } from "@nexus/server/core/ports.ts";
import { Session } from "@nexus/server/core/session.ts";
import { eventually } from "../../support/eventually.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";
import { startServer, TENANT } from "../../support/server.ts";

const STREAM: StreamId = { kind: "channel", tenant: TENANT, channel: "kept" };
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const metadata = { source: "test", priority: "Normal" as const };
const at = (offset: number, epoch = "e1"): Position => ({ epoch, offset });
const entry = (offset: number, epoch = "e1"): Entry => ({
  stream: STREAM,
  notification: { id: `n-${offset}`, occurredAt: 0, eventType: "t", payloadJson: "1", metadata },
  position: at(offset, epoch),
});
const offsetOf = (frame: Frame): number => frame.entry?.position?.offset ?? -1;

/** A hub with two live sessions at offset 0, over a store whose next read is given. */
async function scene() {
  await using server = startServer({ channels: [{ match: "kept", history: { size: 50, ttlSeconds: 60 } }] });
  const tenants = server.live;
  const metrics = recordingMetrics();
  const measured: number[] = [];
  const written: number[] = [];
  let bus: BusListener | undefined;
  const told: { read: ReadResult; seen: Position } = { read: { kind: "recovered", entries: [], top: at(0) }, seen: at(0) };
  const hub = new Hub({
    ...{ tenants, metrics, log: silent, clock: manualServerClock(), sendQueueBytes: () => 1_000_000, overflow: () => undefined },
    bus: {
      listen: async (_, listener) => {
        bus = listener;
      },
      leave: async () => undefined,
    },
    store: { read: async () => told.read, seen: async () => told.seen, top: async () => at(0) },
    defer: (run) => void setImmediate(run),
    flusher: {
      published: () => undefined,
      urge: () => undefined,
      measure: (frame) => void measured.push(offsetOf(frame)),
      enqueue: (_, frame) => void written.push(offsetOf(frame)),
    },
  });
  const sessions = ["a", "b"].map((user) => {
    const identity = { tenant: TENANT, user, roles: [], channels: [] };
    return new Session({ sessionId: user, identity, transport: "websocket", full: true, connectedAt: 0 });
  });
  for (const session of sessions) hub.release(session, await hub.join(session, STREAM), at(0));
  const heard = bus as BusListener | undefined;
  if (!heard) throw new Error("the hub listens");
  return { hub, bus: heard, metrics, measured, written, told, sessions };
}

test("a live entry is measured once, and not at all when nobody's connection takes it", async () => {
  const { bus, measured, written, metrics, sessions } = await scene();
  bus.onEntry(entry(1));
  for (const session of sessions) session.blocked = true;
  bus.onEntry(entry(2));
  expect([measured, written]).toEqual([[1], [1, 1, 2, 2]]);
  expect(metrics.count("fannedOut")).toBe(2);
});

test("what the node missed and read again is measured: its users had to wait for it", async () => {
  const { bus, measured, told, metrics } = await scene();
  told.read = { kind: "recovered", entries: [entry(1), entry(2)], top: at(2) };
  bus.onGap(STREAM, "reconnected");
  await eventually("it was read", () => measured.length === 2);
  expect(measured).toEqual([1, 2]);
  expect(metrics.count("gap", "reconnected")).toBe(0);
});

test("what is handed out once more in a new epoch is not measured; the hole counts for both sessions", async () => {
  const { bus, measured, written, told, metrics } = await scene();
  bus.onEntry(entry(1));
  told.read = { kind: "not_recovered", reason: "epoch_changed", top: at(1, "e2") };
  told.seen = at(1, "e2");
  bus.onGap(STREAM, "reconnected");
  await eventually("it is told", () => metrics.count("gap", "epoch_changed") === 2);
  told.read = { kind: "recovered", entries: [entry(1, "e2")], top: at(1, "e2") };
  bus.onEntry(entry(2, "e2"));
  await eventually("it goes on", () => written.includes(2));
  expect(measured.filter((offset) => offset === 1)).toEqual([1]);
});

test("a window that has moved on is a hole for each session", async () => {
  const { bus, told, metrics } = await scene();
  told.read = { kind: "not_recovered", reason: "window_exceeded", top: at(90) };
  bus.onEntry(entry(91));
  await eventually("it is told", () => metrics.count("gap", "window_exceeded") === 2);
});
