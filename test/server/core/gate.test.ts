// Why: bursts go through a gate: never more than it has room for, in order, and a failure costs no turn.
import { expect, test } from "bun:test";
import { Gate } from "@nexus/server/core/gate.ts";
import fc from "fast-check";
import { fuzzSettings } from "../../support/fuzz.ts";

test("everything passes once, in order, never more than there is room for, whatever fails", async () => {
  const work = fc.array(fc.record({ turns: fc.integer({ min: 0, max: 5 }), fails: fc.boolean() }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), work, async (room, all) => {
      const gate = new Gate(room);
      const begun: number[] = [];
      let inside = 0;
      const outcomes = await Promise.allSettled(
        all.map(({ turns, fails }, index) =>
          gate.pass(async () => {
            begun.push(index);
            expect(++inside).toBeLessThanOrEqual(room);
            for (let turn = 0; turn < turns; turn++) await Promise.resolve();
            inside--;
            if (fails) throw new Error("failed");
          }),
        ),
      );
      expect(begun).toEqual(all.map((_, index) => index));
      expect(outcomes.map(({ status }) => status)).toEqual(all.map(({ fails }) => (fails ? "rejected" : "fulfilled")));
      expect(inside).toBe(0);
    }),
    fuzzSettings(10),
  );
});
