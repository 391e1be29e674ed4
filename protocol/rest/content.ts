// Why: what every publishing operation accepts, declared once. It must never check more than shape: counts, names and
// templates are the server's to judge, with failure codes of their own.
import { type Static, Type } from "@sinclair/typebox";
import { Priority } from "../frames.ts";

/** Content is `event_type` + `payload`, or `template_id` + `variables`; if both are there, the template wins (Ara). */
export const Content = Type.Object({
  event_type: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: "What happened, for example order.shipped." })),
  payload: Type.Optional(Type.Unknown({ description: "Any JSON value, null too, but present." })),
  template_id: Type.Optional(Type.String({ description: "A template of the tenant; wins over event_type and payload." })),
  variables: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: "Values for the template's placeholders." })),
  locale: Type.Optional(
    Type.String({ maxLength: 35, description: "BCP 47 tag; falls back to shorter tags, then to the template's payload." }),
  ),
  priority: Type.Optional(Priority),
  ttl: Type.Optional(Type.Integer({ minimum: 0, maximum: 2147483647, description: "Seconds; 0 is never delivered." })),
  correlation_id: Type.Optional(Type.String({ maxLength: 256, description: "Carried to the receiver unchanged." })),
  source: Type.Optional(Type.String({ maxLength: 256, description: "Who sent it; http-api when absent." })),
});
export type Content = Static<typeof Content>;

/** The answer of every single-target publish. `delivered_to` counts sessions. */
export const PublishResult = Type.Object({
  success: Type.Boolean({ description: "delivered_to > 0, also when the message was queued." }),
  notification_id: Type.String({ format: "uuid" }),
  delivered_to: Type.Integer({ minimum: 0, description: "Sessions online for the target at publish time." }),
  failed: Type.Integer({ minimum: 0 }),
  queued: Type.Boolean({ description: "Nobody was online and the inbox keeps the notification." }),
  timestamp: Type.String({ format: "date-time" }),
});
export type PublishResult = Static<typeof PublishResult>;
