// Why: operations about who listens, where, and to what.
import type { Operation } from "./operation.ts";

export const LISTENERS = [
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
] as const satisfies readonly Operation[];
