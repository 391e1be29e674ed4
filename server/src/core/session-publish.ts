// Why: a listening person may speak on channels whose rule and whose token say so; from there on it is a publish like any
// other. It must never let a session choose another tenant, a template or a target that is no channel.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import { CHANNEL_RULE, isChannelName, matchesChannel } from "@nexus/protocol/names.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame } from "./frame.ts";
import type { Tenants } from "./ports.ts";
import type { Publisher } from "./publish.ts";
import type { Session } from "./session.ts";
import { channelRule } from "./streams.ts";

export type SessionPublishDeps = { readonly tenants: Tenants; readonly flusher: Flusher; readonly publisher: Publisher };

/** What `metadata.source` says of a notification that came over a socket. */
const SOURCE = "websocket";

/** Answers `published`. Refuses with `forbidden`, `validation_error`, and what `Publisher.publish` refuses with. */
export async function publishFromSession(
  deps: SessionPublishDeps,
  session: Session,
  { id, payload }: ClientFrameOf<"Publish">,
): Promise<Refusal | undefined> {
  const { channel, event_type, payload: body, priority, ttl, correlation_id, traceparent, tracestate } = payload;
  const tenant = deps.tenants.tenant(session.tenant);
  if (!isChannelName(channel)) {
    return {
      code: "validation_error",
      detail: `A channel name has ${CHANNEL_RULE}`,
      fields: [{ pointer: "/payload/channel", detail: CHANNEL_RULE }],
    };
  }
  const isOpen = tenant !== undefined && channelRule(deps.tenants.cluster(), tenant, channel).publish === "Claim";
  if (!isOpen || !session.identity.channels.some((pattern) => matchesChannel(pattern, channel))) {
    return { code: "forbidden", detail: "The channel's rule and the token do not allow publishing here" };
  }
  const content = {
    event_type,
    payload: body,
    ...(priority === undefined ? {} : { priority }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(correlation_id === undefined ? {} : { correlation_id }),
  };
  const remote = traceparent === undefined ? undefined : { traceparent, tracestate };
  const outcome = await deps.publisher.publish({
    ...{ tenant: session.tenant, target: { kind: "channel", channel }, content, source: SOURCE, remote },
  });
  if ("code" in outcome) return outcome;
  const { notificationId, deliveredTo } = outcome.record;
  const answer = { type: "published", notification_id: notificationId, delivered_to: deliveredTo } as const;
  deps.flusher.reply(session, controlFrame(id === undefined ? answer : { ...answer, id }));
  return undefined;
}
