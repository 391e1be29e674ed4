// Why: while tombstones stand servers are asked, ever more seldom; when one says purged, the id is free and people are told.
import { expect, test } from "bun:test";
import { isRefused, tenantEntry } from "@nexus/operator/desired/bundle.ts";
import { Draft } from "@nexus/operator/loop/config/draft.ts";
import type { EventNote, KubeApi } from "@nexus/operator/loop/ports.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import { TombstonePass, type TombstonePassDeps } from "@nexus/operator/loop/tombstone-pass.ts";
import { tombstoneKey } from "@nexus/operator/loop/tombstones.ts";
import type { PurgedTenant } from "@nexus/protocol/admin.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster, accepted, aTenant, noSecrets } from "../bundle/fixtures.ts";

const DAY = 86_400_000;

async function scene() {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const book = new BundleBook();
  const entry = tenantEntry(accepted(aTenant("acme", { deletionPolicy: "Delete" })), noSecrets);
  if (isRefused(entry)) throw new Error(entry.message);
  book.change({ put: [entry.entry] });
  const seen = { asked: 0, purged: [] as PurgedTenant[], looked: [] as string[], events: [] as EventNote[] };
  const deps = {
    views: { tenants: { get: () => undefined } },
    api: { get: async () => undefined } as unknown as Pick<KubeApi, "get">, // it is gone there too
    pusher: {
      book: () => book,
      change: (_cluster: string, change: Parameters<BundleBook["change"]>[0]) => void book.change(change),
      state: () => ({ purged: seen.purged }),
      look: () => void seen.asked++,
    },
    events: { record: (note: EventNote) => void seen.events.push(note), flush: async () => undefined },
    ...{ clock, wallMs: () => clock.wallMs(), isWatched: () => true },
    onError: (error: unknown) => {
      throw error;
    },
  } as unknown as TombstonePassDeps; // of the pusher's state only what is asked for
  const pass = new TombstonePass(deps);
  const draft = new Draft();
  draft.gone.push("tenant:acme");
  await pass.settle("prod/live", draft);
  book.change({ put: draft.put, remove: draft.gone });
  const begin = () => pass.begin(aCluster(), { look: (key) => void seen.looked.push(key) });
  return { clock, book, seen, pass, begin };
}

test("servers are asked at once and then ever more seldom, until one says purged", async () => {
  const { clock, book, seen, pass, begin } = await scene();
  expect([begin(), seen.asked, pass.againMs("prod/live")]).toEqual([false, 1, 2_000]);
  await clock.advance(100_000);
  expect([begin(), seen.asked, pass.againMs("prod/live")]).toEqual([false, 2, 10_000]);
  await clock.advance(DAY);
  expect(pass.againMs("prod/live")).toBe(60_000);
  expect(book.mark(tombstoneKey("acme"))).toBeDefined();
  seen.purged = [{ tenant_id: "acme", uid: "uid-acme" }];
  expect(begin()).toBe(true);
  expect(book.mark(tombstoneKey("acme"))).toBeUndefined();
  expect(seen.looked).toEqual(["tenant:acme"]);
  expect(seen.events).toMatchObject([{ type: "Normal", reason: "Purged", note: expect.stringContaining("tenant acme") }]);
  expect([begin(), pass.againMs("prod/live")]).toEqual([false, Number.POSITIVE_INFINITY]);
  expect(seen.asked).toBe(2);
});

test("nobody is asked for ever: after a week it is given up, with a warning", async () => {
  const { clock, seen, begin } = await scene();
  await clock.advance(7 * DAY);
  expect(begin()).toBe(true);
  expect(seen.events).toMatchObject([{ type: "Warning", reason: "PurgeGivenUp" }]);
  expect(begin()).toBe(false);
});
