// Why: a notification looks the same in every list as on a socket. It must never describe a frame: those are in frames.ts.
import { Type } from "@sinclair/typebox";
import { Audience, Priority } from "../frames.ts";

/** Who sent it and how: as `metadata` of a `notification` frame. */
export const Metadata = Type.Object({
  source: Type.String({ description: "Who sent it; http-api over REST unless the body gave one." }),
  priority: Priority,
  ttl: Type.Optional(Type.Integer({ minimum: 0, description: "Seconds it lives from occurred_at." })),
  audience: Type.Optional(Audience),
  correlation_id: Type.Optional(Type.String()),
});

/** The members of a `notification` frame whose stream keeps it. */
export const ENTRY_FIELDS = {
  id: Type.String({ format: "uuid", description: "The notification; the same on every stream it was published to." }),
  occurred_at: Type.String({ format: "date-time" }),
  event_type: Type.String(),
  payload: Type.Unknown({ description: "Any JSON value." }),
  metadata: Metadata,
  stream: Type.String({ description: "`user`, `broadcast` or `channel:<name>`." }),
  offset: Type.Integer({ minimum: 1, description: "Place in the stream; offsets may be missing, which is no loss." }),
};

/** Where a list stands: pages of another epoch do not fit together. */
export const STREAM_FIELDS = {
  epoch: Type.String({ description: "Changes when entries may have been lost; pages of different epochs do not fit together." }),
  top: Type.Integer({ minimum: 0, description: "Offset of the newest entry ever, 0 when there was none." }),
  more: Type.Boolean({ description: "Older entries are kept: ask again with `before` set to the last offset of this page." }),
};

/** Query members of a list that is read page by page, newest first. */
export const PAGE_QUERY = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50, description: "Entries in one answer." })),
  before: Type.Optional(Type.Integer({ minimum: 1, description: "Only entries with a smaller offset." })),
};
