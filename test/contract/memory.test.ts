// Why: the memory engine keeps what the ports promise, and what only it promises: a byte budget and a new epoch per start.
import { expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";
import { busSuite } from "./bus.ts";
import { directorySuite } from "./directory.ts";
import { inboxSuite } from "./inbox.ts";
import { inboxModelSuite } from "./inbox-model.ts";
import { purgeSuite } from "./purge.ts";
import { rateLimitsSuite } from "./rate-limits.ts";
import { receiptsSuite } from "./receipts.ts";
import { statsSuite } from "./stats.ts";
import { streamStoreSuite } from "./stream-store.ts";
import { freshChannel, freshInbox, notification, publish, type Subject } from "./subject.ts";
import { templatesSuite } from "./templates.ts";
import { ticketsSuite } from "./tickets.ts";
import { writesSuite } from "./writes.ts";

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
inboxSuite("memory", memory);
inboxModelSuite("memory", memory);
busSuite("memory", memory);
directorySuite("memory", memory);
rateLimitsSuite("memory", memory);
templatesSuite("memory", memory);
ticketsSuite("memory", memory);
receiptsSuite("memory", memory);
statsSuite("memory", memory);
writesSuite("memory", memory);
purgeSuite("memory", memory);

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
