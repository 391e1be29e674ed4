// Why: one wrong character class lets a name in that a later engine uses as a key.
import { describe, expect, test } from "bun:test";
import { isChannelName, isTemplateId, isTenantId, isUserId, matchesChannel } from "@nexus/protocol/names.ts";

describe("channel names", () => {
  test.each(["orders", "orders.eu-1", "a", "café", "заказы", "注文", "x".repeat(64), "𝒳".repeat(64), "A_b-c.1"])("%s is legal", (name) => {
    expect(isChannelName(name)).toBe(true);
  });

  test.each(["", "a b", "a/b", "a:b", "*", "orders.*", "x".repeat(65), "𝒳".repeat(65), "a\n", "{p1}", "😀", "@broadcast", "\ud800"])(
    "%p is refused",
    (name) => {
      expect(isChannelName(name)).toBe(false);
    },
  );
});

test("tenant ids allow dots, template ids do not", () => {
  expect(isTenantId("team-a.acme_1")).toBe(true);
  expect(isTenantId("a/b")).toBe(false);
  expect(isTenantId("")).toBe(false);
  expect(isTenantId("x".repeat(65))).toBe(false);
  expect(isTemplateId("order_shipped-2")).toBe(true);
  expect(isTemplateId("order.shipped")).toBe(false);
});

test("user ids are any text without control characters", () => {
  expect(isUserId("auth0|5f7c")).toBe(true);
  expect(isUserId("ünï cödé")).toBe(true);
  expect(isUserId("a\u0000b")).toBe(false);
  expect(isUserId("")).toBe(false);
  expect(isUserId("x".repeat(257))).toBe(false);
});

test("a pattern is a literal or a prefix", () => {
  expect(matchesChannel("orders.*", "orders.eu")).toBe(true);
  expect(matchesChannel("orders.*", "orders")).toBe(false);
  expect(matchesChannel("*", "anything")).toBe(true);
  expect(matchesChannel("orders", "orders")).toBe(true);
  expect(matchesChannel("orders", "orders.eu")).toBe(false);
});
