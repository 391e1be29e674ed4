// Why: counters for dashboards that read JSON; Prometheus reads the ops port. It must never be on the way of a publish.
import { DEFAULT_TENANT } from "@nexus/protocol/names.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Stats, StatsAcks, StatsOverview } from "@nexus/protocol/rest/statistics.ts";
import type { Engine } from "../core/engine.ts";
import type { Fleet } from "../core/fleet-ports.ts";
import type { Tenants } from "../core/ports.ts";
import type { AckCounts, Counters } from "../core/record-ports.ts";
import { sideBySide } from "../core/side-by-side.ts";
import type { Handler } from "./call.ts";
import { numbersOf } from "./scope.ts";

export type StatisticsHandlerDeps = {
  readonly tenants: Pick<Tenants, "tenantIds">;
  readonly engine: Pick<Engine, "directory" | "fleet" | "receipts" | "stats">;
};

/** How many tenants are asked at a time. */
const TENANTS_AT_ONCE = 16;

/** They refuse nothing. */
export function statisticsHandlers({ tenants, engine }: StatisticsHandlerDeps): Partial<Record<OperationId, Handler>> {
  const { directory, fleet, receipts, stats } = engine;

  async function channelsOf(tenant: string | undefined): Promise<Record<string, number>> {
    const found = await sideBySide(tenant === undefined ? tenants.tenantIds() : [tenant], TENANTS_AT_ONCE, async (id) => {
      // A tenant id holds no `/`, a channel name neither.
      const prefix = tenant !== undefined || id === DEFAULT_TENANT ? "" : `${id}/`;
      return (await directory.channels(id)).map(({ name, sessions }): [string, number] => [`${prefix}${name}`, sessions]);
    });
    return Object.fromEntries(found.flat());
  }

  return {
    async stats(call) {
      const tenant = numbersOf(call);
      const [counts, channels, total, acks] = await Promise.all([
        ...([directory.counts(tenant), channelsOf(tenant), stats.total(tenant), receipts.acks(tenant)] as const),
      ]);
      const answer: Stats = {
        connections: { total_connections: counts.websocket + counts.sse, unique_users: counts.users, channels },
        notifications: notificationsOf(total),
        redis: redisOf(fleet),
        ack: {
          enabled: true,
          total_tracked: acks.tracked,
          total_acked: acks.acknowledged,
          total_expired: acks.expired,
          pending_count: acks.pending,
          ack_rate: acks.tracked === 0 ? 0 : acks.acknowledged / acks.tracked,
          avg_latency_ms: averageLatency(acks),
        },
      };
      return { kind: "answer", body: JSON.stringify(answer) };
    },

    async statsOverview(call) {
      const tenant = numbersOf(call);
      const [counts, today] = await Promise.all([directory.counts(tenant), stats.today(tenant)]);
      const { total_sent, total_delivered, total_failed } = notificationsOf(today);
      const answer: StatsOverview = {
        connections: { total: counts.websocket + counts.sse, websocket: counts.websocket, sse: counts.sse },
        users: { connected: counts.users, with_multiple_connections: counts.shared },
        channels: { active: counts.channels, total_subscriptions: counts.subscriptions },
        messages: { sent_today: total_sent, delivered_today: total_delivered, failed_today: total_failed },
      };
      return { kind: "answer", body: JSON.stringify(answer) };
    },

    async statsAcks(call) {
      const acks = await receipts.acks(numbersOf(call));
      const { pending, acknowledged, expired } = acks;
      const answer: StatsAcks = { pending, acknowledged, expired, average_ack_time_ms: averageLatency(acks) };
      return { kind: "answer", body: JSON.stringify(answer) };
    },
  };
}

function redisOf(fleet: Pick<Fleet, "broker">): Stats["redis"] {
  const { status, connected, breaker, failures, reconnectionAttempts, reconnections } = fleet.broker();
  return {
    ...{ status, connected, circuit_breaker_state: breaker, circuit_breaker_failures: failures },
    ...{ reconnection_attempts: reconnectionAttempts, total_reconnections: reconnections },
  };
}

const notificationsOf = ({ sent, delivered, failed }: Counters): Stats["notifications"] => ({
  total_sent: sent.user + sent.broadcast + sent.channel,
  total_delivered: delivered,
  total_failed: failed,
  user_notifications: sent.user,
  broadcast_notifications: sent.broadcast,
  channel_notifications: sent.channel,
});

const averageLatency = ({ acknowledged, latencyMs }: AckCounts): number => (acknowledged === 0 ? 0 : latencyMs / acknowledged);
