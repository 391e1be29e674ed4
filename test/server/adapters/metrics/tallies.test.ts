// Why: series by tenant are worth their price only if there are few of them, the same on every node, and none that a
// stranger made up; and if what they add up to is never wrong when the choice changes.
import { describe, expect, test } from "bun:test";
import { lowest, TenantTallies } from "@nexus/server/adapters/metrics/tallies.ts";
import fc from "fast-check";

function scene(most: number, ids: string[], limits: Readonly<Record<string, number>> = {}) {
  const declared = { ids, version: 0 };
  const tallies = new TenantTallies(most);
  tallies.observe({
    isDeclared: (id) => declared.ids.includes(id),
    ids: () => declared.ids,
    sessionsLimit: (id) => limits[id],
    digest: () => String(declared.version),
  });
  return {
    tallies,
    declare(...now: string[]) {
      declared.ids = now;
      declared.version++;
    },
    shown(): Record<string, number> {
      return Object.fromEntries(Object.values(tallies.samples()).flat());
    },
  };
}

/** A name among these that has no series of its own when only one has. */
const hidden = (names: readonly string[]): string => names.find((name) => name !== lowest(names, 1)[0]) ?? "";

describe("tenants", () => {
  test("are counted by what they do, and shown with the limit of their quota", () => {
    const { tallies, shown } = scene(10, ["acme", "globex"], { acme: 50 });
    const acme = tallies.of("acme");
    if (!acme) throw new Error("acme is declared");
    acme.sessions = 2;
    acme.deliveries = 7;
    tallies.published("acme", "published");
    tallies.published("acme", "published");
    tallies.published("globex", "failed");
    tallies.refused("acme", "rate_limited");
    expect(shown()).toEqual({
      'nexus_tenant_sessions{tenant="acme"}': 2,
      'nexus_tenant_sessions{tenant="globex"}': 0,
      'nexus_tenant_sessions{tenant="other"}': 0,
      'nexus_tenant_sessions_limit{tenant="acme"}': 50,
      'nexus_tenant_publishes_total{tenant="acme",outcome="published"}': 2,
      'nexus_tenant_publishes_total{tenant="globex",outcome="failed"}': 1,
      'nexus_tenant_deliveries_total{tenant="acme"}': 7,
      'nexus_tenant_refusals_total{tenant="acme",code="rate_limited"}': 1,
    });
  });

  test("that nobody declared are not known, whatever they are called", () => {
    const { tallies, shown } = scene(10, ["acme"]);
    for (const name of ["ghost", 'x"} 1\nnexus_ready 0', "__proto__", "constructor", ""]) {
      expect(tallies.of(name)).toBeUndefined();
      tallies.published(name, "published");
      tallies.refused(name, "unauthorized");
    }
    expect(shown()).toEqual({ 'nexus_tenant_sessions{tenant="other"}': 0 });
  });

  test("are not counted at all where none is to be shown", () => {
    const { tallies, shown } = scene(0, ["acme"]);
    tallies.published("acme", "published");
    expect([tallies.of("acme"), shown()]).toEqual([undefined, {}]);
  });

  test("above the cap are other together, and one that is called other is one of them", () => {
    const names = ["a", "b", "c", "d", "other"];
    const { tallies, shown } = scene(2, names);
    for (const name of names) tallies.published(name, "published");
    const own = lowest(names, 2).filter((name) => name !== "other");
    expect(shown()).toEqual({
      ...Object.fromEntries(own.map((name) => [`nexus_tenant_sessions{tenant="${name}"}`, 0])),
      'nexus_tenant_sessions{tenant="other"}': 0,
      ...Object.fromEntries(own.map((name) => [`nexus_tenant_publishes_total{tenant="${name}",outcome="published"}`, 1])),
      'nexus_tenant_publishes_total{tenant="other",outcome="published"}': names.length - own.length,
    });
  });

  test("that are removed leave nothing behind but what they were in other", () => {
    const names = ["acme", "acme2", "globex"];
    const gone = hidden(names);
    const { tallies, shown, declare } = scene(1, names);
    for (const name of names) tallies.published(name, "published");
    const before = shown();
    declare(...names.filter((name) => name !== gone));
    expect(shown()).toEqual(before);
    const own = lowest(names, 1)[0] ?? "";
    declare();
    shown();
    expect(tallies.of(own)).toBeUndefined();
    expect(shown()).toEqual({
      'nexus_tenant_sessions{tenant="other"}': 0,
      'nexus_tenant_publishes_total{tenant="other",outcome="published"}': 2,
    });
  });
});

test("two nodes choose the same tenants, whatever the order they know them in", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 40 });
  fc.assert(
    fc.property(names, fc.nat(50), fc.nat(), (some, most, seed) => {
      const shuffled = some.toSorted((a, b) => Bun.hash.xxHash32(a, seed) - Bun.hash.xxHash32(b, seed));
      expect(new Set(lowest(some, most))).toEqual(new Set(lowest(shuffled, most)));
      expect(lowest(some, most)).toHaveLength(Math.min(most, some.length));
    }),
  );
});

test("no counter ever falls or jumps, however tenants come and go", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const step = fc.oneof(
    fc.record({ publish: fc.constantFrom(...names) }),
    fc.record({ declare: fc.subarray(names) }),
    fc.constant({ look: true as const }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { tallies, shown, declare } = scene(2, names);
      const before = new Map<string, number>();
      let published = 0;
      for (const one of steps) {
        if ("publish" in one) {
          if (tallies.of(one.publish)) published++;
          tallies.published(one.publish, "published");
        } else if ("declare" in one) declare(...one.declare);
        else {
          const counters = Object.entries(shown()).filter(([series]) => series.includes("_total"));
          const growth = counters.map(([series, value]) => value - (before.get(series) ?? 0));
          expect(Math.min(0, ...growth)).toBe(0);
          expect(growth.reduce((sum, value) => sum + value, 0)).toBeLessThanOrEqual(published);
          published = 0;
          for (const series of [...before.keys()]) if (!counters.some(([now]) => now === series)) before.delete(series);
          for (const [series, value] of counters) before.set(series, value);
        }
      }
    }),
  );
});
