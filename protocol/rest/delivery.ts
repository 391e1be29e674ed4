// Why: what became of a notification, as one answer. Facts are kept for a day on a best-effort basis, so this must never be
// what a delivery is decided by.
import { type Static, Type } from "@sinclair/typebox";

/** In the order in which an earlier one hides a later one. */
export const DELIVERY_STATUSES = ["acknowledged", "delivered", "expired", "queued", "undelivered"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const NotificationStatus = Type.Object({
  notification_id: Type.String({ format: "uuid" }),
  event_type: Type.String(),
  occurred_at: Type.String({ format: "date-time" }),
  expires_at: Type.Optional(Type.String({ format: "date-time", description: "Absent without a ttl." })),
  status: Type.Union(
    DELIVERY_STATUSES.map((value) => Type.Literal(value)),
    {
      description:
        "acknowledged: by at least one user. delivered: to at least one session, when it was published or (one user) later. expired: nobody got it in time. queued: an inbox keeps it. undelivered: nobody was online and no inbox keeps it.",
    },
  ),
  delivered_to: Type.Integer({ minimum: 0, description: "Sessions online for all targets when it was published." }),
  targets: Type.Array(
    Type.Object({
      stream: Type.String({ description: "`user`, `broadcast` or `channel:<name>`." }),
      user: Type.Optional(Type.String()),
      channel: Type.Optional(Type.String()),
      delivered_to: Type.Integer({ minimum: 0 }),
      queued: Type.Boolean({ description: "Nobody was online for it then, and the inbox kept it." }),
    }),
    { description: "The first 100." },
  ),
  target_count: Type.Integer({ minimum: 0 }),
  acknowledgements: Type.Array(Type.Object({ user_id: Type.String(), acknowledged_at: Type.String({ format: "date-time" }) }), {
    description: "The first 100, in the order they came.",
  }),
  acknowledgement_count: Type.Integer({ minimum: 0 }),
});
export type NotificationStatus = Static<typeof NotificationStatus>;
