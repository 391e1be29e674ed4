// Why: the WebSocket and SSE contract as data: every frame that travels, in both dialects, with the rule beside it.
// It must never decide anything: decoding, limits and answers live in the server's core.
import { type Static, Type } from "@sinclair/typebox";

/** The subprotocol of the full dialect. A client that offers none speaks Ara's silent one. */
export const SUBPROTOCOL = "nexus.v1.json";
/** A subprotocol that carries the token where a browser can set no header; never echoed in the answer. */
export const TOKEN_SUBPROTOCOL_PREFIX = "nexus.token.";

export const PRIORITIES = ["Low", "Normal", "High", "Critical"] as const;
export const Priority = Type.Union(
  PRIORITIES.map((value) => Type.Literal(value)),
  { description: "Critical is written at once, Low is dropped first when a session's queue is full." },
);
export type Priority = (typeof PRIORITIES)[number];

/** A place in a stream, as it travels. */
export const WirePosition = Type.Object({ epoch: Type.String({ pattern: "^[A-Za-z0-9_-]{1,16}$" }), offset: Type.Integer({ minimum: 0 }) });
export type WirePosition = Static<typeof WirePosition>;

const frameId = Type.Optional(Type.Union([Type.String({ maxLength: 64 }), Type.Integer()], { description: "Echoed in the answer." }));
const channelOrSince = Type.Union([Type.String(), Type.Object({ name: Type.String(), since: Type.Optional(WirePosition) })]);

/** Client → server. `type` is case-sensitive; unknown members are ignored. */
export const CLIENT_FRAMES = {
  Subscribe: Type.Object({
    type: Type.Literal("Subscribe"),
    id: frameId,
    payload: Type.Object({
      channels: Type.Array(channelOrSince, { description: "Channel names, or names with the place to resume from." }),
    }),
  }),
  Unsubscribe: Type.Object({
    type: Type.Literal("Unsubscribe"),
    id: frameId,
    payload: Type.Object({ channels: Type.Array(Type.String(), { description: "Every name is confirmed, also those never held." }) }),
  }),
  Ping: Type.Object({ type: Type.Literal("Ping"), id: frameId }),
  Ack: Type.Object({
    type: Type.Literal("Ack"),
    id: frameId,
    payload: Type.Union([
      Type.Object({ notification_id: Type.String() }),
      Type.Object({ up_to: WirePosition }, { description: "Cumulative, for the user's inbox." }),
    ]),
  }),
  Resume: Type.Object({ type: Type.Literal("Resume"), id: frameId, payload: Type.Object({ cursor: Type.String() }) }),
  Refresh: Type.Object({ type: Type.Literal("Refresh"), id: frameId, payload: Type.Object({ token: Type.String() }) }),
  Publish: Type.Object({
    type: Type.Literal("Publish"),
    id: frameId,
    payload: Type.Object({
      channel: Type.String({ description: "Its rule has to let the token's channels claim publish." }),
      event_type: Type.String({ minLength: 1, maxLength: 256 }),
      payload: Type.Unknown(),
      priority: Type.Optional(Priority),
      ttl: Type.Optional(Type.Integer({ minimum: 0, maximum: 2147483647, description: "Seconds." })),
      correlation_id: Type.Optional(Type.String({ maxLength: 256 })),
      traceparent: Type.Optional(
        Type.String({ maxLength: 256, description: "W3C trace context: the trace this publish is part of. It is not delivered." }),
      ),
      tracestate: Type.Optional(Type.String({ maxLength: 2048, description: "W3C trace context, beside traceparent." })),
    }),
  }),
} as const;
export type ClientFrameType = keyof typeof CLIENT_FRAMES;
export type ClientFrameOf<T extends ClientFrameType> = Static<(typeof CLIENT_FRAMES)[T]>;
export type FrameId = string | number;

export type StreamOutcome = "fresh" | "recovered" | "not_recovered";
export type NotRecoveredReason = "epoch_changed" | "window_exceeded" | "unverifiable";

/** What a session learns about one stream when it joins it. `stream`: `user`, `broadcast` or `channel:<name>`. */
export type StreamState = {
  readonly stream: string;
  readonly epoch: string;
  readonly offset: number;
  readonly outcome: StreamOutcome;
  readonly reason?: NotRecoveredReason;
};

export const AUDIENCE_TYPES = ["All", "Roles", "Users", "Channels"] as const;
export const Audience = Type.Object({
  type: Type.Union(AUDIENCE_TYPES.map((value) => Type.Literal(value))),
  value: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
});
export type Audience = { readonly type: (typeof AUDIENCE_TYPES)[number]; readonly value?: string | readonly string[] };

export type NotificationMetadata = {
  readonly source: string;
  readonly priority: Priority;
  /** Seconds the notification lives from `occurred_at`. */
  readonly ttl?: number;
  readonly audience?: Audience;
  readonly correlation_id?: string;
};

/** Server → client. Fields beyond Ara's are ours; both dialects may carry them. */
export type ServerFrame =
  | {
      readonly type: "connected";
      readonly connection_id: string;
      readonly user_id: string;
      readonly tenant_id: string;
      readonly heartbeat_seconds: number;
      readonly max_frame_bytes: number;
      readonly streams: readonly StreamState[];
    }
  | {
      readonly type: "notification";
      /** UUIDv7. */
      readonly id: string;
      /** RFC 3339 UTC with `Z`. */
      readonly occurred_at: string;
      readonly event_type: string;
      readonly payload: unknown;
      readonly metadata: NotificationMetadata;
      readonly stream: string;
      /** Absent on a stream that keeps no history. */
      readonly offset?: number;
    }
  | {
      readonly type: "subscribed" | "unsubscribed";
      readonly payload: readonly string[];
      readonly id?: FrameId;
      readonly streams?: readonly StreamState[];
    }
  /** The answer to `Resume`: one item per stream the session holds. */
  | { readonly type: "resumed"; readonly streams: readonly StreamState[]; readonly id?: FrameId }
  /** The answer to `Refresh`. `expires_at`: when the new token stops being accepted. */
  | { readonly type: "refreshed"; readonly expires_at?: string; readonly id?: FrameId }
  /** The answer to `Publish`. `delivered_to` counts sessions. */
  | { readonly type: "published"; readonly notification_id: string; readonly delivered_to: number; readonly id?: FrameId }
  | { readonly type: "pong"; readonly id?: FrameId }
  /** `timestamp`: over SSE only. */
  | { readonly type: "heartbeat"; readonly timestamp?: string }
  | { readonly type: "acked"; readonly notification_id?: string; readonly up_to?: WirePosition; readonly id?: FrameId }
  | {
      readonly type: "error";
      /** `wire` of `FAILURES`. */
      readonly code: string;
      readonly message: string;
      readonly id?: FrameId;
      readonly retry: boolean;
      readonly field?: string;
    }
  | { readonly type: "shutdown"; readonly reason: string; readonly reconnect_after_seconds: number }
  | { readonly type: "gap"; readonly stream: string; readonly reason: string; readonly epoch: string; readonly offset: number };
export type ServerFrameType = ServerFrame["type"];

/** The `reason` of every `shutdown` frame (Ara's text). */
export const SHUTDOWN_REASON = "Server shutting down";
/** Frames only the full dialect gets. */
export const FULL_DIALECT_ONLY: readonly ServerFrameType[] = ["connected", "gap"];
