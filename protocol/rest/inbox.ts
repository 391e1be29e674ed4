// Why: operations on what a user's inbox keeps.
import type { Operation } from "./operation.ts";

export const INBOX = [
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
] as const satisfies readonly Operation[];
