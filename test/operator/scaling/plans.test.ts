// Why: what goes first, who hands over, and when a rollout stops are decided by small rules that must hold at their edges.
import { describe, expect, test } from "bun:test";
import { BALANCED, shedOrders } from "@nexus/operator/plan/balance.ts";
import { costOf, deletionCost, takesEmptiest } from "@nexus/operator/plan/deletion-cost.ts";
import { type Attempts, countedAttempts, type ErrorsState, mustPause, NO_ERRORS, QUIET_MS } from "@nexus/operator/plan/rollout-errors.ts";
import fc from "fast-check";

describe("deletion costs", () => {
  test("grow by one each time the sessions double; a pod that does not say is as dear as can be", () => {
    expect([0, 1, 2, 3, 4, 1023, 1024, 1_000_000].map(deletionCost)).toEqual([0, 1, 2, 2, 3, 10, 11, 20]);
    expect(deletionCost(undefined)).toBeGreaterThan(deletionCost(1_000_000));
  });

  test("are read as Kubernetes reads them", () => {
    const cost = (text: string) => costOf({ "controller.kubernetes.io/pod-deletion-cost": text });
    expect([cost("7"), cost("-3"), cost("x"), cost(""), costOf(undefined), costOf({})]).toEqual([7, -3, 0, 0, 0, 0]);
  });
});

describe("costs that are a minute old", () => {
  const pods = (...list: (readonly [cost: number, sessions: number | undefined])[]) => list.map(([cost, sessions]) => ({ cost, sessions }));

  test("are good enough while the emptiest would go, give or take a factor of two", () => {
    expect(takesEmptiest(pods([4, 12], [5, 20], [7, 64], [7, 84]), 1)).toBe(true);
    expect(takesEmptiest(pods([4, 25], [5, 20], [7, 64]), 1)).toBe(true);
    expect(takesEmptiest(pods([4, 90], [5, 20], [7, 64]), 1)).toBe(false);
    expect(takesEmptiest(pods([4, 90], [5, 20], [7, 64]), 2)).toBe(true); // the fullest two differ by less than two times
    expect(takesEmptiest(pods([0, 90], [0, 3]), 1)).toBe(false); // of equal cost either may go
    expect(takesEmptiest(pods([4, undefined], [5, 20]), 1)).toBe(true);
    expect(takesEmptiest([], 1)).toBe(true);
  });

  test("just written are always good enough", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5_000), { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 12 }), (sessions, count) => {
        expect(
          takesEmptiest(
            sessions.map((one) => ({ cost: deletionCost(one), sessions: one })),
            count,
          ),
        ).toBe(true);
      }),
    );
  });
});

describe("handing over after growth", () => {
  const weight = (pod: string, sessions: number, acceptsPerSecond = 100) => ({ pod, sessions, acceptsPerSecond });

  test("what is above the mean, at half of what the emptier can take, shared by surplus", () => {
    expect(shedOrders([weight("a", 1000), weight("b", 1000), weight("c", 0), weight("d", 0)])).toEqual([
      { pod: "a", sessions: 500, perSecond: 50 },
      { pod: "b", sessions: 500, perSecond: 50 },
    ]);
    expect(shedOrders([weight("a", 900), weight("b", 600), weight("c", 0)])).toEqual([
      { pod: "a", sessions: 400, perSecond: 40 },
      { pod: "b", sessions: 100, perSecond: 10 },
    ]);
  });

  test("nothing while they are close, few, or nobody can take more", () => {
    expect(shedOrders([weight("a", 125), weight("b", 100), weight("c", 75)])).toEqual([]);
    expect(shedOrders([weight("a", 8), weight("b", 0)])).toEqual([]);
    expect(shedOrders([weight("a", 1000), weight("b", 0, 0)])).toEqual([]);
    expect(shedOrders([])).toEqual([]);
  });

  test("never more than the surplus, never faster than the others can take, and ends balanced when clients spread", () => {
    const pods = fc.array(fc.record({ sessions: fc.nat(10_000), accepts: fc.nat(1_000) }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(pods, (list) => {
        let weights = list.map(({ sessions, accepts }, index) => weight(String(index), sessions, accepts + 1));
        const total = weights.reduce((sum, one) => sum + one.sessions, 0);
        const mean = total / weights.length;
        const rounding = 1e-6; // of sums that are added up in another order
        for (let round = 0; round < 12; round++) {
          const orders = shedOrders(weights);
          const budget = weights.filter((one) => one.sessions < mean + rounding).reduce((sum, one) => sum + one.acceptsPerSecond, 0);
          expect(orders.reduce((sum, one) => sum + one.perSecond, 0)).toBeLessThanOrEqual(budget + rounding);
          for (const { pod, sessions } of orders)
            expect(sessions).toBeLessThanOrEqual((weights[Number(pod)]?.sessions ?? 0) - mean + rounding);
          const sent = new Map(orders.map((one) => [one.pod, one.sessions]));
          const back = orders.reduce((sum, one) => sum + one.sessions, 0) / weights.length;
          weights = weights.map((one) => ({ ...one, sessions: one.sessions - (sent.get(one.pod) ?? 0) + back }));
        }
        const fullest = Math.max(...weights.map((one) => one.sessions));
        expect(fullest).toBeLessThanOrEqual(Math.max(mean * BALANCED, mean + 10) + rounding);
      }),
    );
  });
});

describe("failures during a rollout", () => {
  const rounds = (
    list: readonly (readonly [atMs: number, pods: Readonly<Record<string, Attempts | undefined>>])[],
    from: ErrorsState = NO_ERRORS,
  ) => list.reduce((state, [atMs, pods]) => countedAttempts(state, new Map(Object.entries(pods)), atMs), from);
  const said = (opened: number, refused: number): Attempts => ({ opened, refused });

  test("pause it when they are many and a tenth of all attempts; two quiet minutes later it goes on", () => {
    const bad = rounds([
      [0, { a: said(1000, 50) }],
      [15_000, { a: said(1010, 50), b: said(10, 19) }],
    ]);
    expect(mustPause(bad, 15_000)).toBe(false); // what was before we looked is nobody's rollout
    const worse = rounds([[30_000, { a: said(1010, 50), b: said(10, 20) }]], bad);
    expect(mustPause(worse, 30_000)).toBe(true);
    const quiet = rounds([[45_000, { a: said(1010, 50), b: said(30, 20) }]], worse);
    expect(mustPause(quiet, 30_000 + QUIET_MS - 1)).toBe(true);
    expect(mustPause(quiet, 30_000 + QUIET_MS)).toBe(false);
  });

  test("do not when the others get in, when they are spread over time, or when a pod only was silent for a while", () => {
    const crowd = rounds([
      [0, { a: said(0, 0) }],
      [15_000, { a: said(1000, 25) }],
    ]);
    expect(mustPause(crowd, 15_000)).toBe(false);
    const spread = Array.from({ length: 20 }, (_, index) => [index * 61_000, { a: said(0, index * 15) }] as const);
    expect(mustPause(rounds(spread), 20 * 61_000)).toBe(false);
    const silent = rounds([
      [0, { a: said(0, 500) }],
      [15_000, { a: undefined }],
      [30_000, { a: said(0, 500) }],
    ]);
    expect(mustPause(silent, 30_000)).toBe(false);
  });

  test("are counted from 0 again after a restart", () => {
    const restarted = rounds([
      [0, { a: said(100, 500) }],
      [15_000, { a: said(0, 25) }],
    ]);
    expect(mustPause(restarted, 15_000)).toBe(true);
  });
});
