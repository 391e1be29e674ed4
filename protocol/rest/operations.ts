// Why: every REST operation of the contract in one list, from which the server makes its routes, the reference its
// pages, and a test its proof that nothing is missing. An operation that is declared but not served answers 501.
import { type TSchema, Type } from "@sinclair/typebox";
import { Audience } from "../frames.ts";
import { Content, PublishResult } from "./content.ts";

/** `public`: no key. `session`: a JWT. `platform`: platform keys only. Others: a key with that scope. */
export type OperationAuth = "public" | "publish" | "read" | "admin" | "session" | "platform";

export type Operation = {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Parameters in braces: `/api/v1/channels/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly auth: OperationAuth;
  /** Whether this version serves it; otherwise 501 `not_implemented`. */
  readonly served: boolean;
  /** Which body limit applies. */
  readonly limit?: "body" | "batch";
  readonly body?: TSchema;
  readonly result?: TSchema;
};

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

export const OPERATIONS = [
  // Publishing
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
  // Who listens
  { id: "listChannels", method: "GET", path: "/api/v1/channels", summary: "Channels with subscribers", auth: "read", served: false },
  { id: "getChannel", method: "GET", path: "/api/v1/channels/{name}", summary: "One channel", auth: "read", served: false },
  {
    id: "channelHistory",
    method: "GET",
    path: "/api/v1/channels/{name}/history",
    summary: "Entries a channel keeps",
    auth: "read",
    served: false,
  },
  {
    id: "userSubscriptions",
    method: "GET",
    path: "/api/v1/users/{id}/subscriptions",
    summary: "Sessions and channels of a user",
    auth: "read",
    served: false,
  },
  {
    id: "disconnectUser",
    method: "DELETE",
    path: "/api/v1/users/{id}/sessions",
    summary: "End every session of a user",
    auth: "admin",
    served: false,
  },
  { id: "disconnectSession", method: "DELETE", path: "/api/v1/sessions/{id}", summary: "End one session", auth: "admin", served: false },
  // Inbox
  {
    id: "listInbox",
    method: "GET",
    path: "/api/v1/users/{id}/inbox",
    summary: "Kept entries and unread count",
    auth: "read",
    served: false,
  },
  {
    id: "deleteInboxEntry",
    method: "DELETE",
    path: "/api/v1/users/{id}/inbox/{entry}",
    summary: "Drop one entry",
    auth: "admin",
    served: false,
  },
  // Templates
  { id: "createTemplate", method: "POST", path: "/api/v1/templates", summary: "Create a template", auth: "admin", served: false, ...write },
  { id: "listTemplates", method: "GET", path: "/api/v1/templates", summary: "Templates of the tenant", auth: "read", served: false },
  { id: "getTemplate", method: "GET", path: "/api/v1/templates/{id}", summary: "One template", auth: "read", served: false },
  {
    id: "updateTemplate",
    method: "PUT",
    path: "/api/v1/templates/{id}",
    summary: "Change the given fields of a template",
    auth: "admin",
    served: false,
    ...write,
  },
  { id: "deleteTemplate", method: "DELETE", path: "/api/v1/templates/{id}", summary: "Delete a template", auth: "admin", served: false },
  {
    id: "previewTemplate",
    method: "POST",
    path: "/api/v1/templates/{id}/preview",
    summary: "Render without sending",
    auth: "read",
    served: false,
    ...write,
  },
  // Sessions
  {
    id: "createTicket",
    method: "POST",
    path: "/api/v1/tickets",
    summary: "One-use ticket for /ws and /sse",
    auth: "session",
    served: false,
  },
  // Tenants, cluster, statistics
  { id: "listTenants", method: "GET", path: "/api/v1/tenants", summary: "Tenants this key may see", auth: "read", served: false },
  { id: "getTenant", method: "GET", path: "/api/v1/tenants/{id}", summary: "One tenant", auth: "read", served: false },
  {
    id: "clusterStatus",
    method: "GET",
    path: "/api/v1/cluster/status",
    summary: "Nodes and sessions of the fleet",
    auth: "read",
    served: false,
  },
  {
    id: "clusterUser",
    method: "GET",
    path: "/api/v1/cluster/users/{id}",
    summary: "Where a user is connected",
    auth: "read",
    served: false,
  },
  { id: "stats", method: "GET", path: "/stats", summary: "Counters since start", auth: "read", served: false },
  { id: "statsOverview", method: "GET", path: "/api/v1/stats", summary: "Counters of today", auth: "read", served: false },
  { id: "statsAcks", method: "GET", path: "/api/v1/stats/acks", summary: "Acknowledgements", auth: "read", served: false },
  { id: "health", method: "GET", path: "/health", summary: "Health; 200 also when degraded", auth: "public", served: true },
  { id: "openapi", method: "GET", path: "/openapi.json", summary: "This contract as OpenAPI 3.1", auth: "public", served: false },
] as const satisfies readonly Operation[];

export type OperationId = (typeof OPERATIONS)[number]["id"];

/** The socket endpoints, for the reference: they share the public port but are no REST operations. */
export const LISTEN_ENDPOINTS = [
  { method: "GET", path: "/ws", summary: "WebSocket", served: true },
  { method: "GET", path: "/sse", summary: "Server-sent events", served: false },
] as const;
