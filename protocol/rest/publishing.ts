// Why: operations that send, declared once. Limits, names and templates are the server's to judge.
import { type TSchema, Type } from "@sinclair/typebox";
import { Audience } from "../frames.ts";
import { Content, PublishResult } from "./content.ts";
import type { Operation } from "./operation.ts";

const open = { additionalProperties: true };
const target = (fields: Record<string, TSchema>, description: string) =>
  Type.Composite([Type.Object(fields), Content], { ...open, description });

export const SendBody = target(
  { target_user_id: Type.String({ description: "JWT `sub` of the receiver." }) },
  "One notification to one user, on every device.",
);
export const ChannelBody = target({ channel: Type.String({ description: "Channel name." }) }, "One notification to one channel.");
export const BroadcastBody = target(
  { audience: Type.Optional(Audience) },
  "One notification to everyone of the tenant who is online, or to an audience.",
);

const write = { limit: "body" } as const;

export const PUBLISHING = [
  {
    id: "send",
    method: "POST",
    path: "/api/v1/notifications/send",
    summary: "Send to one user",
    auth: "publish",
    served: true,
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
    served: false,
    ...write,
  },
  {
    id: "broadcast",
    method: "POST",
    path: "/api/v1/notifications/broadcast",
    summary: "Send to everyone of the tenant, or to an audience",
    auth: "publish",
    served: true,
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
    served: true,
    ...write,
    body: ChannelBody,
    result: Type.Composite([PublishResult, Type.Object({ channel: Type.String() })]),
  },
  {
    id: "channels",
    method: "POST",
    path: "/api/v1/notifications/channels",
    summary: "Send to many channels",
    auth: "publish",
    served: false,
    ...write,
  },
  {
    id: "batch",
    method: "POST",
    path: "/api/v1/notifications/batch",
    summary: "Up to 100 notifications in one request",
    auth: "publish",
    served: false,
    limit: "batch",
  },
  {
    id: "notificationStatus",
    method: "GET",
    path: "/api/v1/notifications/{id}",
    summary: "Delivery status and acknowledgements",
    auth: "read",
    served: false,
  },
] as const satisfies readonly Operation[];
