// Why: what core relies on in a directory: limits taken in one step, and counts a publish can answer with.
import { describe, expect, test } from "bun:test";
import type { SessionInfo, StreamId } from "@nexus/server/core/ports.ts";
import { type MakeSubject, notification, publish, type Subject } from "./subject.ts";

let ordinal = 0;
function session(user: string, change: Partial<SessionInfo> = {}): SessionInfo {
  return { sessionId: `s-${++ordinal}`, tenant: "acme", user, roles: [], connectedAt: 0, transport: "websocket", ...change };
}
const NO_LIMIT = { perUser: 1000 };

async function reached(subject: Subject, stream: StreamId, audience?: { type: "All" | "Roles" | "Users" | "Channels"; value?: string[] }) {
  const plain = notification(subject);
  const metadata = audience ? { ...plain.metadata, audience } : plain.metadata;
  const outcome = await publish(subject, stream, { notification: { ...plain, metadata } });
  return outcome.kind === "published" ? outcome.record.deliveredTo : -1;
}

export function directorySuite(name: string, make: MakeSubject): void {
  describe(`directory: ${name}`, () => {
    test("takes a place while there is one, per user and per tenant", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const limits = { perUser: 1, perTenant: 2 };
      const ann = session("ann");
      expect(await directory.enter(ann, limits)).toBe("entered");
      expect(await directory.enter(session("ann"), limits)).toBe("user_limit");
      expect(await directory.enter(session("bob"), limits)).toBe("entered");
      expect(await directory.enter(session("cat"), limits)).toBe("tenant_limit");
      expect(await directory.enter(session("cat", { tenant: "other" }), limits)).toBe("entered");
      await directory.leave(ann);
      expect(await directory.enter(session("cat"), limits)).toBe("entered");
    });

    test("parallel entries never pass the limit", async () => {
      await using subject = await make();
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => subject.engine.directory.enter(session("ann"), { perUser: 3 })));
      expect(outcomes.filter((outcome) => outcome === "entered").length).toBe(3);
    });

    test("deliveredTo counts sessions of a user, a channel, a tenant", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [phone, laptop, bob] = [session("ann"), session("ann"), session("bob")];
      for (const one of [phone, laptop, bob]) await directory.enter(one, NO_LIMIT);
      await directory.join(phone, "news");
      await directory.join(phone, "news");
      await directory.join(bob, "news");
      const inbox: StreamId = { kind: "inbox", tenant: "acme", user: "ann" };
      const channel: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
      const broadcast: StreamId = { kind: "broadcast", tenant: "acme" };
      expect([await reached(subject, inbox), await reached(subject, channel), await reached(subject, broadcast)]).toEqual([2, 2, 3]);
      await directory.part(phone, "news");
      await directory.part(phone, "news");
      await directory.leave(laptop);
      expect([await reached(subject, inbox), await reached(subject, channel), await reached(subject, broadcast)]).toEqual([1, 1, 2]);
      await directory.leave(bob);
      expect(await reached(subject, channel)).toBe(0);
    });

    test("a broadcast's audience is counted, and nobody twice", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [ann, bob] = [session("ann", { roles: ["admin", "ops"] }), session("bob")];
      for (const one of [ann, bob]) await directory.enter(one, NO_LIMIT);
      await directory.join(bob, "a");
      await directory.join(bob, "b");
      const broadcast: StreamId = { kind: "broadcast", tenant: "acme" };
      expect(await reached(subject, broadcast, { type: "All" })).toBe(2);
      expect(await reached(subject, broadcast, { type: "Roles", value: ["admin", "ops"] })).toBe(1);
      expect(await reached(subject, broadcast, { type: "Users", value: ["bob", "zoe"] })).toBe(1);
      expect(await reached(subject, broadcast, { type: "Channels", value: ["a", "b"] })).toBe(1);
    });

    test("a session that left, or never came, changes nothing", async () => {
      await using subject = await make();
      const { directory } = subject.engine;
      const [ann, stranger] = [session("ann"), session("ann")];
      await directory.enter(ann, NO_LIMIT);
      await directory.leave(stranger);
      await directory.join(stranger, "news");
      await directory.leave(ann);
      await directory.leave(ann);
      await directory.join(ann, "news");
      expect(await reached(subject, { kind: "channel", tenant: "acme", channel: "news" })).toBe(0);
      expect(await reached(subject, { kind: "inbox", tenant: "acme", user: "ann" })).toBe(0);
    });

    test("queued is true only for an inbox that keeps what nobody got", async () => {
      await using subject = await make();
      const inbox: StreamId = { kind: "inbox", tenant: "acme", user: "away" };
      const queued = async (stream: StreamId, entries: number) => {
        const outcome = await publish(subject, stream, { retention: { entries, ttlSeconds: 60 } });
        return outcome.kind === "published" && outcome.record.queued;
      };
      expect([await queued(inbox, 10), await queued(inbox, 0)]).toEqual([true, false]);
      expect(await queued({ kind: "channel", tenant: "acme", channel: "empty" }, 10)).toBe(false);
      await subject.engine.directory.enter(session("away"), NO_LIMIT);
      expect(await queued(inbox, 10)).toBe(false);
    });
  });
}
