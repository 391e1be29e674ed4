// Why: a node that stops lets its sessions go evenly, tells each another moment to come back, and ends in time.
import { describe, expect, test } from "bun:test";
import { createDrain, mayStay, reconnectAfterSeconds } from "@nexus/server/core/drain.ts";
import { createReadiness } from "@nexus/server/core/readiness.ts";
import fc from "fast-check";

function drainOf(total: number, options: { drainSeconds: number; stubborn?: boolean; settle?: () => Promise<void> }) {
  let now = 0;
  let open = total;
  const done: { at: number; what: string; count?: number }[] = [];
  const hints: number[] = [];
  const log = (level: string) => (event: string) => void done.push({ at: now, what: `${level} ${event}` });
  const drain = createDrain({
    clock: { monotonic: () => now },
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    wait: async (ms) => {
      now += ms;
    },
    random: () => 0.5,
    propagationSeconds: 5,
    pace: () => ({ drainSeconds: options.drainSeconds, reconnectJitterSeconds: 10 }),
    steps: {
      announce: () => done.push({ at: now, what: "announce" }),
      refuse: () => done.push({ at: now, what: "refuse" }),
      sessions: () => open,
      shutdown: (count, hint) => {
        if (options.stubborn) return 0;
        for (let i = 0; i < count; i++) hints.push(hint());
        open -= count;
        done.push({ at: now, what: "shutdown", count });
        return count;
      },
      settle: options.settle ?? (async () => void done.push({ at: now, what: "settle" })),
    },
  });
  return { drain, done, hints, now: () => now };
}

describe("a drain", () => {
  test("goes through its steps in order and closes at an even rate", async () => {
    const { drain, done, hints } = drainOf(1000, { drainSeconds: 30 });
    await drain.run();
    const steps = done.filter(({ what }) => !what.startsWith("info"));
    expect(steps[0]).toEqual({ at: 0, what: "announce" });
    expect(steps[1]).toEqual({ at: 5000, what: "refuse" });
    expect(steps.at(-1)?.what).toBe("settle");
    const closes = steps.filter(({ what }) => what === "shutdown");
    expect(closes.reduce((sum, { count = 0 }) => sum + count, 0)).toBe(1000);
    for (const { count = 0 } of closes) expect(count).toBeLessThanOrEqual(4); // 1000 over 30 s are 3.3 in 100 ms
    expect(closes.at(-1)?.at).toBeGreaterThanOrEqual(34_900);
    expect(closes.at(-1)?.at).toBeLessThanOrEqual(35_000);
    expect(new Set(hints)).toEqual(new Set([6]));
  });

  test("without sessions ends when endpoints have propagated; a second call waits for the first", async () => {
    const { drain, now, done } = drainOf(0, { drainSeconds: 30 });
    await Promise.all([drain.run(), drain.run()]);
    expect(now()).toBe(5000);
    expect(done.filter(({ what }) => what === "announce")).toHaveLength(1);
  });

  test("ends although nobody lets go, and although marks cannot be stored", async () => {
    const { drain, done } = drainOf(3, { drainSeconds: 30, stubborn: true, settle: () => Promise.reject(new Error("away")) });
    await drain.run();
    expect(done.map(({ what }) => what)).toContain("error drain.settle_failed");
  });

  test("never lets more stay than an even rate allows, and nobody at the end", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.double({ min: 0, max: 1, noNaN: true }), (total, share) => {
        const stay = mayStay(total, share * 30_000, 30_000);
        expect(stay).toBeLessThanOrEqual(total);
        expect(Math.abs(stay - total * (1 - share))).toBeLessThanOrEqual(1);
      }),
    );
    expect([mayStay(10, 30_000, 30_000), mayStay(10, 0, 0), mayStay(10, 0, 1000)]).toEqual([0, 0, 10]);
  });

  test("spreads reconnects over the jitter, from one second on", () => {
    expect([reconnectAfterSeconds(10, 0), reconnectAfterSeconds(10, 0.999), reconnectAfterSeconds(0, 0.9)]).toEqual([1, 10, 1]);
  });
});

describe("readiness", () => {
  test("waits for the boot copy, then for a leader or for the time, and ends with the drain", () => {
    let now = 0;
    let confirmed = false;
    const readiness = createReadiness({ clock: { monotonic: () => now }, confirmed: () => confirmed, confirmSeconds: 10 });
    expect(readiness.reasons()).toEqual(["configuration_loading"]);
    readiness.booted();
    expect(readiness.reasons()).toEqual(["configuration_unconfirmed"]);
    now = 9_999;
    expect(readiness.isReady()).toBe(false);
    confirmed = true;
    expect(readiness.isReady()).toBe(true);
    confirmed = false;
    now = 10_000;
    expect(readiness.isReady()).toBe(true);
    readiness.drain();
    expect([readiness.isReady(), readiness.isDraining(), readiness.reasons()]).toEqual([false, true, ["draining"]]);
  });
});
