import { describe, expect, test } from "bun:test";
import { ExportQueue, type ExportQueueOptions, type SendBatch, type SpanOutcome } from "@nexus/tracing/export-queue.ts";
import type { EndedSpan } from "@nexus/tracing/span.ts";

const span = (name: string): EndedSpan => ({
  ...{ context: { traceId: "1".repeat(32), spanId: "2".repeat(16) }, parentSpanId: undefined, name, kind: "internal" },
  ...{ startMs: 0, endMs: 1, attributes: {}, links: [], error: undefined },
});

/** Timers that fire when told; a send that ends when told. */
function stage(options: Partial<ExportQueueOptions> = {}) {
  const counts: Record<SpanOutcome, number> = { exported: 0, failed: 0, dropped: 0 };
  const timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  const batches: string[][] = [];
  const sends: PromiseWithResolvers<{ rejected: number }>[] = [];
  const send: SendBatch = (spans, signal) => {
    batches.push(spans.map(({ name }) => name));
    const one = Promise.withResolvers<{ rejected: number }>();
    signal.addEventListener("abort", () => one.resolve({ rejected: spans.length }));
    sends.push(one);
    return one.promise;
  };
  const queue = new ExportQueue({
    send,
    counted: (outcome, count) => (counts[outcome] += count),
    after(ms, run) {
      const timer = { ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    ...{ maxWaiting: 5, batchSize: 3 },
    ...options,
  });
  const fire = (ms: number) => {
    for (const timer of timers) {
      if (timer.ms !== ms) continue;
      timers.delete(timer);
      timer.run();
    }
  };
  const add = (...names: string[]) => names.forEach((name) => void queue.add(span(name)));
  /** Ends the send of a batch, and lets what follows happen. */
  const answer = async (index: number, rejected = 0) => {
    sends[index]?.resolve({ rejected });
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, counts, timers, batches, fire, add, answer };
}

const GATHER_MS = 2000;

describe("spans on their way out", () => {
  test("wait for company, and go together", async () => {
    const { add, fire, batches, answer, counts } = stage();
    add("a", "b");
    expect(batches).toEqual([]);
    fire(GATHER_MS);
    expect(batches).toEqual([["a", "b"]]);
    await answer(0);
    expect(counts).toEqual({ exported: 2, failed: 0, dropped: 0 });
  });

  test("go at once when a batch is full, one batch after the other", async () => {
    const { add, batches, answer, counts } = stage();
    add("a", "b", "c", "d");
    expect(batches).toEqual([["a", "b", "c"]]);
    await answer(0);
    expect(batches).toEqual([["a", "b", "c"], ["d"]]);
    await answer(1);
    expect(counts.exported).toBe(4);
  });

  test("are dropped and counted when too many wait", async () => {
    const { add, batches, answer, counts } = stage();
    add("a", "b", "c"); // on its way, and it does not come back
    add("d", "e", "f", "g", "h", "i", "j");
    expect(batches.length).toBe(1);
    expect(counts.dropped).toBe(2);
    await answer(0, 3);
    await answer(1);
    await answer(2);
    expect(counts).toEqual({ exported: 5, failed: 3, dropped: 2 });
  });

  test("are counted as failed as far as the collector refused them", async () => {
    const { add, answer, counts } = stage();
    add("a", "b", "c");
    await answer(0, 1);
    expect(counts).toEqual({ exported: 2, failed: 1, dropped: 0 });
  });

  test("go on after a batch that failed", async () => {
    const { add, fire, batches, answer } = stage();
    add("a", "b", "c");
    await answer(0, 3);
    add("d");
    fire(GATHER_MS);
    expect(batches[1]).toEqual(["d"]);
  });
});

describe("the end", () => {
  test("sends what waits", async () => {
    const { queue, add, batches, answer, counts, timers } = stage();
    add("a");
    const closed = queue.close(3000);
    expect(batches).toEqual([["a"]]);
    await answer(0);
    await closed;
    expect(counts.exported).toBe(1);
    expect(timers.size).toBe(0);
  });

  test("waits no longer than it may, and drops the rest", async () => {
    const { queue, add, fire, counts } = stage();
    add("a", "b", "c", "d", "e");
    const closed = queue.close(3000);
    fire(3000);
    await closed;
    expect(counts).toEqual({ exported: 0, failed: 3, dropped: 2 });
    add("late");
    expect(counts.dropped).toBe(3);
  });

  test("has nothing to wait for when nothing waits", async () => {
    const { queue, timers, counts } = stage();
    await queue.close(3000);
    expect(timers.size).toBe(0);
    expect(counts).toEqual({ exported: 0, failed: 0, dropped: 0 });
  });
});
