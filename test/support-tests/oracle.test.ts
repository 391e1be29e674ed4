// Why: a matrix of faults without holes is worth what its oracle is worth: it has to see each way a promise can be broken.
import { expect, test } from "bun:test";
import { inboxOf, Ledger } from "../support/fleet/ledger.ts";
import { judge, type Witness } from "../support/fleet/oracle.ts";
import { SilenceMeter } from "../support/fleet/silence.ts";

const NEWS = "channel:kept.news";

function witness(got: readonly string[], told: readonly number[] = [], repeated: readonly string[] = []): Witness {
  return {
    user: "ann",
    got: new Map([
      ["user", new Set<string>()],
      [NEWS, new Set(got)],
    ]),
    told: new Map([[NEWS, told.map((at) => ({ at, reason: "test" }))]]),
    repeated: [...repeated],
  };
}

function ledgerOf(...askedAt: readonly number[]): Ledger {
  const ledger = new Ledger();
  askedAt.forEach((at, n) => void ledger.accept(NEWS, { id: `n${n}`, askedAt: at, answeredAt: at + 1 }));
  return ledger;
}

test("what did not arrive and was not told is a hole", () => {
  const verdict = judge(ledgerOf(10, 20, 30), [witness(["n0", "n2"])]);
  expect(verdict).toMatchObject({ owed: 3, delivered: 2, told: 0, holes: 1 });
  expect(verdict.examples[0]).toContain("n1");
});

test("a loss that was told covers what was published before, and nothing after", () => {
  expect(judge(ledgerOf(10, 20), [witness([], [15])])).toMatchObject({ told: 1, toldKept: 1, holes: 1 });
});

test("an inbox is its user's: what went to another is not owed", () => {
  const ledger = ledgerOf();
  for (const user of ["ann", "bob"]) ledger.accept(inboxOf(user), { id: user, askedAt: 1, answeredAt: 2 });
  expect(judge(ledger, [witness([])])).toMatchObject({ owed: 1, holes: 1 });
});

test("what came twice counts", () => {
  expect(judge(ledgerOf(1), [witness(["n0"], [], [`${NEWS} n0`])])).toMatchObject({ holes: 0, repeated: 1 });
});

test("a silence is what is longer than the threshold, and ends with the next news", () => {
  const meter = new SilenceMeter(2, 100);
  for (const at of [1000, 1050, 1400, 1450]) meter.heard(0, at);
  meter.heard(1, 1500);
  expect([meter.longestMs, meter.endedAt, meter.cutOff]).toEqual([350, 1400, 1]);
  expect([meter.isAliveSince(1449), meter.isAliveSince(1450)]).toEqual([true, false]);
});
