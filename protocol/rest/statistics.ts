// Why: counters, as Ara's clients and ours read them. They are of one process and start at 0 with it.
import { type Static, Type } from "@sinclair/typebox";
import type { Operation } from "./operation.ts";
import { NUMBERS_OF } from "./tenants.ts";

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const Stats = Type.Object(
  {
    connections: Type.Object({
      total_connections: count("Sessions open now."),
      unique_users: count("Users with a session."),
      channels: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
        description: "Sessions by channel. Of all tenants together: names outside the tenant `default` are written `<tenant>/<channel>`.",
      }),
    }),
    notifications: Type.Object({
      total_sent: count("Publishes accepted since the start; one to many targets counts once for each."),
      total_delivered: count("Sessions those publishes reached."),
      total_failed: count("Publishes that were refused or could not be stored."),
      user_notifications: count("Of total_sent: to users."),
      broadcast_notifications: count("Of total_sent: broadcasts."),
      channel_notifications: count("Of total_sent: to channels."),
    }),
    redis: Type.Object({
      status: Type.String({ description: "`disabled` on a server without Redis." }),
      connected: Type.Boolean(),
      circuit_breaker_state: Type.String(),
      circuit_breaker_failures: count("In a row."),
      reconnection_attempts: count("Since the connection was lost."),
      total_reconnections: count("Since the start."),
    }),
    ack: Type.Object({
      enabled: Type.Boolean(),
      total_tracked: count("Notifications to users that reached a session, one per user."),
      total_acked: count("Those acknowledged in time."),
      total_expired: count("Those not acknowledged within the ACK timeout."),
      pending_count: count("Those that still may be."),
      ack_rate: Type.Number({ minimum: 0, maximum: 1, description: "total_acked / total_tracked; 0 when nothing is tracked." }),
      avg_latency_ms: Type.Number({ minimum: 0, description: "From publish to ACK; 0 when nothing was acknowledged." }),
    }),
  },
  { description: NUMBERS_OF },
);
export type Stats = Static<typeof Stats>;

export const StatsOverview = Type.Object(
  {
    connections: Type.Object({ total: count("Sessions open now."), websocket: count("Of them."), sse: count("Of them.") }),
    users: Type.Object({ connected: count("Users with a session."), with_multiple_connections: count("Users with more than one.") }),
    channels: Type.Object({ active: count("Channels somebody holds."), total_subscriptions: count("Channels held, over all sessions.") }),
    messages: Type.Object({
      sent_today: count("Publishes accepted since midnight UTC."),
      delivered_today: count("Sessions those publishes reached."),
      failed_today: count("Publishes that were refused or could not be stored."),
    }),
  },
  { description: NUMBERS_OF },
);
export type StatsOverview = Static<typeof StatsOverview>;

export const StatsAcks = Type.Object(
  {
    pending: count("Tracked notifications that still may be acknowledged."),
    acknowledged: count("Acknowledged in time."),
    expired: count("Not acknowledged within the ACK timeout."),
    average_ack_time_ms: Type.Number({ minimum: 0, description: "From publish to ACK; 0 when nothing was acknowledged." }),
  },
  { description: NUMBERS_OF },
);
export type StatsAcks = Static<typeof StatsAcks>;

export const STATISTICS = [
  { id: "stats", method: "GET", path: "/stats", summary: "Counters since start", auth: "read", result: Stats },
  {
    id: "statsOverview",
    method: "GET",
    path: "/api/v1/stats",
    summary: "Counters of today",
    auth: "read",
    result: StatsOverview,
  },
  {
    id: "statsAcks",
    method: "GET",
    path: "/api/v1/stats/acks",
    summary: "Acknowledgements",
    auth: "read",
    result: StatsAcks,
  },
] as const satisfies readonly Operation[];
