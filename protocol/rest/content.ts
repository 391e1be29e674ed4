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

/** Where nothing was published there is no notification to name. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/** The most users and channels one publish may name, doubles included. */
export const MAX_TARGET_USERS = 10_000;
export const MAX_TARGET_CHANNELS = 100;

/** The answer of every single-target publish. `delivered_to` counts sessions. */
export const PublishResult = Type.Object({
  success: Type.Boolean({ description: "delivered_to > 0, also when the message was queued." }),
  notification_id: Type.String({ format: "uuid", description: "The nil UUID where nobody was named." }),
  delivered_to: Type.Integer({ minimum: 0, description: "Sessions online for the target at publish time." }),
  failed: Type.Integer({ minimum: 0 }),
  queued: Type.Boolean({ description: "Nobody was online and the inbox keeps the notification; of several targets, at least one." }),
  timestamp: Type.String({ format: "date-time" }),
});
export type PublishResult = Static<typeof PublishResult>;

/** What became of one of many users. */
const UserResult = Type.Object({
  delivered: Type.Boolean({ description: "connections > 0." }),
  connections: Type.Integer({ minimum: 0, description: "Sessions of the user that were online at publish time." }),
  queued: Type.Boolean({ description: "The user was away and the inbox keeps the notification." }),
});

/** The answer of `send-to-users`. */
export const UsersResult = Type.Composite([
  PublishResult,
  Type.Object({ results: Type.Record(Type.String(), UserResult, { description: "By user id, each once." }) }),
]);
export type UsersResult = Static<typeof UsersResult>;

/** The answer of `channel`. */
export const ChannelResult = Type.Composite([PublishResult, Type.Object({ channel: Type.String() })]);
export type ChannelResult = Static<typeof ChannelResult>;

/** The answer of `channels`. */
export const ChannelsResult = Type.Composite([
  PublishResult,
  Type.Object({
    channels: Type.Record(Type.String(), Type.Object({ delivered_to: Type.Integer({ minimum: 0 }) }), {
      description: "By channel name, each once.",
    }),
    total_delivered: Type.Integer({ minimum: 0, description: "The same as delivered_to." }),
  }),
]);
export type ChannelsResult = Static<typeof ChannelsResult>;

const count = (description: string) => Type.Integer({ minimum: 0, description });
const succeeded = "Items that reached at least one session.";
const failed = "Items that reached nobody, for whatever reason.";
const skipped = "Items that were not sent: duplicates, and what came after the item that stopped the batch.";

export const BatchItemAnswer = Type.Object({
  index: count("Place in the request, from 0."),
  notification_id: Type.String({ format: "uuid", description: "The nil UUID where nothing was published." }),
  success: Type.Boolean({ description: "delivered_to > 0, also when the message was queued; true for a duplicate." }),
  delivered_to: count("Sessions online for the target at publish time."),
  failed: count("Deliveries that failed."),
  skipped: Type.Optional(Type.Boolean({ description: "Present, and true, where the item was not sent." })),
  error: Type.Optional(Type.String({ description: "Why nothing was published." })),
  error_code: Type.Optional(Type.String({ description: "The same as `error.code` of a refused send." })),
});
export type BatchItemAnswer = Static<typeof BatchItemAnswer>;

/** The answer of `batch`. The counters stand twice: existing clients read either place. */
export const BatchResult = Type.Object({
  batch_id: Type.String({ format: "uuid" }),
  results: Type.Array(BatchItemAnswer, { description: "One per item, in order." }),
  summary: Type.Object({
    total: count("Items in the request."),
    succeeded: count(succeeded),
    failed: count(failed),
    skipped: count(skipped),
    total_delivered: count("Sessions reached by all items together."),
  }),
  successful: count(succeeded),
  failed: count(failed),
  skipped: count(skipped),
  timestamp: Type.String({ format: "date-time" }),
});
export type BatchResult = Static<typeof BatchResult>;
