// Why: the public health answer, in Ara's shape. It is for people and load balancers and needs no key, so it must never
// tell more than counts. 200 also when degraded: probes use the ops port.
import type { BrokerHealth } from "../core/fleet-ports.ts";
import type { Answer } from "./call.ts";

export type HealthFacts = {
  readonly version: string;
  /** Name of this server. */
  readonly node: string;
  readonly uptimeSeconds: number;
  readonly degraded: boolean;
  readonly broker: Pick<BrokerHealth, "status" | "connected">;
  readonly sessions: number;
  readonly users: number;
  readonly channels: number;
  /** What inboxes hold; `backend` names the engine. */
  readonly queue: { readonly backend: string; readonly messages: number; readonly users: number };
  /** Where inboxes lie in PostgreSQL: connections of the pool, and those without work. */
  readonly postgres?: { readonly connected: boolean; readonly size: number; readonly idle: number };
};

export function healthAnswer(facts: HealthFacts): Answer {
  return {
    kind: "answer",
    body: JSON.stringify({
      status: facts.degraded ? "degraded" : "healthy",
      version: facts.version,
      uptime_seconds: Math.floor(facts.uptimeSeconds),
      redis: { status: facts.broker.status, connected: facts.broker.connected },
      connections: { total: facts.sessions, unique_users: facts.users, channels_count: facts.channels },
      queue: {
        enabled: true,
        backend: facts.queue.backend,
        total_messages: facts.queue.messages,
        users_with_queue: facts.queue.users,
      },
      ...(facts.postgres ? { postgres: postgresPart(facts.postgres) } : {}),
      cluster: { enabled: facts.broker.status !== "disabled", server_id: facts.node },
    }),
  };
}

const postgresPart = ({ connected, size, idle }: NonNullable<HealthFacts["postgres"]>) => ({
  status: connected ? "healthy" : "unavailable",
  connected,
  pool_size: size,
  idle_connections: idle,
});
