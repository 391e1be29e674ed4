// Why: what the statistics operations rely on: counters that add up per tenant, in all, and by UTC day.
import { describe, expect, test } from "bun:test";
import type { Counters } from "@nexus/server/core/record-ports.ts";
import { freshTenant, type MakeSubject } from "./subject.ts";

const NOTHING: Counters = { sessions: 0, sent: { user: 0, channel: 0, broadcast: 0 }, delivered: 0, failed: 0 };
const DAY_MS = 86_400_000;

export function statsSuite(name: string, make: MakeSubject): void {
  describe(`stats: ${name}`, () => {
    test("count sessions, publishes by target, deliveries and failures", async () => {
      await using subject = await make();
      const { stats } = subject.engine;
      const tenant = freshTenant();
      stats.sessionOpened(tenant);
      stats.sessionOpened(tenant);
      stats.published(tenant, "inbox", 2);
      stats.published(tenant, "inbox", 0);
      stats.published(tenant, "channel", 40);
      stats.published(tenant, "broadcast", 3);
      stats.failed(tenant);
      const counted: Counters = { sessions: 2, sent: { user: 2, channel: 1, broadcast: 1 }, delivered: 45, failed: 1 };
      expect([await stats.total(tenant), await stats.today(tenant)]).toEqual([counted, counted]);
    });

    test("a tenant sees its own, the sum has all; nobody's are zero", async () => {
      await using subject = await make();
      const { stats } = subject.engine;
      const [one, other] = [freshTenant(), freshTenant()];
      const before = { total: await stats.total(), today: await stats.today() };
      stats.published(one, "inbox", 1);
      stats.published(other, "inbox", 10);
      stats.failed(other);
      expect((await stats.total(one)).delivered).toBe(1);
      expect(await stats.total(freshTenant())).toEqual(NOTHING);
      expect(await stats.today(freshTenant())).toEqual(NOTHING);
      const after = { total: await stats.total(), today: await stats.today() };
      for (const kind of ["total", "today"] as const) {
        const grown = (pick: (counters: Counters) => number) => pick(after[kind]) - pick(before[kind]);
        expect([grown(({ sent }) => sent.user), grown(({ delivered }) => delivered), grown(({ failed }) => failed)]).toEqual([2, 11, 1]);
      }
    });

    test("today starts at midnight UTC, the total goes on", async () => {
      await using subject = await make();
      const { stats } = subject.engine;
      const [tenant, silent] = [freshTenant(), freshTenant()];
      const untilMidnight = DAY_MS - (subject.now() % DAY_MS);
      await subject.advance(untilMidnight - 1);
      stats.published(tenant, "channel", 1);
      stats.sessionOpened(silent);
      expect((await stats.today(tenant)).sent.channel).toBe(1);
      await subject.advance(1);
      expect([await stats.today(tenant), await stats.today(silent)]).toEqual([NOTHING, NOTHING]);
      stats.published(tenant, "channel", 1);
      expect((await stats.today(tenant)).sent.channel).toBe(1);
      expect((await stats.total(tenant)).sent.channel).toBe(2);
      expect((await stats.total(silent)).sessions).toBe(1);
      await subject.advance(3 * DAY_MS);
      expect(await stats.today(tenant)).toEqual(NOTHING);
    });
  });
}
