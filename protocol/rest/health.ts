// Why: the public health answer, in Ara's shape: what load balancers and people branch on. It must never tell more than
// counts: it needs no key.
import { type Static, Type } from "@sinclair/typebox";

const count = (description: string) => Type.Integer({ minimum: 0, description });
const oneOf = (values: readonly string[], description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description },
  );

export const HealthResult = Type.Object({
  status: oneOf(["healthy", "degraded"], "Answered with 200 either way; probes use the ops port."),
  version: Type.String(),
  uptime_seconds: count("Of this node."),
  redis: Type.Object({
    status: oneOf(["healthy", "reconnecting", "circuit_open", "disabled"], "disabled: this cluster has none."),
    connected: Type.Boolean(),
  }),
  connections: Type.Object({
    total: count("Sessions."),
    unique_users: count("Users with a session."),
    channels_count: count("Channels with a subscriber."),
  }),
  queue: Type.Object({
    enabled: Type.Boolean(),
    backend: Type.String({ description: "Engine that keeps the inboxes." }),
    total_messages: count("Entries all inboxes keep."),
    users_with_queue: count("Users whose inbox keeps something."),
  }),
  cluster: Type.Optional(Type.Object({ enabled: Type.Boolean(), server_id: Type.String() })),
  postgres: Type.Optional(
    Type.Object({
      status: oneOf(["healthy", "unavailable"], "unavailable: inboxes answer 503, channels go on."),
      connected: Type.Boolean(),
      pool_size: count("Connections of the pool."),
      idle_connections: count("Of them, those without work."),
    }),
  ),
});
export type HealthResult = Static<typeof HealthResult>;
