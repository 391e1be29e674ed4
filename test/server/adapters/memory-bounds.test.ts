// Why: what the memory engine keeps beside streams is bounded, whoever asks how often. Contract suites cannot see bounds.
import { expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { MemoryReceipts } from "@nexus/server/adapters/memory/receipts.ts";
import { MemoryTickets } from "@nexus/server/adapters/memory/tickets.ts";
import type { Identity, StreamId } from "@nexus/server/core/ports.ts";
import type { ReceiptFacts } from "@nexus/server/core/record-ports.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";

const INBOX: StreamId = { kind: "inbox", tenant: "acme", user: "ann" };
const identity = (tenant: string): Identity => ({ tenant, user: "ann", roles: [], channels: [] });
const engineOf = (maxBytes: number) => createMemoryEngine({ clock: manualServerClock(), ids: systemIds, maxBytes });

test("a tenant that buys tickets without end pushes out its own oldest, never another's", async () => {
  const tickets = new MemoryTickets(manualServerClock());
  const quiet = await tickets.issue(identity("quiet"), 30_000);
  const first = await tickets.issue(identity("busy"), 30_000);
  let last = "";
  for (let i = 0; i < 10_000; i++) last = await tickets.issue(identity("busy"), 30_000);
  expect(tickets.size).toBe(10_001);
  expect(await tickets.redeem(first)).toBeUndefined();
  expect([await tickets.redeem(quiet), await tickets.redeem(last)]).toEqual([identity("quiet"), identity("busy")]);
});

test("tickets that nobody redeems are let go when they are too old", async () => {
  const clock = manualServerClock();
  const tickets = new MemoryTickets(clock);
  for (let i = 0; i < 100; i++) await tickets.issue(identity("acme"), 1000);
  clock.advance(1000);
  await tickets.issue(identity("acme"), 1000);
  expect(tickets.size).toBe(1);
});

test("receipts stay within their weight; users of one notification weigh, and what is forgotten is not pending", async () => {
  const clock = manualServerClock();
  const receipts = new MemoryReceipts(clock, 100);
  const facts = (notificationId: string, user: string): ReceiptFacts => ({
    ...{ notificationId, occurredAt: clock.now(), eventType: "test", deliveredTo: 1, queued: false },
    stream: { kind: "inbox", tenant: "acme", user },
  });
  receipts.published("acme", facts("first", "ann"), 30_000);
  for (let i = 0; i < 40; i++) receipts.published("acme", facts("wide", `user-${i}`), 30_000);
  expect((await receipts.find("acme", "first"))?.targetCount).toBe(1);
  for (let i = 0; i < 20; i++) receipts.published("acme", facts(`late-${i}`, "ann"), 30_000);
  expect([await receipts.find("acme", "first"), await receipts.find("acme", "wide")]).toEqual([undefined, undefined]);
  expect((await receipts.find("acme", "late-19"))?.targetCount).toBe(1);
  expect(await receipts.acks("acme")).toMatchObject({ tracked: 61, expired: 41, pending: 20 });
  for (let i = 0; i < 200; i++) receipts.acknowledged("acme", "late-19", `stranger-${i}`);
  receipts.published("acme", facts("after", "ann"), 30_000);
  expect(await receipts.find("acme", "late-19")).toBeUndefined();
});

test("a payload that was removed is given back at once, also from the middle", async () => {
  const engine = engineOf(10_000_000);
  const payloadJson = JSON.stringify("x".repeat(50_000));
  for (const id of ["one", "two", "three"]) {
    await engine.store.publish({
      stream: INBOX,
      notification: { id, occurredAt: 1, eventType: "test", payloadJson, metadata: { source: "test", priority: "Normal" } },
      retention: { entries: 10, ttlSeconds: 2_000_000_000 },
    });
  }
  const full = engine.usage().bytes;
  await engine.store.remove(INBOX, "two");
  expect(full - engine.usage().bytes).toBeGreaterThan(100_000);
  await engine.store.remove(INBOX, "one");
  await engine.store.remove(INBOX, "three");
  expect(engine.usage().bytes).toBeLessThan(1000);
});

test("answers of writes count against the byte budget, the oldest go first", async () => {
  const engine = engineOf(200_000);
  const answer = { status: 201, body: "x".repeat(20_000) };
  for (let i = 0; i < 20; i++) {
    await engine.writes.begin("acme/createTemplate", { key: `key-${i}`, fingerprint: "body" });
    await engine.writes.finish("acme/createTemplate", `key-${i}`, answer);
  }
  expect(engine.usage().bytes).toBeLessThanOrEqual(200_000);
  expect(await engine.writes.begin("acme/createTemplate", { key: "key-0", fingerprint: "body" })).toEqual({ kind: "begun" });
  expect(await engine.writes.begin("acme/createTemplate", { key: "key-19", fingerprint: "body" })).toEqual({ kind: "done", answer });
});

test("tenants that strangers make up cost no counters", async () => {
  const { stats } = engineOf(1_000_000);
  for (let i = 0; i < 60_000; i++) stats.failed(`made-up-${i}`);
  expect([(await stats.total()).failed, (await stats.total("made-up-0")).failed, (await stats.total("made-up-59999")).failed]).toEqual([
    60_000, 1, 0,
  ]);
});
