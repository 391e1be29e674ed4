// Why: what is shown of Redis and of PostgreSQL, where there are any. It must never ask them anything: a scrape does not
// wait for a store that is away.
import type { BrokerHealth } from "../../core/fleet-ports.ts";
import type { BusCounts } from "../redis/bus-counts.ts";
import type { MetricRegistry } from "./registry.ts";

/**
 * What the link to Redis says of itself, and what comes and goes over it. `calls`: since the start, by outcome.
 * `replicasMissing`: primaries that have fewer than asked for.
 */
export type RedisFacts = Omit<BrokerHealth, "lagMs"> & {
  readonly calls: Readonly<Record<string, number>>;
  readonly announcements: BusCounts;
  readonly replicasMissing: number;
  readonly isLayoutInConflict: boolean;
  readonly rateExchangesFailed: number;
  readonly receiptsDropped: number;
};

/** `calls`: since the start, by outcome. `unannounced`: inboxes that Redis has not been told of. */
export type PostgresFacts = {
  readonly connected: boolean;
  readonly calls: Readonly<Record<string, number>>;
  readonly unannounced: number;
};

/** Takes a duration in milliseconds. */
export type Observe = (milliseconds: number) => void;

const BREAKER_STATES = { closed: 0, half_open: 1, open: 2 } as const;

/** `isListening`: to triggers by pub/sub, on this node. */
export function observeRedis(registry: MetricRegistry, read: () => RedisFacts, isListening: () => boolean): void {
  const facts = registry.perScrape(read);
  registry.read("nexus_trigger_listeners", () => Number(isListening()));
  registry.read("nexus_redis_connected", () => Number(facts().connected));
  registry.read("nexus_redis_breaker_state", () => BREAKER_STATES[facts().breaker]);
  registry.readBy("nexus_redis_calls_total", () => facts().calls);
  registry.read("nexus_redis_reconnection_attempts_total", () => facts().reconnectionAttempts);
  registry.read("nexus_redis_reconnections_total", () => facts().reconnections);
  registry.read("nexus_redis_subscribed_streams", () => facts().announcements.streams);
  registry.read("nexus_redis_announcements_total", () => facts().announcements.messages);
  registry.read("nexus_redis_announcements_unreadable_total", () => facts().announcements.broken);
  registry.read("nexus_redis_subscription_interruptions_total", () => facts().announcements.interruptions);
  registry.read("nexus_redis_subscriptions_dead_total", () => facts().announcements.dead);
  registry.read("nexus_redis_streams_went_back_total", () => facts().announcements.regressions);
  registry.read("nexus_redis_replicas_missing", () => facts().replicasMissing);
  registry.read("nexus_redis_layout_conflict", () => Number(facts().isLayoutInConflict));
  registry.read("nexus_rate_exchange_failures_total", () => facts().rateExchangesFailed);
  registry.read("nexus_receipts_dropped_total", () => facts().receiptsDropped);
}

export function observePostgres(registry: MetricRegistry, read: () => PostgresFacts): void {
  const facts = registry.perScrape(read);
  registry.read("nexus_postgres_connected", () => Number(facts().connected));
  registry.readBy("nexus_postgres_calls_total", () => facts().calls);
  registry.read("nexus_postgres_unannounced_inboxes", () => facts().unannounced);
}
