// Why: what `deletionPolicy: Delete` promises: after a purge nothing of the tenant is left, and nothing of anybody else is
// gone, however alike their names are.
import { describe, expect, test } from "bun:test";
import type { Engine } from "@nexus/server/core/engine.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import type { StoredTemplate } from "@nexus/server/core/record-ports.ts";
import { freshTenant, type MakeSubject, notification, publish, type Subject } from "./subject.ts";

const going = () => new AbortController().signal;
const HISTORY = { entries: 100, ttlSeconds: 3600 };

const streamsOf = (tenant: string): readonly StreamId[] => [
  { kind: "inbox", tenant, user: "jane" },
  { kind: "inbox", tenant, user: "weird/ *?[user]\nof {p7}" },
  { kind: "channel", tenant, channel: "orders.eu" },
  { kind: "broadcast", tenant },
];

const template = (id: string): StoredTemplate => ({
  name: id,
  description: undefined,
  settings: {
    ...{ tenant_id: "x", template_id: id, event_type: "t", priority: "Normal", engine: "Simple" },
    ...{ variables: [], payload: {}, locales: [] },
  },
  createdAt: 1,
  updatedAt: 1,
});

/** Something of everything that is kept. */
async function fill(subject: Subject, tenant: string): Promise<void> {
  const { engine } = subject;
  for (const stream of streamsOf(tenant)) {
    for (let i = 0; i < 3; i++) {
      await publish(subject, stream, { retention: HISTORY, idempotency: { key: `key-${i}`, fingerprint: "body" } });
    }
  }
  const [jane] = streamsOf(tenant);
  if (jane) await engine.store.setMark(jane, { ...(await engine.store.top(jane)), offset: 1 });
  await engine.templates.create(tenant, template("welcome"), 10);
  const scope = `${tenant}/createTemplate`;
  await engine.writes.begin(scope, { key: "key", fingerprint: "body" });
  await engine.writes.finish(scope, "key", { status: 201, body: "{}" });
  engine.stats.published(tenant, "inbox", 1);
  const facts = { occurredAt: subject.now(), eventType: "t", stream: { kind: "inbox", tenant, user: "jane" } as const };
  engine.receipts.published(tenant, { notificationId: `receipt-${tenant}`, ...facts, deliveredTo: 1, queued: false }, 30_000);
}

/** What is kept, in a form two tenants can be compared by. */
async function keptOf(engine: Engine, tenant: string) {
  const { store } = engine;
  const streams = await Promise.all(
    streamsOf(tenant).map(async (stream) => {
      const { epoch, offset } = await store.top(stream);
      const { entries } = await store.page(stream, { limit: 100 });
      const read = await store.read(stream, { epoch, offset: 0 });
      return { offset, entries: entries.length, read: read.kind };
    }),
  );
  const [jane] = streamsOf(tenant);
  return {
    streams,
    unread: jane ? await store.unreadCount(jane) : -1,
    templates: (await engine.templates.list(tenant)).length,
    sent: (await engine.stats.total(tenant)).sent.user,
    receipt: (await engine.receipts.find(tenant, `receipt-${tenant}`))?.targetCount ?? 0,
    acks: await engine.receipts.acks(tenant),
  };
}

export function purgeSuite(name: string, make: MakeSubject): void {
  describe(`purge: ${name}`, () => {
    test("nothing of the tenant is left, and all of the others is", async () => {
      await using subject = await make();
      const { engine } = subject;
      const tenant = freshTenant();
      // Longer, shorter, below, around: names that a careless search would take for the tenant's.
      const others = [`${tenant}2`, tenant.slice(0, -1), `${tenant}.eu`, `eu.${tenant}`, `${tenant}-`, "acme"];
      for (const one of [tenant, ...others]) await fill(subject, one);
      const nobody = await keptOf(engine, freshTenant());
      const before = await Promise.all(others.map((one) => keptOf(engine, one)));
      const own = await keptOf(engine, tenant);
      expect(own).toEqual(before[0] as typeof own);
      expect(own).toMatchObject({ templates: 1, sent: 1, receipt: 1, unread: 2 });
      expect(await engine.purge({ tenant, uid: "1" }, going())).toBe("purged");
      expect(await keptOf(engine, tenant)).toEqual(nobody);
      expect(await Promise.all(others.map((one) => keptOf(engine, one)))).toEqual(before);
    });

    test("records of idempotent requests are gone with it, and others keep theirs", async () => {
      await using subject = await make();
      const { engine } = subject;
      const [tenant, other] = [freshTenant(), freshTenant()];
      for (const one of [tenant, other]) await fill(subject, one);
      await engine.purge({ tenant, uid: "1" }, going());
      const again = async (one: string) => {
        const idempotency = { key: "key-0", fingerprint: "body" };
        const published = await Promise.all(streamsOf(one).map((stream) => publish(subject, stream, { retention: HISTORY, idempotency })));
        const begun = await engine.writes.begin(`${one}/createTemplate`, { key: "key", fingerprint: "body" });
        return [...published.map(({ kind }) => kind), begun.kind];
      };
      expect(await again(tenant)).toEqual(["published", "published", "published", "published", "begun"]);
      expect(await again(other)).toEqual(["replayed", "replayed", "replayed", "replayed", "done"]);
    });

    test("a stream that is made anew has another epoch: an old cursor is not taken for a new one", async () => {
      await using subject = await make();
      const { engine } = subject;
      const tenant = freshTenant();
      await fill(subject, tenant);
      const old = await Promise.all(streamsOf(tenant).map((stream) => engine.store.top(stream)));
      await engine.purge({ tenant, uid: "1" }, going());
      for (const [at, stream] of streamsOf(tenant).entries()) {
        for (let i = 0; i < 3; i++) await publish(subject, stream, { retention: HISTORY });
        const place = old[at] ?? { epoch: "", offset: 0 };
        expect(await engine.store.read(stream, place)).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
      }
    });

    test("many streams and entries go, and doing it again is no harm", async () => {
      await using subject = await make();
      const { engine } = subject;
      const tenant = freshTenant();
      const inboxes = Array.from({ length: 600 }, (_, at): StreamId => ({ kind: "inbox", tenant, user: `user-${at}` }));
      await Promise.all(inboxes.map((stream) => publish(subject, stream, { retention: HISTORY })));
      const [first] = inboxes;
      if (!first) throw new Error("there are inboxes");
      const many = Array.from({ length: 700 }, () => notification(subject));
      await Promise.all(many.map((one) => publish(subject, first, { notification: one, retention: { entries: 1000, ttlSeconds: 3600 } })));
      expect(await engine.purge({ tenant, uid: "1" }, going())).toBe("purged");
      expect(await engine.purge({ tenant, uid: "1" }, going())).toBe("purged");
      const left = await Promise.all(inboxes.map(async (stream) => (await engine.store.page(stream, { limit: 1 })).entries.length));
      expect(left.filter((count) => count > 0)).toEqual([]);
    });

    test("a second object that had the id is another purge", async () => {
      await using subject = await make();
      const { engine } = subject;
      const tenant = freshTenant();
      await fill(subject, tenant);
      await engine.purge({ tenant, uid: "1" }, going());
      await fill(subject, tenant);
      expect(await engine.purge({ tenant, uid: "2" }, going())).toBe("purged");
      expect((await keptOf(engine, tenant)).templates).toBe(0);
    });

    test("one that is stopped says so, and the next goes on", async () => {
      await using subject = await make();
      const { engine } = subject;
      const tenant = freshTenant();
      await fill(subject, tenant);
      expect(await engine.purge({ tenant, uid: "1" }, AbortSignal.abort())).toBe("stopped");
      expect(await engine.purge({ tenant, uid: "1" }, going())).toBe("purged");
      expect((await keptOf(engine, tenant)).sent).toBe(0);
    });
  });
}
