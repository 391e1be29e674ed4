// Why: operations on what a user's inbox keeps, and on what became of a notification.
import { Type } from "@sinclair/typebox";
import { NotificationStatus } from "./delivery.ts";
import { ENTRY_FIELDS, PAGE_QUERY, STREAM_FIELDS } from "./entry.ts";
import type { Operation } from "./operation.ts";

export const InboxPage = Type.Object({
  user_id: Type.String(),
  entries: Type.Array(
    Type.Object({ ...ENTRY_FIELDS, unread: Type.Boolean({ description: "Still to be delivered, in Acked mode: to be acknowledged." }) }),
    { description: "Newest first." },
  ),
  unread_count: Type.Integer({ minimum: 0, description: "Of the whole inbox." }),
  ...STREAM_FIELDS,
});

export const INBOX = [
  {
    id: "listInbox",
    method: "GET",
    path: "/api/v1/users/{id}/inbox",
    summary: "Kept entries and unread count",
    auth: "read",
    query: Type.Object({
      ...PAGE_QUERY,
      unread: Type.Optional(Type.Boolean({ default: false, description: "Only unread entries." })),
    }),
    result: InboxPage,
  },
  {
    id: "deleteInboxEntry",
    method: "DELETE",
    path: "/api/v1/users/{id}/inbox/{entry}",
    summary: "Drop one entry",
    auth: "admin",
    status: 204,
  },
  {
    id: "notificationStatus",
    method: "GET",
    path: "/api/v1/notifications/{id}",
    summary: "Delivery status and acknowledgements",
    auth: "read",
    result: NotificationStatus,
  },
] as const satisfies readonly Operation[];
