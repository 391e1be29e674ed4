// Why: what may be published to Redis instead of the REST interface, declared once (docs/triggers.md). It must never check
// more than shape: names, counts and templates are the server's to judge.
import { type Static, Type } from "@sinclair/typebox";
import { Audience } from "./frames.ts";
import { Content } from "./rest/content.ts";

/** Redis channels that are listened to, as PSUBSCRIBE takes them. The body decides whom a message is for, not the channel. */
export const TRIGGER_PATTERNS = ["notification:user:*", "notification:broadcast", "notification:channel:*"] as const;

export const TRIGGER_TARGETS = ["user", "users", "broadcast", "channel", "channels"] as const;

/** `event` holds the content; what stands beside it does as well, and `event` wins. */
export const TriggerBody = Type.Composite(
  [
    Type.Object({
      type: Type.Union(TRIGGER_TARGETS.map((value) => Type.Literal(value))),
      target: Type.Optional(
        Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()], {
          description: "A text for user and channel, a list for users and channels, nothing for broadcast.",
        }),
      ),
      tenant_id: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: "The tenant; default when absent." })),
      audience: Type.Optional(Audience),
      event: Type.Optional(Content),
      traceparent: Type.Optional(
        Type.Unknown({ description: "W3C trace context: the trace this publish is part of. What is none is ignored." }),
      ),
      tracestate: Type.Optional(Type.Unknown({ description: "W3C trace context, beside traceparent." })),
    }),
    Content,
  ],
  { additionalProperties: true, description: "One notification, as PUBLISH and XADD carry it." },
);
export type TriggerBody = Static<typeof TriggerBody>;
