// Why: operations that send, declared once. Limits, names and templates are the server's to judge.
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Audience } from "../frames.ts";
import { NAME_SCHEMAS } from "../names.ts";
import {
  BatchResult,
  ChannelResult,
  ChannelsResult,
  Content,
  MAX_TARGET_CHANNELS,
  MAX_TARGET_USERS,
  PublishResult,
  UsersResult,
} from "./content.ts";
import type { JsonObject } from "./openapi-schema.ts";
import type { Operation } from "./operation.ts";
import { told, wireName } from "./told.ts";

/** Core says what is missing. */
const open = { additionalProperties: true, ...told({ anyOf: [{ required: ["event_type", "payload"] }, { required: ["template_id"] }] }) };
const target = (fields: Record<string, TSchema>, description: string) =>
  Type.Composite([Type.Object(fields), Content], { ...open, description });

export const SendBody = target(
  { target_user_id: wireName("user", "JWT `sub` of the receiver.") },
  "One notification to one user, on every device.",
);
export const ChannelBody = target({ channel: wireName("channel", "Channel name.") }, "One notification to one channel.");
export const BroadcastBody = target(
  { audience: Type.Optional(Audience) },
  "One notification to everyone of the tenant who is online, or to an audience.",
);

export const UsersBody = target(
  {
    target_user_ids: Type.Array(wireName("user", "JWT `sub`."), {
      ...told({ maxItems: MAX_TARGET_USERS }),
      description: "JWT `sub` of each receiver, at most 10,000; one named twice counts once, none is 200 with `success` false.",
    }),
  },
  "One notification to many users, under one id.",
);
export const ChannelsBody = target(
  {
    channels: Type.Array(wireName("channel", "Channel name."), {
      ...told({ maxItems: MAX_TARGET_CHANNELS }),
      description: "Channel names, at most 100; one named twice counts once, none is 200 with `success` false.",
    }),
  },
  "One notification to many channels, under one id.",
);

/** The most notifications one batch may have. */
export const MAX_BATCH_ITEMS = 100;

const TARGET_TYPES = ["user", "users", "broadcast", "channel", "channels"] as const;
const targetOf = (type: (typeof TARGET_TYPES)[number], value: JsonObject) => ({
  properties: { type: { const: type }, value },
  required: ["value"],
});
/** Which value belongs to which type. */
const TARGETS = [
  targetOf("user", NAME_SCHEMAS.user),
  targetOf("users", { type: "array", items: NAME_SCHEMAS.user, maxItems: MAX_TARGET_USERS }),
  targetOf("channel", NAME_SCHEMAS.channel),
  targetOf("channels", { type: "array", items: NAME_SCHEMAS.channel, maxItems: MAX_TARGET_CHANNELS }),
  { properties: { type: { const: "broadcast" } } },
];
const BatchItem = Type.Composite(
  [
    Type.Object({
      target: Type.Object(
        {
          type: Type.Union(TARGET_TYPES.map((value) => Type.Literal(value))),
          value: Type.Optional(
            Type.Union([Type.String(), Type.Array(Type.String())], {
              description: "A text for user and channel, a list for users and channels, nothing for broadcast.",
            }),
          ),
        },
        told({ anyOf: TARGETS }),
      ),
      audience: Type.Optional(Audience),
    }),
    Content,
  ],
  open,
);
export const BatchBody = Type.Object(
  {
    notifications: Type.Array(BatchItem, {
      ...told({ minItems: 1, maxItems: MAX_BATCH_ITEMS }),
      description: "1 to 100. One that does not match the contract refuses the whole batch; an unknown template only itself.",
    }),
    options: Type.Optional(
      Type.Object({
        stop_on_error: Type.Optional(Type.Boolean({ description: "Stop at the first item that reached nobody. Default false." })),
        deduplicate: Type.Optional(
          Type.Boolean({
            description: "Skip an item with the same target and event type as an earlier one that was published. Default false.",
          }),
        ),
      }),
    ),
  },
  { additionalProperties: true, description: "Up to 100 notifications, sent in order." },
);
export type BatchBody = Static<typeof BatchBody>;

const write = { limit: "body" } as const;

export const PUBLISHING = [
  {
    id: "send",
    method: "POST",
    path: "/api/v1/notifications/send",
    summary: "Send to one user",
    auth: "publish",
    ...write,
    body: SendBody,
    result: PublishResult,
  },
  {
    id: "sendToUsers",
    method: "POST",
    path: "/api/v1/notifications/send-to-users",
    summary: "Send to many users",
    auth: "publish",
    limit: "batch", // 10,000 ids do not fit into the other one
    body: UsersBody,
    result: UsersResult,
  },
  {
    id: "broadcast",
    method: "POST",
    path: "/api/v1/notifications/broadcast",
    summary: "Send to everyone of the tenant, or to an audience",
    auth: "publish",
    ...write,
    body: BroadcastBody,
    result: PublishResult,
  },
  {
    id: "channel",
    method: "POST",
    path: "/api/v1/notifications/channel",
    summary: "Send to a channel",
    auth: "publish",
    ...write,
    body: ChannelBody,
    result: ChannelResult,
  },
  {
    id: "channels",
    method: "POST",
    path: "/api/v1/notifications/channels",
    summary: "Send to many channels",
    auth: "publish",
    ...write,
    body: ChannelsBody,
    result: ChannelsResult,
  },
  {
    id: "batch",
    method: "POST",
    path: "/api/v1/notifications/batch",
    summary: "Up to 100 notifications in one request",
    auth: "publish",
    limit: "batch",
    body: BatchBody,
    result: BatchResult,
  },
] as const satisfies readonly Operation[];
