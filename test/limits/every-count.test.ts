// Why: limits that are part of the contract and not of the configuration: counts, lengths and depth, each at its edge over a
// real request or socket. What is within works; one more is refused with the code clients branch on.
import { expect, test } from "bun:test";
import { MAX_TARGET_CHANNELS, MAX_TARGET_USERS } from "@nexus/protocol/rest/content.ts";
import { MAX_BATCH_ITEMS } from "@nexus/protocol/rest/publishing.ts";
import type { RestCall } from "../support/rest.ts";
import { PLATFORM, type Pod, startPod } from "./every/pod.ts";

const NOTIFICATIONS = "/api/v1/notifications";
const content = { event_type: "e", payload: 1 };
const toAda = { target_user_id: "ada", ...content };
const many = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
/** A value of so many levels: `[[1]]` has two. The body around it is one more. */
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);

const posted = async (pod: Pod, path: string, call: RestCall) => {
  const { status, body } = await pod.rest("POST", `${NOTIFICATIONS}/${path}`, call);
  return status === 200 ? 200 : body.code;
};

const REQUESTS: readonly (readonly [string, string, (at: number) => RestCall, number, string])[] = [
  ["levels of a body", "send", (at) => ({ body: { ...toAda, payload: nested(at - 1) } }), 64, "validation_error"],
  ["characters of an event type", "send", (at) => ({ body: { ...toAda, event_type: "e".repeat(at) } }), 256, "validation_error"],
  ["characters of a user id", "send", (at) => ({ body: { ...toAda, target_user_id: "u".repeat(at) } }), 256, "validation_error"],
  ["characters of a correlation id", "send", (at) => ({ body: { ...toAda, correlation_id: "c".repeat(at) } }), 256, "validation_error"],
  ["characters of a channel name", "channel", (at) => ({ body: { ...content, channel: "c".repeat(at) } }), 64, "validation_error"],
  [
    "4-byte letters of a channel name (256 bytes)",
    "channel",
    (at) => ({ body: { ...content, channel: "𝒳".repeat(at) } }),
    64,
    "validation_error",
  ],
  ["seconds of a ttl", "send", (at) => ({ body: { ...toAda, ttl: at } }), 2_147_483_647, "validation_error"],
  [
    "users of one publish",
    "send-to-users",
    (at) => ({ body: { ...content, target_user_ids: many(at) } }),
    MAX_TARGET_USERS,
    "limit_exceeded",
  ],
  ["channels of one publish", "channels", (at) => ({ body: { ...content, channels: many(at) } }), MAX_TARGET_CHANNELS, "limit_exceeded"],
  [
    "items of a batch",
    "batch",
    (at) => ({ body: { notifications: many(at).map((value) => ({ target: { type: "user", value }, ...content })) } }),
    MAX_BATCH_ITEMS,
    "limit_exceeded",
  ],
  [
    "characters of an Idempotency-Key",
    "send",
    (at) => ({ headers: { "idempotency-key": "k".repeat(at) }, body: toAda }),
    255,
    "invalid_header",
  ],
];

test.each(REQUESTS)("%s: at the limit it works, one more is refused", async (_, path, call, limit, code) => {
  await using pod = await startPod();
  expect([await posted(pod, path, call(limit)), await posted(pod, path, call(limit + 1))]).toEqual([200, code]);
});

test("characters of X-Tenant-ID: 64 name a tenant (that is not there), 65 name none", async () => {
  await using pod = await startPod();
  const named = (length: number) => posted(pod, "send", { key: PLATFORM, headers: { "x-tenant-id": "t".repeat(length) }, body: toAda });
  expect([await named(64), await named(65)]).toEqual(["not_found", "invalid_header"]);
});

test("characters of a template id, and no template is there: 64 are an id, 65 are none", async () => {
  await using pod = await startPod();
  const create = async (length: number) =>
    (await pod.rest("POST", "/api/v1/templates", { body: { id: "t".repeat(length), name: "t", event_type: "e", payload_template: 1 } }))
      .body.code;
  expect([await create(64), await create(65)]).toEqual([undefined, "invalid_template_id"]);
});

test("frames have the same depth, the same channel names and an id of 64 characters", async () => {
  await using pod = await startPod();
  await using client = await pod.seated("ann");
  await client.ask({ type: "Ping", extra: nested(63) }, "pong");
  expect(await client.ask({ type: "Ping", extra: nested(64) }, "error")).toMatchObject({ code: "INVALID_MESSAGE" });
  expect(await client.ask({ type: "Ping", id: "i".repeat(64) }, "pong")).toMatchObject({ id: "i".repeat(64) });
  expect(await client.ask({ type: "Ping", id: "i".repeat(65) }, "error")).toMatchObject({ code: "INVALID_MESSAGE" });
  const subscribe = (channel: string) => ({ type: "Subscribe", payload: { channels: [channel] } });
  await client.ask(subscribe("c".repeat(64)), "subscribed");
  for (const channel of ["c".repeat(65), "", "a b", "a/b", "a*", "a@b"]) {
    expect(await client.ask(subscribe(channel), "error")).toMatchObject({ code: "SUBSCRIPTION_ERROR", field: "/payload/channels/0" });
  }
});

test("30 refused frames are heard, the next one ends the session; frames between them change nothing", async () => {
  await using pod = await startPod({ limits: { framesPerSecond: 0 } });
  await using client = await pod.seated("ann");
  for (let i = 0; i < 30; i++) {
    await client.ask({ type: "Hello" }, "error");
    await client.ask({ type: "Ping" }, "pong");
  }
  client.send({ type: "Hello" });
  expect(await client.ending()).toMatchObject({ code: 4506 });
});
