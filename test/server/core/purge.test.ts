// Why: what a node does about tombstones, with an engine whose answers the test gives and a clock it moves.
import { expect, test } from "bun:test";
import { createPurger, type PurgerDeps } from "@nexus/server/core/purge.ts";
import type { PurgeOutcome, Tombstone } from "@nexus/server/core/purge-ports.ts";
import { eventually } from "../../support/eventually.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";

const acme: Tombstone = { tenant: "acme", uid: "1" };
const globex: Tombstone = { tenant: "globex", uid: "2" };

function scene(answers: readonly (PurgeOutcome | Error)[] = []) {
  const told = { tombstones: [] as Tombstone[], tenants: new Set<string>(), confirmed: true };
  const listeners = new Set<() => void>();
  const asked: Tombstone[] = [];
  const logged: string[] = [];
  const metrics = recordingMetrics();
  const waits: { ms: number; go: () => void }[] = [];
  let now = 0;
  const deps: PurgerDeps = {
    live: {
      tombstones: () => told.tombstones,
      confirmed: () => told.confirmed,
      tenant: (id) => (told.tenants.has(id) ? {} : undefined),
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    engine: {
      async purge(tombstone) {
        const answer = answers[asked.length] ?? "purged";
        asked.push(tombstone);
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    clock: { monotonic: () => now },
    metrics,
    log: { info: (event) => logged.push(event), warn: (event) => logged.push(event) },
    wait: (ms, signal) =>
      new Promise((resolve) => {
        waits.push({ ms, go: resolve });
        signal.addEventListener("abort", () => resolve());
      }),
    settleMs: 5_000,
  };
  const purger = createPurger(deps);
  return {
    ...{ purger, asked, logged, told, metrics },
    change(next: { tombstones?: Tombstone[]; tenants?: string[] }) {
      if (next.tombstones) told.tombstones = next.tombstones;
      if (next.tenants) told.tenants = new Set(next.tenants);
      for (const listener of listeners) listener();
    },
    /** Lets the next wait pass; its length in milliseconds. */
    async pass(): Promise<number> {
      const wait = await eventually("it waits", () => waits.shift());
      now += wait.ms;
      wait.go();
      return wait.ms;
    },
    waits,
  };
}

test("a tombstone is purged once requests under way have settled, and told as long as it stands", async () => {
  const { purger, asked, change, pass, logged } = scene();
  change({ tombstones: [acme] });
  expect(asked).toEqual([]);
  expect(purger.purged()).toEqual([]);
  expect(await pass()).toBe(5_000);
  await eventually("it is told", () => purger.purged().length === 1);
  expect(asked).toEqual([acme]);
  expect(logged).toEqual(["tenant.purged"]);
  change({ tombstones: [] });
  expect(purger.purged()).toEqual([]);
  await purger.stop();
});

test("it is asked again while another node is at it, and later each time it fails", async () => {
  const { purger, asked, change, pass, logged, metrics } = scene(["elsewhere", new Error("away"), new Error("away"), "purged"]);
  change({ tombstones: [acme] });
  expect(purger.pending()).toBe(1);
  expect([await pass(), await pass(), await pass(), await pass(), await pass()]).toEqual([5_000, 5_000, 5_000, 5_000, 5_000]);
  await eventually("it is told", () => purger.purged().length === 1);
  expect(asked.length).toBe(4);
  expect(logged).toEqual(["tenant.purge_failed", "tenant.purge_failed", "tenant.purged"]);
  expect([metrics.count("purged", "failed"), metrics.count("purged", "done"), purger.pending()]).toEqual([2, 1, 0]);
  await purger.stop();
});

test("one that cannot be purged now does not hold up another", async () => {
  const { purger, change, pass } = scene([new Error("away"), "purged", "purged"]);
  change({ tombstones: [acme, globex] });
  await pass();
  await eventually("the other one is told", () => purger.purged().length === 1);
  expect(purger.purged()).toEqual([globex]);
  await pass();
  await eventually("both are told", () => purger.purged().length === 2);
  await purger.stop();
});

test("a tenant that lives is never purged, whatever else is said of it", async () => {
  const { purger, asked, change, pass } = scene();
  change({ tombstones: [acme], tenants: ["acme"] });
  await pass();
  await pass();
  expect(asked).toEqual([]);
  change({ tenants: [] });
  await pass();
  await eventually("it is told", () => purger.purged().length === 1);
  await purger.stop();
});

test("what only a boot copy says is not acted on: it may be older than the tenant that has the id now", async () => {
  const { purger, asked, change, pass, told } = scene();
  told.confirmed = false;
  change({ tombstones: [acme] });
  await pass();
  await pass();
  expect(asked).toEqual([]);
  told.confirmed = true;
  await pass();
  await eventually("it is told", () => purger.purged().length === 1);
  await purger.stop();
});

test("the same id deleted again is another purge", async () => {
  const { purger, asked, change, pass } = scene();
  change({ tombstones: [acme] });
  await pass();
  await eventually("it is told", () => purger.purged().length === 1);
  const again = { ...acme, uid: "9" };
  change({ tombstones: [again] });
  expect(purger.purged()).toEqual([]);
  await pass();
  await eventually("the second is told", () => purger.purged().length === 1);
  expect(asked).toEqual([acme, again]);
  await purger.stop();
});

test("stopping ends a wait, and nothing is begun afterwards", async () => {
  const { purger, asked, change, waits } = scene();
  change({ tombstones: [acme] });
  await eventually("it waits", () => waits.length > 0);
  await purger.stop();
  change({ tombstones: [acme, globex] });
  expect(asked).toEqual([]);
});
