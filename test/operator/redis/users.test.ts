// Why: a password is replaced while people are connected: at no time may somebody hold one that Redis does not take.
import { describe, expect, test } from "bun:test";
import { FORGET_MS, isUsablePassword, LEARN_MS, planUsers, type Users, usersOf, usersSecret } from "@nexus/operator/desired/redis/users.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "../desired/fixtures.ts";

const T0 = 1_800_000_000_000;

test("the first password is given to both at once", () => {
  expect(planUsers(undefined, "a", T0)).toEqual({ users: { password: "a", sinceMs: T0 }, served: "a" });
});

test("another one is taught first, then used, then the old one is forgotten", () => {
  const taught = planUsers({ password: "a", sinceMs: T0 }, "b", T0 + 1000);
  expect(taught).toEqual({ users: { password: "b", previous: "a", sinceMs: T0 + 1000 }, served: "a", againMs: LEARN_MS });
  const early = planUsers(taught.users, "b", T0 + 1000 + LEARN_MS - 1);
  expect(early).toEqual({ users: taught.users, served: "a", againMs: 1 });
  const used = planUsers(taught.users, "b", T0 + 1000 + LEARN_MS);
  expect(used).toEqual({ users: taught.users, served: "b", againMs: FORGET_MS - LEARN_MS });
  const forgotten = planUsers(taught.users, "b", T0 + 1000 + FORGET_MS);
  expect(forgotten).toEqual({ users: { password: "b", sinceMs: T0 + 1000 }, served: "b" });
  expect(planUsers(forgotten.users, "b", T0 + 10 * FORGET_MS)).toEqual({ users: forgotten.users, served: "b" });
});

describe("changed minds", () => {
  const taught: Users = { password: "b", previous: "a", sinceMs: T0 };

  test("a third password before the second was used: servers keep the first, nobody gets the second", () => {
    expect(planUsers(taught, "c", T0 + 10)).toEqual({
      users: { password: "c", previous: "a", sinceMs: T0 + 10 },
      served: "a",
      againMs: LEARN_MS,
    });
  });

  test("back to the first: nothing to learn", () => {
    expect(planUsers(taught, "a", T0 + 10)).toEqual({ users: { password: "a", sinceMs: T0 }, served: "a" });
  });
});

test("whatever happens in whatever order, what servers hold is what Redis takes", () => {
  // Redis takes what the Secret said up to LEARN_MS ago, at any moment of that time.
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 300; round++) {
    let now = T0;
    let users: Users | undefined;
    let wanted = "p0";
    const told: { readonly atMs: number; readonly opens: readonly string[] }[] = [];
    for (let step = 0; step < 40; step++) {
      if (random(4) === 0) wanted = `p${random(3)}`;
      const plan = planUsers(users, wanted, now);
      if (JSON.stringify(plan.users) !== JSON.stringify(users))
        told.push({ atMs: now, opens: [plan.users.password, plan.users.previous ?? plan.users.password] });
      users = plan.users;
      // Of every content Redis may have loaded by now, each must open to what servers are given.
      const learntAt = told.findLastIndex(({ atMs }) => now - atMs >= LEARN_MS);
      for (const { opens } of told.slice(Math.max(learntAt, 0))) expect(opens).toContain(plan.served);
      now += [1_000, 30_000, LEARN_MS, FORGET_MS][random(4)] ?? 0;
    }
  }
});

test("the Secret holds hashes for Redis and the passwords for its probes, and can be read back", () => {
  const users: Users = { password: "now", previous: "before", sinceMs: T0 };
  const secret = usersSecret(aCluster(), CONTEXT, users);
  const text = Buffer.from(secret.data["users.acl"] ?? "", "base64").toString();
  expect(text).toBe(`user default on #${sha256("now")} #${sha256("before")} ~* &* +@all\n`);
  expect(usersOf(secret)).toEqual(users);
  expect(usersOf(usersSecret(aCluster(), CONTEXT, { password: "now", sinceMs: T0 }))).toEqual({ password: "now", sinceMs: T0 });
  expect(usersOf({ ...secret, data: {} })).toBeUndefined();
  expect(usersOf(undefined)).toBeUndefined();
});

test.each([
  ["x", true],
  ["p-_.~!@#$%^&*()+=[]{}|;:,<>?/", true],
  ["", false],
  ["a b", false],
  ['a"b', false],
  ["a'b", false],
  ["a\\b", false],
  ["a\nb", false],
  ["ä", false],
])("%p can be asked with: %p", (password, expected) => {
  expect(isUsablePassword(password)).toBe(expected);
});
