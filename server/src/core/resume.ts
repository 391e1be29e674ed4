// Why: a client that connected first and says afterwards where it stood gets the same as one whose cursor came with the
// connection. It must never answer `recovered` for a stream it could not verify.
import { decodeCursor } from "@nexus/protocol/cursor.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import type { Fan } from "./fan.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame, NOWHERE } from "./frame.ts";
import type { Hub } from "./hub.ts";
import { type Joining, type Located, placeOf } from "./joining.ts";
import type { ResumePoints, Session } from "./session.ts";
import { channelStream } from "./subscribe.ts";

/** What a cursor that came with the connection says. None: undefined; one that cannot be read says that something may be missing. */
export const resumePoints = (cursor: string | undefined): ResumePoints | undefined =>
  cursor === undefined || cursor === "" ? undefined : (decodeCursor(cursor) ?? "unreadable");

export type ResumeDeps = { readonly hub: Hub; readonly flusher: Flusher; readonly joining: Joining };

/**
 * Answers `resumed` with every stream the session holds that the cursor names, then sends what was missed on them; some
 * of it may have arrived already. What the cursor says of other streams counts when they are subscribed.
 * Refuses with `invalid_cursor`.
 */
export async function resume(deps: ResumeDeps, session: Session, { id, payload }: ClientFrameOf<"Resume">): Promise<Refusal | undefined> {
  const points = decodeCursor(payload.cursor);
  if (!points)
    return {
      code: "invalid_cursor",
      detail: "This is no cursor of this server",
      fields: [{ pointer: "/payload/cursor", detail: "is not a cursor" }],
    };
  session.resume = points;
  const fans = heldFans(deps.hub, session).filter((fan) => points.has(fan.hash));
  for (const fan of fans) deps.hub.hold(session, fan);
  const streams = await locateAll(deps, session, fans);
  if (session.ended) return undefined;
  const states = streams.map(({ state }) => state);
  deps.flusher.reply(
    session,
    controlFrame({ type: "resumed", streams: states, ...(id === undefined ? {} : { id }) }, streams.map(placeOf)),
  );
  for (const stream of streams) await deps.joining.deliver(session, stream);
  return undefined;
}

async function locateAll({ hub, joining }: ResumeDeps, session: Session, fans: readonly Fan[]): Promise<readonly Located[]> {
  try {
    return await Promise.all(fans.map((fan) => joining.locate(session, fan)));
  } catch (error) {
    for (const fan of fans) hub.release(session, fan, NOWHERE); // they go on as before
    throw error;
  }
}

function heldFans(hub: Hub, session: Session): readonly Fan[] {
  const channels = [...(session.channels ?? [])].map((channel) => hub.find(channelStream(session, channel)));
  return [session.inbox, session.broadcast, ...channels].filter((fan) => fan !== undefined);
}
