import { expect, test } from "bun:test";
import { KeyedBackoff, QUEUE_BACKOFF } from "@nexus/operator/loop/backoff.ts";
import { PRIORITY, WorkQueue } from "@nexus/operator/loop/queue.ts";
import { type Outcome, runWorkers } from "@nexus/operator/loop/workers.ts";
import fc from "fast-check";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const setup = (random: () => number = () => 0) => {
  const clock = new ManualClock();
  return { clock, queue: new WorkQueue<string>({ clock, random }) };
};

test("hands out a key once however often it was added", async () => {
  const { queue } = setup();
  queue.add("a");
  queue.add("a");
  queue.add("b");
  expect((await queue.take())?.key).toBe("a");
  expect((await queue.take())?.key).toBe("b");
  expect(queue.depth).toBe(0);
});

test("a key added while it is worked on comes back after done, and not before", async () => {
  const { queue } = setup();
  queue.add("a");
  await queue.take();
  queue.add("a", PRIORITY.edit);
  expect(queue.depth).toBe(0);
  queue.done("a");
  expect(await queue.take()).toEqual({ key: "a", priority: PRIORITY.edit });
});

test("an edit overtakes the initial list, also for a key that already waits", async () => {
  const { queue } = setup();
  for (const key of ["a", "b", "c"]) queue.add(key, PRIORITY.initial);
  queue.add("c", PRIORITY.edit);
  queue.add("d", PRIORITY.resync);
  const order: string[] = [];
  for (let i = 0; i < 4; i++) order.push((await queue.take())?.key ?? "none");
  expect(order).toEqual(["c", "d", "a", "b"]);
});

test("a waiting taker gets the key that is added", async () => {
  const { queue } = setup();
  const taken = queue.take();
  queue.add("a");
  expect((await taken)?.key).toBe("a");
});

test("a delayed key comes at its time; the earlier of two times wins; an add replaces both", async () => {
  const { clock, queue } = setup();
  queue.addAfter("a", 1000);
  queue.addAfter("a", 500);
  queue.addAfter("a", 2000);
  await clock.advance(499);
  expect(queue.depth).toBe(0);
  await clock.advance(1);
  expect(queue.depth).toBe(1);
  expect(clock.pending).toBe(0);
  queue.addAfter("b", 1000);
  queue.add("b");
  expect(clock.pending).toBe(0);
});

test("failures back off with doubling windows up to the cap, jittered over the whole window, and reset on forget", () => {
  const top = new KeyedBackoff<string>(QUEUE_BACKOFF, () => 0);
  expect(Array.from({ length: 4 }, () => top.nextDelayMs("k"))).toEqual([50, 100, 200, 400]);
  for (let i = 0; i < 100; i++) top.nextDelayMs("k");
  expect(top.nextDelayMs("k")).toBe(300_000);
  top.reset("k");
  expect(top.nextDelayMs("k")).toBe(50);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.double({ min: 0, max: 0.999999, noNaN: true }), (failures, random) => {
      const backoff = new KeyedBackoff<string>(QUEUE_BACKOFF, () => random);
      for (let i = 1; i < failures; i++) backoff.nextDelayMs("k");
      const delay = backoff.nextDelayMs("k");
      return delay >= 1 && delay <= Math.min(300_000, 50 * 2 ** (failures - 1));
    }),
  );
});

test("shutdown drops what waits, frees the takers and resolves when the last key is done", async () => {
  const { clock, queue } = setup();
  queue.add("a");
  await queue.take();
  queue.addAfter("later", 10);
  const waiting = queue.take();
  let drained = false;
  const shutDown = queue.shutDown().then(() => {
    drained = true;
  });
  expect(await waiting).toBeUndefined();
  await clock.advance(1000);
  expect(drained).toBe(false);
  queue.done("a");
  await shutDown;
  queue.add("b");
  expect(await queue.take()).toBeUndefined();
});

test("reports depth, adds, waiting and working time and retries", async () => {
  const clock = new ManualClock();
  const seen = { depth: [] as number[], added: 0, waited: [] as number[], worked: [] as number[], retried: 0 };
  const queue = new WorkQueue<string>({
    clock,
    random: () => 0,
    metrics: {
      depth: (n) => seen.depth.push(n),
      added: () => seen.added++,
      waited: (s) => seen.waited.push(s),
      worked: (s) => seen.worked.push(s),
      retried: () => seen.retried++,
    },
  });
  queue.add("a");
  queue.add("a");
  await clock.advance(2000);
  await queue.take();
  await clock.advance(3000);
  queue.retry("a");
  queue.done("a");
  expect(seen).toEqual({ depth: [1, 0], added: 1, waited: [2], worked: [3], retried: 1 });
});

test("workers map outcomes: done forgets, again waits, failed backs off, a throw is a failure and no worker dies", async () => {
  const { clock, queue } = setup();
  const script: Record<string, (Outcome | Error)[]> = {
    ok: [{ kind: "failed", error: "once", retry: true }, { kind: "done" }],
    again: [{ kind: "again", afterMs: 60_000 }, { kind: "done" }],
    never: [{ kind: "failed", error: "user", retry: false }],
    throws: [new Error("bug"), { kind: "done" }],
    told: [{ kind: "failed", error: "429", retry: true, afterMs: 7000 }, { kind: "done" }],
  };
  const passes: string[] = [];
  const failures: string[] = [];
  const successes: string[] = [];
  const running = runWorkers({
    queue,
    workers: 2,
    reconcile: async (key) => {
      passes.push(key);
      const step = script[key]?.shift();
      if (!step) throw new Error(`unexpected pass of ${key}`);
      if (step instanceof Error) throw step;
      return step;
    },
    onFailure: (key, _error, retryInMs) => failures.push(`${key}:${retryInMs ?? "never"}`),
    onOutcome: (key, { kind }) => {
      if (kind !== "failed") successes.push(key);
    },
  });
  for (const key of Object.keys(script)) queue.add(key);
  await clock.advance(59_999);
  expect([...passes].sort()).toEqual(["again", "never", "ok", "ok", "throws", "throws", "told", "told"]);
  await clock.advance(1);
  expect(passes.filter((key) => key === "again")).toHaveLength(2);
  expect([...failures].sort()).toEqual(["never:never", "ok:50", "throws:50", "told:7000"]);
  expect(queue.failures("ok")).toBe(0);
  // Every pass is one or the other.
  expect(successes.length + failures.length).toBe(passes.length);
  await queue.shutDown();
  await running;
});

test("no key is ever lost and none is worked on twice at once, whatever the order of calls", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("add" as const), key: fc.constantFrom("a", "b", "c"), priority: fc.constantFrom(0, -50, -100) }),
    fc.record({ do: fc.constant("after" as const), key: fc.constantFrom("a", "b", "c"), ms: fc.integer({ min: 0, max: 100 }) }),
    fc.record({ do: fc.constant("take" as const) }),
    fc.record({ do: fc.constant("done" as const), index: fc.nat(2) }),
    fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 100 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { clock, queue } = setup();
      const owed = new Set<string>(); // keys for which a pass has to start after the last add
      const working: string[] = [];
      const take = async () => {
        if (queue.depth === 0) return;
        const item = await queue.take();
        if (!item || working.includes(item.key)) throw new Error("taken twice");
        working.push(item.key);
        owed.delete(item.key);
      };
      for (const s of steps) {
        if (s.do === "add") {
          queue.add(s.key, s.priority);
          owed.add(s.key);
        } else if (s.do === "after") {
          queue.addAfter(s.key, s.ms);
          owed.add(s.key);
        } else if (s.do === "take") await take();
        else if (s.do === "advance") await clock.advance(s.ms);
        else {
          const key = working.splice(s.index, 1)[0];
          if (key) queue.done(key);
        }
      }
      await clock.advance(1000);
      for (const key of working.splice(0)) queue.done(key);
      while (queue.depth > 0) await take();
      expect([...owed]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("100,000 keys go through in well under the time a quadratic queue needs", async () => {
  const { queue } = setup();
  const started = performance.now();
  for (let i = 0; i < 100_000; i++) queue.add(`key-${i}`, PRIORITY.initial);
  let last = "";
  for (let i = 0; i < 100_000; i++) {
    const item = await queue.take();
    last = item?.key ?? "none";
    queue.done(last);
  }
  expect(last).toBe("key-99999");
  expect(performance.now() - started).toBeLessThan(5000);
});
