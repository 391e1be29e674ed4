// Why: what delivery status and ACK statistics rely on: targets add up, every user counts once, nothing stays pending for ever.
import { describe, expect, test } from "bun:test";
import type { StreamId } from "@nexus/server/core/ports.ts";
import type { ReceiptFacts } from "@nexus/server/core/record-ports.ts";
import { freshTenant, type MakeSubject, type Subject } from "./subject.ts";

const TIMEOUT_MS = 30_000;
const DAY_MS = 86_400_000;
let ordinal = 0;
const freshId = () => `receipt-${++ordinal}`;
const inboxOf = (tenant: string, user: string): StreamId => ({ kind: "inbox", tenant, user });

type Change = Partial<Omit<ReceiptFacts, "stream">> & { readonly user?: string; readonly stream?: StreamId };

/** To one user who was reached on one session, unless `change` says otherwise. Answers the notification's id. */
function published(subject: Subject, tenant: string, { user = "ann", ...change }: Change = {}, timeoutMs = TIMEOUT_MS): string {
  const facts: ReceiptFacts = {
    ...{ notificationId: freshId(), occurredAt: subject.now(), eventType: "test", deliveredTo: 1, queued: false },
    stream: inboxOf(tenant, user),
    ...change,
  };
  subject.engine.receipts.published(tenant, facts, timeoutMs);
  return facts.notificationId;
}

export function receiptsSuite(name: string, make: MakeSubject): void {
  describe(`receipts: ${name}`, () => {
    test("tell what was published, and nothing of what was not", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const now = subject.now();
      const id = published(subject, tenant, { expiresAt: now + 5_000, deliveredTo: 2 });
      expect(await receipts.find(tenant, id)).toEqual({
        ...{ notificationId: id, occurredAt: now, eventType: "test", expiresAt: now + 5_000 },
        targets: [{ stream: inboxOf(tenant, "ann"), deliveredTo: 2, queued: false }],
        ...{ targetCount: 1, deliveredTo: 2, acknowledgements: [], acknowledgementCount: 0 },
      });
      expect((await receipts.find(tenant, published(subject, tenant)))?.expiresAt).toBeUndefined();
      expect(await receipts.find(tenant, "unknown")).toBeUndefined();
      receipts.acknowledged(tenant, "unknown", "ann");
      expect(await receipts.find(tenant, "unknown")).toBeUndefined();
    });

    test("several targets add up under one id, in the order they were published", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const notificationId = published(subject, tenant, { deliveredTo: 2 });
      published(subject, tenant, { notificationId, user: "bob", deliveredTo: 0, queued: true });
      const channel: StreamId = { kind: "channel", tenant, channel: "news" };
      published(subject, tenant, { notificationId, stream: channel, deliveredTo: 5 });
      published(subject, tenant, { notificationId, stream: { kind: "broadcast", tenant }, deliveredTo: 1 });
      expect(await receipts.find(tenant, notificationId)).toMatchObject({
        targets: [
          { stream: inboxOf(tenant, "ann"), deliveredTo: 2, queued: false },
          { stream: inboxOf(tenant, "bob"), deliveredTo: 0, queued: true },
          { stream: channel, deliveredTo: 5, queued: false },
          { stream: { kind: "broadcast", tenant }, deliveredTo: 1, queued: false },
        ],
        targetCount: 4,
        deliveredTo: 8,
      });
      expect(await receipts.acks(tenant)).toMatchObject({ tracked: 1, pending: 1 });
    });

    test("beyond a hundred, targets are counted and not listed", async () => {
      await using subject = await make();
      const tenant = freshTenant();
      const notificationId = published(subject, tenant, { user: "u0" });
      for (let i = 1; i < 130; i++) published(subject, tenant, { notificationId, user: `u${i}` });
      const receipt = await subject.engine.receipts.find(tenant, notificationId);
      expect([receipt?.targets.length, receipt?.targetCount, receipt?.deliveredTo]).toEqual([100, 130, 130]);
      for (let i = 0; i < 130; i++) subject.engine.receipts.acknowledged(tenant, notificationId, `u${i}`);
      const after = await subject.engine.receipts.find(tenant, notificationId);
      expect(after?.acknowledgementCount).toBe(130);
      expect(after?.acknowledgements.slice(0, 2)).toEqual(["u0", "u1"].map((user) => ({ user, at: subject.now() })));
      expect(await subject.engine.receipts.acks(tenant)).toMatchObject({ tracked: 130, acknowledged: 130, pending: 0 });
    });

    test("a user acknowledges once", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const id = published(subject, tenant);
      await subject.advance(400);
      const at = subject.now();
      receipts.acknowledged(tenant, id, "ann");
      await subject.advance(100);
      receipts.acknowledged(tenant, id, "ann");
      expect(await receipts.find(tenant, id)).toMatchObject({ acknowledgements: [{ user: "ann", at }], acknowledgementCount: 1 });
      expect(await receipts.acks(tenant)).toEqual({ tracked: 1, acknowledged: 1, expired: 0, pending: 0, latencyMs: 400 });
    });

    test("the same user twice under one id is tracked once", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const notificationId = published(subject, tenant);
      published(subject, tenant, { notificationId });
      expect((await receipts.find(tenant, notificationId))?.targetCount).toBe(2);
      receipts.acknowledged(tenant, notificationId, "ann");
      expect(await receipts.acks(tenant)).toMatchObject({ tracked: 1, acknowledged: 1, pending: 0 });
    });

    test("who was away, or heard it on a channel, is not waited for; an ACK is listed all the same", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const away = published(subject, tenant, { deliveredTo: 0, queued: true });
      const channel = published(subject, tenant, { stream: { kind: "channel", tenant, channel: "news" } });
      for (const id of [away, channel]) receipts.acknowledged(tenant, id, "ann");
      for (const id of [away, channel]) {
        expect((await receipts.find(tenant, id))?.acknowledgements.map(({ user }) => user)).toEqual(["ann"]);
      }
      await subject.advance(TIMEOUT_MS);
      expect(await receipts.acks(tenant)).toEqual({ tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 });
    });

    test("an ACK that does not come in time counts as expired, also when it comes later", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const [late, never] = [published(subject, tenant), published(subject, tenant)];
      await subject.advance(TIMEOUT_MS - 1);
      expect(await receipts.acks(tenant)).toMatchObject({ expired: 0, pending: 2 });
      await subject.advance(1);
      const at = subject.now();
      receipts.acknowledged(tenant, late, "ann");
      expect(await receipts.acks(tenant)).toEqual({ tracked: 2, acknowledged: 0, expired: 2, pending: 0, latencyMs: 0 });
      expect((await receipts.find(tenant, late))?.acknowledgements).toEqual([{ user: "ann", at }]);
      expect((await receipts.find(tenant, never))?.acknowledgementCount).toBe(0);
    });

    test("each notification has the timeout of its publish", async () => {
      await using subject = await make();
      const tenant = freshTenant();
      published(subject, tenant, {}, 60_000);
      published(subject, tenant, {}, 1_000);
      await subject.advance(1_000);
      expect(await subject.engine.receipts.acks(tenant)).toMatchObject({ tracked: 2, expired: 1, pending: 1 });
    });

    test("a tenant sees its own, the sum has all", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const [one, other] = [freshTenant(), freshTenant()];
      const before = await receipts.acks();
      const id = published(subject, one);
      expect(await receipts.find(other, id)).toBeUndefined();
      receipts.acknowledged(other, id, "ann");
      expect(await receipts.find(one, id)).toMatchObject({ acknowledgementCount: 0 });
      published(subject, other, { notificationId: id, user: "bob" });
      receipts.acknowledged(one, id, "ann");
      expect(await receipts.find(other, id)).toMatchObject({ targetCount: 1, acknowledgementCount: 0 });
      expect(await receipts.acks(one)).toMatchObject({ tracked: 1, acknowledged: 1, pending: 0 });
      expect(await receipts.acks(other)).toMatchObject({ tracked: 1, acknowledged: 0, pending: 1 });
      expect(await receipts.acks(freshTenant())).toEqual({ tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 });
      const after = await receipts.acks();
      expect([after.tracked - before.tracked, after.acknowledged - before.acknowledged]).toEqual([2, 1]);
    });

    test("all is forgotten after a day, and then nothing is pending", async () => {
      await using subject = await make();
      const { receipts } = subject.engine;
      const tenant = freshTenant();
      const old = published(subject, tenant, {}, 7 * DAY_MS);
      await subject.advance(DAY_MS - 1);
      expect(await receipts.find(tenant, old)).toBeDefined();
      await subject.advance(1);
      const recent = published(subject, tenant);
      expect(await receipts.find(tenant, old)).toBeUndefined();
      receipts.acknowledged(tenant, old, "ann");
      expect(await receipts.find(tenant, recent)).toBeDefined();
      expect(await receipts.acks(tenant)).toMatchObject({ tracked: 2, acknowledged: 0, expired: 1, pending: 1 });
    });
  });
}
