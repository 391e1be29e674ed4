// Why: a session may renew its token and speak where a rule and its token say so, and never as somebody else.
import { expect, test } from "bun:test";
import { startServer } from "../../support/server.ts";

const OPEN = [
  { match: "talk.*", publish: "Claim" as const },
  { match: "staff.*", subscribe: "Claim" as const },
];
const say = (channel: string, more: Record<string, unknown> = {}) => ({
  type: "Publish",
  id: 1,
  payload: { channel, event_type: "said", payload: { a: 1 }, ...more },
});

test("Publish reaches the channel where rule and claim allow it, with source websocket", async () => {
  await using server = startServer({ channels: OPEN });
  await using bob = await server.connect("bob");
  await bob.ask({ type: "Subscribe", payload: { channels: ["talk.a"] } }, "subscribed");
  await using ann = await server.connect("ann", { claims: { channels: ["talk.*"] } });
  const answer = await ann.ask(say("talk.a", { priority: "High", correlation_id: "c-1" }), "published");
  expect(answer).toMatchObject({ id: 1, delivered_to: 1 });
  expect(await bob.next("notification")).toMatchObject({
    id: answer.notification_id,
    event_type: "said",
    payload: { a: 1 },
    metadata: { source: "websocket", priority: "High", correlation_id: "c-1" },
  });
});

test.each([
  ["a rule that lets nobody publish", "plain", ["*"]],
  ["a claim that does not cover the channel", "talk.a", ["other.*"]],
  ["no claim", "talk.a", undefined],
])("Publish is FORBIDDEN with %s, and the session stays", async (_name, channel, channels) => {
  await using server = startServer({ channels: OPEN });
  await using ann = await server.connect("ann", channels ? { claims: { channels } } : {});
  expect(await ann.ask(say(channel), "error")).toMatchObject({ code: "FORBIDDEN", id: 1 });
  await ann.ask({ type: "Ping" }, "pong");
});

test("Publish with a name that is none, or over a quota, is refused with the code REST would give", async () => {
  await using server = startServer({ channels: OPEN, quotas: { publishPerSecond: 1, publishBurst: 1, payloadBytes: 256 } });
  await using ann = await server.connect("ann", { claims: { channels: ["talk.*"] } });
  expect(await ann.ask(say("bad name"), "error")).toMatchObject({ code: "VALIDATION_ERROR", field: "/payload/channel" });
  expect(await ann.ask(say("talk.a", { payload: "x".repeat(300) }), "error")).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  await ann.ask(say("talk.a"), "published");
  expect(await ann.ask(say("talk.a"), "error")).toMatchObject({ code: "RATE_LIMITED", retry: true });
});

test("Refresh lets a session outlive its first token", async () => {
  await using server = startServer();
  const soon = Math.floor(Date.now() / 1000) + 3;
  await using ann = await server.connect("ann", { claims: { exp: soon } });
  const answer = await ann.ask({ type: "Refresh", id: "t", payload: { token: server.token("ann", { exp: soon + 3600 }) } }, "refreshed");
  expect(answer).toMatchObject({ id: "t", expires_at: new Date((soon + 3600) * 1000).toISOString() });
  await using bob = await server.connect("bob", { claims: { exp: soon } });
  expect((await bob.ending()).code).toBe(4502); // by then ann's first token is over too
  await ann.ask({ type: "Ping" }, "pong");
});

test.each([
  ["another user", "bob", {}],
  ["another tenant", "ann", { tenant_id: "default" }],
])("Refresh with a token of %s is refused and changes nothing", async (_name, user, claims) => {
  await using server = startServer();
  await using ann = await server.connect("ann");
  const { code } = await ann.ask({ type: "Refresh", payload: { token: server.token(user, claims) } }, "error");
  expect(["FORBIDDEN", "UNAUTHORIZED"]).toContain(String(code));
  await ann.ask({ type: "Ping" }, "pong");
});

test("Refresh with a token that covers less ends what it does not cover", async () => {
  await using server = startServer({ channels: OPEN });
  await using ann = await server.connect("ann", { claims: { channels: ["staff.*"] } });
  await ann.ask({ type: "Subscribe", payload: { channels: ["staff.a", "free"] } }, "subscribed");
  await ann.ask({ type: "Refresh", payload: { token: server.token("ann") } }, "refreshed");
  expect(await ann.next("unsubscribed")).toMatchObject({ payload: ["staff.a"] });
  expect((await server.publish({ kind: "channel", channel: "staff.a" })).deliveredTo).toBe(0);
  expect((await server.publish({ kind: "channel", channel: "free" })).deliveredTo).toBe(1);
});
