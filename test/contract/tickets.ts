// Why: what the edges rely on in tickets: a ticket admits one caller once, and only while it is fresh.
import { describe, expect, test } from "bun:test";
import type { Identity } from "@nexus/server/core/ports.ts";
import { freshTenant, type MakeSubject } from "./subject.ts";

const identity = (change: Partial<Identity> = {}): Identity => ({
  tenant: freshTenant(),
  user: "ann",
  roles: ["ops"],
  channels: ["orders.*"],
  ...change,
});
const LIFE_MS = 30_000;

export function ticketsSuite(name: string, make: MakeSubject): void {
  describe(`tickets: ${name}`, () => {
    test("a ticket gives the whole identity, once", async () => {
      await using subject = await make();
      const { tickets } = subject.engine;
      const ann = identity({ user: "änn/ 👋", expiresAt: subject.now() + 60_000 });
      const bob = identity({ user: "bob" });
      const [first, second] = [await tickets.issue(ann, LIFE_MS), await tickets.issue(bob, LIFE_MS)];
      expect(await tickets.redeem(second)).toEqual(bob);
      expect(await tickets.redeem(first)).toEqual(ann);
      expect([await tickets.redeem(first), await tickets.redeem(second)]).toEqual([undefined, undefined]);
    });

    test("of many who redeem at once one gets it", async () => {
      await using subject = await make();
      const { tickets } = subject.engine;
      const ticket = await tickets.issue(identity(), LIFE_MS);
      const answers = await Promise.all(Array.from({ length: 10 }, () => tickets.redeem(ticket)));
      expect(answers.filter((answer) => answer !== undefined).length).toBe(1);
    });

    test("a ticket lives as long as it was given, not longer", async () => {
      await using subject = await make();
      const { tickets } = subject.engine;
      const [early, late] = [await tickets.issue(identity(), LIFE_MS), await tickets.issue(identity(), LIFE_MS)];
      const short = await tickets.issue(identity(), 1_000);
      await subject.advance(LIFE_MS - 1);
      expect(await tickets.redeem(early)).toBeDefined();
      expect(await tickets.redeem(short)).toBeUndefined();
      await subject.advance(1);
      expect(await tickets.redeem(late)).toBeUndefined();
    });

    test("tickets are secrets that fit into an address, and no two are alike", async () => {
      await using subject = await make();
      const { tickets } = subject.engine;
      const ann = identity();
      const issued = await Promise.all(Array.from({ length: 50 }, () => tickets.issue(ann, LIFE_MS)));
      expect(new Set(issued).size).toBe(50);
      for (const ticket of issued) expect(ticket).toMatch(/^[A-Za-z0-9_-]{22,128}$/); // 22: 128 bits in base64url
    });

    test("what was never issued is nothing", async () => {
      await using subject = await make();
      const { tickets } = subject.engine;
      const issued = await tickets.issue(identity(), LIFE_MS);
      for (const wrong of ["", "x", issued.slice(1), `${issued}x`, issued.toUpperCase(), "'; --", "\u0000", "x".repeat(10_000)]) {
        expect(await tickets.redeem(wrong)).toBeUndefined();
      }
      expect(await tickets.redeem(issued)).toBeDefined();
    });
  });
}
