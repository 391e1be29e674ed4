// Why: small pure rules: which channel rule applies, what keeps how much, who is addressed, what is too deep.
import { expect, test } from "bun:test";
import type { TenantSettings } from "@nexus/protocol/bundle.ts";
import type { ChannelRule } from "@nexus/protocol/resources/settings.ts";
import { decodeFrame } from "@nexus/server/core/decode.ts";
import { isTooDeep } from "@nexus/server/core/depth.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import { Members } from "@nexus/server/core/members.ts";
import { firstHeartbeat } from "@nexus/server/core/pool.ts";
import { channelRule, retentionOf, slowConsumerPolicy, streamKey } from "@nexus/server/core/streams.ts";
import fc from "fast-check";

const rule = (match: string, size: number): ChannelRule => ({
  match,
  history: { size, ttlSeconds: 60 },
  slowConsumer: "DropOldest",
  subscribe: "Anyone",
  publish: "Nobody",
});
const cluster = { ...defaultClusterSettings(), channels: [rule("orders.*", 10), rule("*", 20)] };
const inboxQuota = { mode: "Delivered" as const, messages: 7, ttlSeconds: 70 };
const tenant: TenantSettings = {
  suspended: false,
  issuers: [],
  api_keys: [],
  quotas: { connectionsPerUser: 5, subscriptionsPerConnection: 50, payloadBytes: 1000, templates: 10, inbox: inboxQuota },
  channels: [rule("orders.eu", 5)],
  allowed_origins: [],
};

test("the tenant's rules come before the cluster's, the first match wins", () => {
  const sizes = ["orders.eu", "orders.us", "other"].map((channel) => channelRule(cluster, tenant, channel).history.size);
  expect(sizes).toEqual([5, 10, 20]);
});

test("only a rule that says @broadcast keeps broadcasts; no channel can be named so", () => {
  const broadcast = { kind: "broadcast", tenant: "acme" } as const;
  expect(retentionOf(broadcast, cluster, tenant)).toEqual({ entries: 0, ttlSeconds: 300 });
  const own = { ...tenant, channels: [rule("@broadcast", 3)] };
  expect(retentionOf(broadcast, cluster, own)).toEqual({ entries: 3, ttlSeconds: 60 });
  expect(slowConsumerPolicy(broadcast, cluster, own)).toBe("DropOldest");
});

test("an inbox keeps by quota, and a slow device is sent away rather than robbed", () => {
  const inbox = { kind: "inbox", tenant: "acme", user: "ann" } as const;
  expect(retentionOf(inbox, cluster, tenant)).toEqual({ entries: 7, ttlSeconds: 70 });
  expect(slowConsumerPolicy(inbox, cluster, tenant)).toBe("Disconnect");
});

test("different streams never share a key, whatever users call themselves", () => {
  const text = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom("a", "/", "c", "u", "b") });
  const tenantId = fc.stringMatching(/^[ab.]{1,3}$/);
  fc.assert(
    fc.property(tenantId, text, tenantId, text, (t1, u1, t2, u2) => {
      const same = t1 === t2 && u1 === u2;
      expect(streamKey({ kind: "inbox", tenant: t1, user: u1 }) === streamKey({ kind: "inbox", tenant: t2, user: u2 })).toBe(same);
    }),
  );
});

test("depth counts brackets outside of strings", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  expect([isTooDeep(nested(64)), isTooDeep(nested(65))]).toEqual([false, true]);
  expect(isTooDeep(JSON.stringify("[".repeat(200)))).toBe(false);
  expect(isTooDeep(JSON.stringify('\\"['.repeat(100)))).toBe(false);
  expect(isTooDeep(`[${"[],".repeat(100)}[]]`)).toBe(false);
});

test("no text makes the frame decoder throw, and refusals never repeat it", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => JSON.stringify({ type: "Subscribe", payload: value })),
      ),
      (text) => {
        const decoded = decodeFrame(text);
        if (decoded.kind === "refused") expect(decoded.refusal.code).toBe("invalid_message");
      },
    ),
  );
});

test("members are a set, small or large", () => {
  const model = new Set<number>();
  const members = new Members<number>();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 15 })), { maxLength: 60 }), (steps) => {
      for (const [isAdd, item] of steps) {
        if (isAdd) {
          members.add(item);
          model.add(item);
        } else expect(members.delete(item)).toBe(model.delete(item));
        expect(members.size).toBe(model.size);
      }
      expect([...members].sort()).toEqual([...model].sort());
    }),
  );
});

test("first heartbeats are spread over half an interval", () => {
  const due = Array.from({ length: 1000 }, (_, ordinal) => firstHeartbeat(0, 30_000, ordinal));
  expect(Math.min(...due)).toBeGreaterThanOrEqual(15_000);
  expect(Math.max(...due)).toBeLessThanOrEqual(30_000);
  const perSecond = due.filter((at) => at < 16_000).length;
  expect(perSecond).toBeGreaterThan(40);
  expect(perSecond).toBeLessThan(90);
});
