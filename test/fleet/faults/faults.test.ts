// Why: the promise of the fleet under every fault that users of Redis have met: what was answered with 200 arrives, or its
// stream says so. `bun test/fleet/faults/record.ts` does the same with thousands of people and keeps the table.
import { describe, expect, test } from "bun:test";
import { FAULTS } from "./faults.ts";
import { runFault } from "./run.ts";
import { HEADER, rowOf } from "./table.ts";

const PEOPLE = 300;

describe("three nodes, a mixed load, and then", () => {
  console.log(HEADER);
  for (const fault of FAULTS) {
    test(`${fault.name}: no silent hole, nothing twice, everybody hears again`, async () => {
      const account = await runFault(fault, PEOPLE);
      console.log(rowOf(account));
      expect(account.examples).toEqual([]);
      expect({ holes: account.holes, repeated: account.repeated, gaveUp: account.gaveUp }).toEqual({ holes: 0, repeated: 0, gaveUp: 0 });
      expect(account.accepted).toBeGreaterThan(50);
      // What Redis still has is recovered, never just said to be lost.
      if (!fault.mayLose) expect(account.toldKept).toBe(0);
    }, 120_000);
  }
});
