// Why: the memory engine keeps what the ports promise, and what only it promises: a byte budget and a new epoch per start.
import { expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import fc from "fast-check";
import { manualServerClock } from "../support/manual-engine-clock.ts";
import { directorySuite } from "./directory.ts";
import { rateLimitsSuite } from "./rate-limits.ts";
import { streamStoreSuite } from "./stream-store.ts";
import { freshChannel, freshInbox, notification, publish, type Subject } from "./subject.ts";

type MemorySubject = Subject & { readonly engine: ReturnType<typeof createMemoryEngine> };

async function memory(maxBytes = 16 * 1024 * 1024): Promise<MemorySubject> {
  const clock = manualServerClock();
  const engine = createMemoryEngine({ clock, ids: systemIds, maxBytes });
  return {
    engine,
    now: clock.now,
    advance: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

streamStoreSuite("memory", memory);
directorySuite("memory", memory);
rateLimitsSuite("memory", memory);

test("a restart is another epoch", async () => {
  await using before = await memory();
  await using after = await memory();
  const stream = freshInbox();
  await publish(before, stream);
  const old = await before.engine.store.top(stream);
  await publish(after, stream);
  expect(await after.engine.store.read(stream, old)).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
});

test("the byte budget holds, the oldest entries go first, and readers of what went are told", async () => {
  await using subject = await memory(200_000);
  const { store } = subject.engine;
  const [old, recent] = [freshChannel(), freshChannel()];
  const start = await store.top(old);
  const payload = "x".repeat(5_000);
  const keep = { retention: { entries: 1000, ttlSeconds: 3600 } };
  for (let i = 0; i < 5; i++) await publish(subject, old, { notification: notification(subject, { payload }), ...keep });
  const recentStart = await store.top(recent);
  for (let i = 0; i < 15; i++) await publish(subject, recent, { notification: notification(subject, { payload }), ...keep });
  const { bytes, evicted } = subject.engine.usage();
  expect(bytes).toBeLessThanOrEqual(200_000);
  expect(evicted).toBeGreaterThan(0);
  expect((await store.read(old, start)).kind).toBe("not_recovered");
  expect((await store.read(recent, recentStart)).kind).toBe("recovered");
});

test("many streams of one entry stay inside the budget, and a forgotten stream never answers an old place", async () => {
  await using subject = await memory(100_000);
  const { store } = subject.engine;
  const first = freshInbox();
  await publish(subject, first);
  const place = await store.top(first);
  for (let i = 0; i < 500; i++) await publish(subject, freshInbox());
  expect(subject.engine.usage().bytes).toBeLessThanOrEqual(100_000);
  await publish(subject, first);
  expect(await store.read(first, { ...place, offset: 0 })).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
});

test("silent streams give back what expired", async () => {
  await using subject = await memory();
  for (let i = 0; i < 20; i++) await publish(subject, freshInbox());
  const full = subject.engine.usage().bytes;
  await subject.advance(3_600_000);
  const busy = freshChannel();
  for (let i = 0; i < 100; i++) await publish(subject, busy, { retention: { entries: 1, ttlSeconds: 1 } });
  expect(subject.engine.usage().bytes).toBeLessThan(full);
});

type Step =
  | { readonly do: "publish"; readonly ttl: number | undefined }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "read"; readonly since: number }
  | { readonly do: "mark"; readonly offset: number }
  | { readonly do: "acknowledge"; readonly offset: number }
  | { readonly do: "unread" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("publish" as const), ttl: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 8000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), since: fc.integer({ min: 0, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("mark" as const), offset: fc.integer({ min: 0, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), offset: fc.integer({ min: 0, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("unread" as const) }) },
);

/** Everything ever published, in a list; what the store may and must answer follows from it by filtering. */
type Told = { readonly id: string; readonly offset: number; readonly at: number; readonly ownEnd: number; acknowledged: boolean };

test("six hundred random steps: a read is whole or says it is not, unread is exactly what was not had", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 600, maxLength: 600 }), async (steps) => {
      await using subject = await memory();
      const { store } = subject.engine;
      const inbox = freshInbox();
      const retention = { entries: 12, ttlSeconds: 30 };
      const told: Told[] = [];
      let mark = 0;
      const { epoch } = await store.top(inbox);
      const back = (distance: number) => Math.max(told.length - distance, 0);
      const isKept = (entry: Told) =>
        entry.offset > told.length - retention.entries && entry.at + retention.ttlSeconds * 1000 > subject.now();
      const isAlive = (entry: Told) => entry.ownEnd > subject.now();
      const idsOf = (entries: readonly Told[]) => entries.map((entry) => entry.id);

      for (const next of steps) {
        if (next.do === "advance") await subject.advance(next.ms);
        if (next.do === "publish") {
          const made = notification(subject, next.ttl === undefined ? {} : { ttl: next.ttl });
          await publish(subject, inbox, { notification: made, retention });
          const ownEnd = next.ttl === undefined ? Number.POSITIVE_INFINITY : made.occurredAt + next.ttl * 1000;
          told.push({ id: made.id, offset: told.length + 1, at: made.occurredAt, ownEnd, acknowledged: false });
        }
        if (next.do === "mark") {
          mark = Math.max(mark, back(next.offset));
          await store.setMark(inbox, { epoch, offset: back(next.offset) });
        }
        if (next.do === "acknowledge") {
          const chosen = told[back(next.offset)];
          if (chosen && isKept(chosen) && isAlive(chosen)) {
            expect(await store.acknowledge(inbox, chosen.id)).toBe(true);
            chosen.acknowledged = true;
          }
        }
        if (next.do === "unread") {
          const wanted = told.filter((entry) => entry.offset > mark && !entry.acknowledged && isKept(entry) && isAlive(entry));
          const { entries, top } = await store.unread(inbox);
          expect(entries.map((entry) => entry.notification.id)).toEqual(idsOf(wanted));
          expect(top.offset).toBe(told.length);
        }
        if (next.do === "read") {
          const after = told.filter((entry) => entry.offset > back(next.since));
          const result = await store.read(inbox, { epoch, offset: back(next.since) });
          if (result.kind === "recovered")
            expect(result.entries.map((entry) => entry.notification.id)).toEqual(idsOf(after.filter(isAlive)));
          else expect(after.some((entry) => !isKept(entry))).toBe(true);
        }
      }
    }),
    { numRuns: 25 },
  );
});
