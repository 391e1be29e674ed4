// Why: a store that lost entries in a failover and has grown again gives old places to new entries. Offsets cannot tell; ids do.
import { expect, test } from "bun:test";
import type { Position } from "@nexus/protocol/cursor.ts";
import { CatchUp } from "@nexus/server/core/catch-up.ts";
import { Fan } from "@nexus/server/core/fan.ts";
import type { Entry, StreamId, StreamStore } from "@nexus/server/core/ports.ts";

const STREAM: StreamId = { kind: "channel", tenant: "acme", channel: "kept" };
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const metadata = { source: "test", priority: "Normal" as const };
const entry = (offset: number, id: string): Entry => ({
  stream: STREAM,
  notification: { id, occurredAt: 0, eventType: "t", payloadJson: "1", metadata },
  position: { epoch: "e1", offset },
});

/** A store that holds these entries, the first of them the oldest it ever had since it lost the rest. */
function storeOf(known: readonly Entry[], seen: Position[]): Pick<StreamStore, "read" | "seen" | "top"> {
  let entries = known;
  let top = entries.at(-1)?.position ?? { epoch: "e1", offset: 0 };
  const first = entries[0]?.position?.offset ?? 1;
  return {
    top: async () => top,
    seen: async (_, position) => {
      seen.push(position);
      if (top.offset >= position.offset) return top;
      top = { epoch: "e2", offset: top.offset };
      entries = entries.map((one) => ({ ...one, position: { epoch: "e2", offset: one.position?.offset ?? 0 } }));
      return top;
    },
    read: async (_, since) => {
      if (since.epoch !== top.epoch) return { kind: "not_recovered", reason: "epoch_changed", top };
      if (since.offset > top.offset) return { kind: "not_recovered", reason: "unverifiable", top };
      if (since.offset < first - 1) return { kind: "not_recovered", reason: "window_exceeded", top };
      return { kind: "recovered", top, entries: entries.filter(({ position }) => (position?.offset ?? 0) > since.offset) };
    },
  };
}

async function catchUp(entries: readonly Entry[], announced: readonly [number, string | undefined]) {
  const fan = new Fan(STREAM);
  fan.announced = { epoch: "e1", offset: announced[0] };
  fan.announcedId = announced[1];
  const delivered: string[] = [];
  const gaps: unknown[] = [];
  const seen: Position[] = [];
  const work = new CatchUp({
    ...{ store: storeOf(entries, seen), log: silent, isKept: () => true, hasListeners: () => true },
    defer: (run) => void setImmediate(run),
    deliver: (_, one) => void delivered.push(one.notification.id),
    tellGap: (_, reason, position) => void gaps.push([reason, position]),
  });
  await new Promise<void>((resolve) => work.begin(fan, "reconnected", () => resolve()));
  return { delivered, gaps, seen, fan };
}

test("entries after the last one are handed out when that one is still in its place", async () => {
  const { delivered, gaps, fan } = await catchUp([entry(1, "a"), entry(2, "b"), entry(3, "c")], [2, "b"]);
  expect([delivered, gaps]).toEqual([["c"], []]);
  expect([fan.announced?.offset, fan.announcedId]).toEqual([3, "c"]);
});

test("another entry in its place starts a new epoch, and the gap is told", async () => {
  const { delivered, gaps, seen, fan } = await catchUp([entry(1, "a"), entry(2, "other"), entry(3, "c")], [2, "b"]);
  expect(gaps).toEqual([["epoch_changed", { epoch: "e2", offset: 0 }]]);
  expect(delivered).toEqual(["a", "other", "c"]); // which of them are new only their ids can tell
  expect(seen).toEqual([{ epoch: "e1", offset: Number.MAX_SAFE_INTEGER }]);
  expect(fan.announced).toEqual({ epoch: "e2", offset: 3 });
});

test("a store that is behind starts a new epoch", async () => {
  const { delivered, gaps, seen } = await catchUp([entry(1, "a")], [3, "c"]);
  expect([delivered, gaps, seen]).toEqual([["a"], [["epoch_changed", { epoch: "e2", offset: 0 }]], [{ epoch: "e1", offset: 3 }]]);
});

test("where the last one has left the window, or was never seen here, what follows is still handed out", async () => {
  expect((await catchUp([entry(3, "c"), entry(4, "d")], [2, "b"])).delivered).toEqual(["c", "d"]);
  expect((await catchUp([entry(1, "a"), entry(2, "x"), entry(3, "c")], [2, undefined])).delivered).toEqual(["c"]);
  expect((await catchUp([entry(2, "b")], [2, "b"])).gaps).toEqual([]);
});

test("of a long stream in another epoch, what came about the last known place and after it is handed out behind the gap", async () => {
  const grown = Array.from({ length: 60 }, (_, i) => entry(i + 1, i < 40 ? `old-${i + 1}` : `new-${i + 1}`));
  const { delivered, gaps, fan } = await catchUp(grown, [45, "lost-45"]);
  expect(gaps).toEqual([["epoch_changed", { epoch: "e2", offset: 28 }]]);
  expect(delivered).toEqual(grown.slice(28).map(({ notification }) => notification.id));
  expect([fan.announced, fan.announcedId]).toEqual([{ epoch: "e2", offset: 60 }, "new-60"]);
});
