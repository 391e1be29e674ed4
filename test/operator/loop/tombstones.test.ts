// Why: what becomes of data when an object is gone is decided here; each way an object can only seem to be gone has a test.
import { expect, test } from "bun:test";
import { isRefused, templateEntry, tenantEntry } from "@nexus/operator/desired/bundle.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import { type Removal, Tombstones, tombstoneKey } from "@nexus/operator/loop/tombstones.ts";
import type { BundleEntry } from "@nexus/protocol/bundle.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { accepted, acceptedTemplate, aTemplate, aTenant, noSecrets } from "../bundle/fixtures.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

function entryOf(tenant: Tenant): BundleEntry {
  const compiled = tenantEntry(accepted(tenant), noSecrets);
  if (isRefused(compiled)) throw new Error(compiled.message);
  return compiled.entry;
}

function scene(entries: readonly BundleEntry[]) {
  const book = new BundleBook();
  book.change({ put: entries });
  const state = { wallMs: NOW, monotonicMs: 0, watched: true, asked: 0, errors: 0 };
  const stored = new Map<string, Tenant>();
  let live: () => Tenant | undefined = () => undefined;
  const api = {
    get: async () => {
      state.asked++;
      return live();
    },
  } as unknown as Pick<KubeApi, "get">; // generic over kinds; only Tenants are asked for
  const make = () =>
    new Tombstones({
      ...{ tenants: { get: (key: string) => stored.get(key) }, api, book },
      wallMs: () => state.wallMs,
      monotonicMs: () => state.monotonicMs,
      isWatched: () => state.watched,
      onError: () => void state.errors++,
    });
  const tombstones = make();
  return {
    ...{ book, state, stored, tombstones, make },
    /** What a GET answers. */
    answer(next: () => Tenant | undefined) {
      live = next;
    },
    async settle(gone: readonly string[], heir?: Tenant): Promise<Removal> {
      const draft: Removal = { put: [], gone: [...gone] };
      await tombstones.settle(draft, new Map(heir ? [["acme", heir]] : []));
      book.change({ put: draft.put, remove: draft.gone });
      return draft;
    },
  };
}

const deleting = aTenant("acme", { deletionPolicy: "Delete" });
const retaining = aTenant("acme");

test("a deleted tenant with policy Delete leaves a tombstone, in the same step", async () => {
  const { settle, book, tombstones } = scene([entryOf(deleting)]);
  const { put, gone } = await settle(["tenant:acme"]);
  expect(gone).toEqual(["tenant:acme"]);
  expect(put).toMatchObject([{ kind: "tombstone", id: "acme", uid: "uid-acme", spec: { deleted_at: "2026-01-01T00:00:00.000Z" } }]);
  expect([book.mark("tenant:acme"), book.mark(tombstoneKey("acme"))?.uid]).toEqual([undefined, "uid-acme"]);
  expect(tombstones.size).toBe(1);
});

test("with policy Retain it is dropped", async () => {
  const { settle, tombstones } = scene([entryOf(retaining)]);
  expect(await settle(["tenant:acme"])).toEqual({ put: [], gone: ["tenant:acme"] });
  expect(tombstones.size).toBe(0);
});

test("one that is there and only refused is no deletion", async () => {
  const { settle, stored, state } = scene([entryOf(deleting)]);
  stored.set("prod/acme", deleting);
  expect(await settle(["tenant:acme"])).toEqual({ put: [], gone: ["tenant:acme"] });
  expect(state.asked).toBe(0);
});

test("one made anew under the same name is: the name is another object's", async () => {
  const { settle, stored, state } = scene([entryOf(deleting)]);
  stored.set("prod/acme", aTenant("acme", {}, { uid: "another" }));
  expect((await settle(["tenant:acme"])).put.length).toBe(1);
  expect(state.asked).toBe(0);
});

test("one that a store does not know and the API server does is kept, with its Templates, and looked for again", async () => {
  const template = templateEntry(acceptedTemplate(aTemplate("welcome"), accepted(deleting)));
  if (isRefused(template)) throw new Error(template.message);
  const { settle, answer, book, state, tombstones } = scene([entryOf(deleting), template]);
  answer(() => deleting);
  expect(await settle(["template:acme/welcome", "tenant:acme"])).toEqual({ put: [], gone: [] });
  await settle(["tenant:acme"]);
  expect(state.asked).toBe(1);
  expect(book.mark("tenant:acme")?.uid).toBe("uid-acme");
  expect(tombstones.dueAgain()).toEqual([]);
  state.monotonicMs = 300_000;
  expect(tombstones.dueAgain()).toEqual(["acme"]);
  answer(() => undefined);
  expect((await settle(["tenant:acme"])).put.length).toBe(1);
});

test("an API server that does not answer, or forbids the question, has said nothing", async () => {
  const { settle, answer, state, tombstones } = scene([entryOf(deleting)]);
  answer(() => {
    throw new KubeError({ status: 403, reason: "Forbidden", message: "no" });
  });
  expect(await settle(["tenant:acme"])).toEqual({ put: [], gone: [] });
  expect(state.errors).toBe(1);
  state.monotonicMs = 10_000;
  expect(tombstones.dueAgain()).toEqual(["acme"]);
});

test("a smaller watch scope is never read as deletions, and nobody is asked about what is outside", async () => {
  for (const tenant of [deleting, retaining]) {
    const { settle, state, book } = scene([entryOf(tenant)]);
    state.watched = false;
    expect(await settle(["tenant:acme"])).toEqual({ put: [], gone: [] });
    expect([state.asked, book.mark("tenant:acme")?.uid]).toEqual([0, "uid-acme"]);
  }
});

test("a tombstone ends when a server says that it purged this very object, or after a week", async () => {
  const { settle, tombstones, state, make } = scene([entryOf(deleting)]);
  await settle(["tenant:acme"]);
  expect(tombstones.end([])).toEqual([]);
  expect(
    tombstones.end([
      { tenant_id: "acme", uid: "an-older-one" },
      { tenant_id: "other", uid: "uid-acme" },
    ]),
  ).toEqual([]);
  const later = make(); // as the next leader reads it from the boot copy
  expect(later.size).toBe(1);
  expect(tombstones.end([{ tenant_id: "acme", uid: "uid-acme" }])).toEqual([{ tenantId: "acme", isGivenUp: false }]);
  expect(tombstones.end([{ tenant_id: "acme", uid: "uid-acme" }])).toEqual([]);
  state.wallMs = NOW + 7 * DAY - 1;
  expect(later.end([])).toEqual([]);
  state.wallMs++;
  expect(later.end([])).toEqual([{ tenantId: "acme", isGivenUp: true }]);
});

test("an heir waits for the purge where data are another namespace's, or the deleted one's policy says so", async () => {
  const same = aTenant("acme", {}, { uid: "heir" });
  const other = aTenant("acme", {}, { uid: "heir", namespace: "team" });
  const cases: [Tenant, Tenant, boolean][] = [
    [retaining, same, false],
    [deleting, same, true],
    [retaining, other, true],
    [deleting, other, true],
    [deleting, deleting, false],
  ];
  for (const [before, heir, isPurged] of cases) {
    const { tombstones, stored, settle } = scene([entryOf(before)]);
    stored.set(`${heir.metadata.namespace}/acme`, heir);
    expect(tombstones.mustPurge("acme", heir)).toBe(isPurged);
    if (isPurged) expect((await settle(["tenant:acme"], heir)).put).toMatchObject([{ kind: "tombstone", uid: "uid-acme" }]);
  }
});

test("an older object that takes an id from one that is there leaves the data, in the same namespace", () => {
  const { tombstones, stored } = scene([entryOf(deleting)]);
  stored.set("prod/acme", deleting);
  expect(tombstones.mustPurge("acme", aTenant("older", { tenantId: "acme" }, { uid: "older" }))).toBe(false);
});

test("an entry from before origins were written is dropped and nothing else", async () => {
  const { origin: _origin, ...spec } = (entryOf(retaining) as Extract<BundleEntry, { kind: "tenant" }>).spec;
  const { settle, state } = scene([{ ...entryOf(retaining), spec } as BundleEntry]);
  expect(await settle(["tenant:acme"])).toEqual({ put: [], gone: ["tenant:acme"] });
  expect(state.asked).toBe(0);
});
