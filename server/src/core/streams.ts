// Why: what a stream is called and what it keeps, decided in one place for publishers, sessions and engines.
// It must never look at a session or a notification.
import type { ClusterSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import { matchesChannel } from "@nexus/protocol/names.ts";
import type { ChannelRule } from "@nexus/protocol/resources/settings.ts";
import type { Retention, StreamId } from "./ports.ts";

/** The name a channel rule has to carry to apply to the tenant's broadcast. */
export const BROADCAST_RULE = "@broadcast";

/** What applies to a channel that no rule names: live only, for anyone of the tenant. */
export const DEFAULT_RULE: ChannelRule = {
  match: "*",
  history: { size: 0, ttlSeconds: 300 },
  slowConsumer: "Disconnect",
  subscribe: "Anyone",
  publish: "Nobody",
};

/** A key for maps, unique over all tenants and kinds. A tenant id holds no `/`; a user id may hold anything. */
export function streamKey(stream: StreamId): string {
  switch (stream.kind) {
    case "inbox":
      return `u/${stream.tenant}/${stream.user}`;
    case "channel":
      return `c/${stream.tenant}/${stream.channel}`;
    case "broadcast":
      return `b/${stream.tenant}`;
    default:
      return stream satisfies never;
  }
}

/** Whether a key of {@link streamKey}, or one that begins with it and a line break, is of this tenant. */
export function isStreamOf(tenant: string): (key: string) => boolean {
  const [inbox, channel, broadcast] = [`u/${tenant}/`, `c/${tenant}/`, `b/${tenant}`];
  return (key) => key.startsWith(inbox) || key.startsWith(channel) || key === broadcast || key.startsWith(`${broadcast}\n`);
}

/** The stream's name on the wire: `user`, `broadcast` or `channel:<name>`. */
export function wireName(stream: StreamId): string {
  if (stream.kind === "inbox") return "user";
  return stream.kind === "broadcast" ? "broadcast" : `channel:${stream.channel}`;
}

/** The rule of a channel: the tenant's own rules come before the cluster's, the first match wins. */
export function channelRule(cluster: ClusterSettings, tenant: TenantSettings, channel: string): ChannelRule {
  const covers = (rule: ChannelRule) => rule.match !== BROADCAST_RULE && matchesChannel(rule.match, channel);
  return tenant.channels.find(covers) ?? cluster.channels.find(covers) ?? DEFAULT_RULE;
}

/** The rule of the tenant's broadcast: only one that says `@broadcast` applies, so that `*` never keeps broadcasts by accident. */
export function broadcastRule(cluster: ClusterSettings, tenant: TenantSettings): ChannelRule {
  const covers = (rule: ChannelRule) => rule.match === BROADCAST_RULE;
  return tenant.channels.find(covers) ?? cluster.channels.find(covers) ?? DEFAULT_RULE;
}

/** How much a stream keeps, by the tenant's quota (inbox) or by the rule of its channel. */
export function retentionOf(stream: StreamId, cluster: ClusterSettings, tenant: TenantSettings): Retention {
  if (stream.kind === "inbox") return { entries: tenant.quotas.inbox.messages, ttlSeconds: tenant.quotas.inbox.ttlSeconds };
  const { history } = stream.kind === "broadcast" ? broadcastRule(cluster, tenant) : channelRule(cluster, tenant, stream.channel);
  return { entries: history.size, ttlSeconds: history.ttlSeconds };
}

/** What happens to a session that is too slow for this stream. An inbox has no rule: it keeps what the session missed. */
export function slowConsumerPolicy(stream: StreamId, cluster: ClusterSettings, tenant: TenantSettings): ChannelRule["slowConsumer"] {
  if (stream.kind === "inbox") return "Disconnect";
  return (stream.kind === "broadcast" ? broadcastRule(cluster, tenant) : channelRule(cluster, tenant, stream.channel)).slowConsumer;
}
