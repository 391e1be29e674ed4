// Why: backends look who listens before they send, and what a channel still keeps. Looking changes nothing.
// It must never reach into another tenant: the tenant is always the key's.
import { CHANNEL_RULE, isChannelName } from "@nexus/protocol/names.ts";
import type { ChannelInfo, ChannelList, UserSubscriptions } from "@nexus/protocol/rest/listeners.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Engine } from "../core/engine.ts";
import type { ChannelPresence, StreamId } from "../core/ports.ts";
import { type Handler, queryOf } from "./call.ts";
import { entryJson } from "./entry-json.ts";
import { invalidPath, readBefore, readLimit } from "./query.ts";

export type PresenceHandlerDeps = { readonly engine: Pick<Engine, "directory" | "store"> };

/**
 * Refuse with `channel_not_found` and `user_not_connected` where one is asked for that nobody holds, a name no channel can
 * have included; the history with `validation_error` (name, query).
 */
export function presenceHandlers({ engine: { directory, store } }: PresenceHandlerDeps): Partial<Record<OperationId, Handler>> {
  return {
    async listChannels({ caller }) {
      const channels = (await directory.channels(caller.tenant)).map(subscribersOf);
      return { kind: "answer", body: JSON.stringify({ channels, total_channels: channels.length } satisfies ChannelList) };
    },

    async getChannel({ caller, params }) {
      const found = await directory.channel(caller.tenant, params.name ?? "");
      if (!found) return { code: "channel_not_found", detail: "No session holds this channel" };
      const channel: ChannelInfo = { ...subscribersOf(found), created_at: new Date(found.since).toISOString() };
      return { kind: "answer", body: JSON.stringify(channel) };
    },

    async channelHistory(call) {
      const { name = "" } = call.params;
      if (!isChannelName(name)) return invalidPath("name", `must be ${CHANNEL_RULE}`);
      const query = queryOf(call);
      const limit = readLimit(query);
      if (typeof limit === "object") return limit;
      const before = readBefore(query);
      if (typeof before === "object") return before;
      const stream: StreamId = { kind: "channel", tenant: call.caller.tenant, channel: name };
      const { entries, top, more } = await store.page(stream, before === undefined ? { limit } : { limit, before });
      const list = entries.map(({ entry }) => entryJson(entry)).join(",");
      return {
        kind: "answer",
        body: `{"channel":${JSON.stringify(name)},"entries":[${list}],"epoch":${JSON.stringify(top.epoch)},"top":${top.offset},"more":${more}}`,
      };
    },

    async userSubscriptions({ caller, params }) {
      const { id = "" } = params;
      const places = await directory.userSessions(caller.tenant, id);
      if (places.length === 0) return { code: "user_not_connected", detail: "The user has no session" };
      const subscriptions = [...new Set(places.flatMap(({ channels }) => channels))].sort();
      const answer: UserSubscriptions = {
        user_id: id,
        connection_count: places.length,
        connections: places.length,
        subscriptions,
      };
      return { kind: "answer", body: JSON.stringify(answer) };
    },
  };
}

const subscribersOf = ({ name, sessions }: ChannelPresence) => ({ name, subscriber_count: sessions, subscribers: sessions });
