// Why: operations about who listens, where, and to what. Two spellings of a number say the same: clients read either.
import { type Static, Type } from "@sinclair/typebox";
import { ENTRY_FIELDS, PAGE_QUERY, STREAM_FIELDS } from "./entry.ts";
import type { Operation } from "./operation.ts";

const count = (description: string) => Type.Integer({ minimum: 0, description });

const SUBSCRIBERS = {
  name: Type.String({ description: "Channel name." }),
  subscriber_count: count("Sessions that hold the channel."),
  subscribers: count("The same as subscriber_count."),
};

export const ChannelList = Type.Object({
  channels: Type.Array(Type.Object(SUBSCRIBERS), { description: "By name; channels nobody holds are not listed." }),
  total_channels: count("How many are listed."),
});
export type ChannelList = Static<typeof ChannelList>;

export const ChannelInfo = Type.Object({
  ...SUBSCRIBERS,
  created_at: Type.String({ format: "date-time", description: "When the first of the present holders came." }),
});
export type ChannelInfo = Static<typeof ChannelInfo>;

export const ChannelHistory = Type.Object(
  {
    channel: Type.String(),
    entries: Type.Array(Type.Object(ENTRY_FIELDS), { description: "Newest first." }),
    ...STREAM_FIELDS,
  },
  { description: "What the channel keeps by its rule; a channel without history answers an empty page." },
);

export const UserSubscriptions = Type.Object({
  user_id: Type.String(),
  connection_count: count("Sessions of the user."),
  connections: count("The same as connection_count."),
  subscriptions: Type.Array(Type.String(), { description: "Channels that any of the sessions holds, by name." }),
});
export type UserSubscriptions = Static<typeof UserSubscriptions>;

export const UserDisconnected = Type.Object({
  user_id: Type.String(),
  disconnected: count("Sessions that were ended; 0 when there was none."),
});
export type UserDisconnected = Static<typeof UserDisconnected>;

export const SessionDisconnected = Type.Object({ connection_id: Type.String(), disconnected: count("Always 1: otherwise it is a 404.") });
export type SessionDisconnected = Static<typeof SessionDisconnected>;

export const LISTENERS = [
  {
    id: "listChannels",
    method: "GET",
    path: "/api/v1/channels",
    summary: "Channels with subscribers",
    auth: "read",
    result: ChannelList,
  },
  {
    id: "getChannel",
    method: "GET",
    path: "/api/v1/channels/{name}",
    summary: "One channel with subscribers",
    auth: "read",
    result: ChannelInfo,
  },
  {
    id: "channelHistory",
    method: "GET",
    path: "/api/v1/channels/{name}/history",
    summary: "Entries a channel keeps",
    auth: "read",
    query: Type.Object(PAGE_QUERY),
    result: ChannelHistory,
  },
  {
    id: "userSubscriptions",
    method: "GET",
    path: "/api/v1/users/{id}/subscriptions",
    summary: "Sessions and channels of a user",
    auth: "read",
    result: UserSubscriptions,
  },
  {
    id: "disconnectUser",
    method: "DELETE",
    path: "/api/v1/users/{id}/sessions",
    summary: "End every session of a user (close code 4507)",
    auth: "admin",
    result: UserDisconnected,
  },
  {
    id: "disconnectSession",
    method: "DELETE",
    path: "/api/v1/sessions/{id}",
    summary: "End one session (close code 4507)",
    auth: "admin",
    result: SessionDisconnected,
  },
] as const satisfies readonly Operation[];
