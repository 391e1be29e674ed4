// Why: what a client says it has seen. In `Delivered` mode that is statistics, in `Acked` mode it moves the user's mark.
// It must never tell whether another user's notification exists.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame } from "./frame.ts";
import type { StreamId, StreamStore, Tenants } from "./ports.ts";
import type { Session } from "./session.ts";

export type AcknowledgeDeps = {
  readonly flusher: Flusher;
  readonly tenants: Tenants;
  readonly store: Pick<StreamStore, "has" | "acknowledge" | "setMark" | "top">;
};

/** Answers `acked`, or returns `invalid_ack` for the caller to answer. */
export async function acknowledge(
  deps: AcknowledgeDeps,
  session: Session,
  { id, payload }: ClientFrameOf<"Ack">,
): Promise<Refusal | undefined> {
  const inbox: StreamId = { kind: "inbox", tenant: session.tenant, user: session.user };
  const isAcked = deps.tenants.tenant(session.tenant)?.quotas.inbox.mode === "Acked";
  const echo = id === undefined ? {} : { id };
  if ("notification_id" in payload) {
    const known = await deps.store[isAcked ? "acknowledge" : "has"](inbox, payload.notification_id);
    if (!known) return { code: "invalid_ack", detail: "No such notification in this user's inbox" };
    deps.flusher.reply(session, controlFrame({ type: "acked", notification_id: payload.notification_id, ...echo }));
    return undefined;
  }
  const top = await deps.store.top(inbox);
  if (payload.up_to.epoch !== top.epoch || payload.up_to.offset > top.offset) {
    return { code: "invalid_ack", detail: "This place is not in the user's inbox" };
  }
  if (isAcked) await deps.store.setMark(inbox, payload.up_to);
  deps.flusher.reply(session, controlFrame({ type: "acked", up_to: payload.up_to, ...echo }));
  return undefined;
}
