// Why: what a client says it has seen. In `Delivered` mode that is statistics, in `Acked` mode it moves the user's mark.
// It must never tell whether another user's notification exists.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import type { AckClock } from "./ack-clock.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame } from "./frame.ts";
import type { Clock, Metrics, Page, StreamId, StreamStore, Tenants } from "./ports.ts";
import type { Receipts } from "./record-ports.ts";
import type { Session } from "./session.ts";
import { type DeliveryTraces, MAX_ACK_SPANS } from "./trace-delivery.ts";

/** The most a cumulative ACK is noted for in delivery status; an inbox keeps fewer as a rule. */
const MAX_NOTED = 1000;

export type AcknowledgeDeps = {
  readonly flusher: Flusher;
  readonly tenants: Tenants;
  readonly store: Pick<StreamStore, "has" | "acknowledge" | "setMark" | "top" | "page">;
  readonly receipts: Pick<Receipts, "acknowledged" | "find">;
  readonly traces?: DeliveryTraces | undefined;
  readonly clock: Pick<Clock, "monotonic">;
  readonly metrics: Pick<Metrics, "acked" | "ackLatency">;
  readonly ackClock: AckClock;
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
    const { notification_id } = payload;
    const tookMs = deps.ackClock.since(notification_id, deps.clock.monotonic());
    const span = deps.traces?.isOn ? deps.traces.ack(session.tenant, session.user, notification_id) : undefined;
    const known =
      (await deps.store[isAcked ? "acknowledge" : "has"](inbox, notification_id)) || (await wasHeard(deps, session, notification_id));
    span?.end({}, known ? undefined : "invalid_ack");
    if (!known) return { code: "invalid_ack", detail: "No such notification in this user's inbox" };
    deps.receipts.acknowledged(session.tenant, notification_id, session.user);
    deps.metrics.acked("one");
    if (tookMs !== undefined) deps.metrics.ackLatency(tookMs);
    deps.flusher.reply(session, controlFrame({ type: "acked", notification_id, ...echo }));
    return undefined;
  }
  const { up_to } = payload;
  const top = await deps.store.top(inbox);
  if (up_to.epoch !== top.epoch || up_to.offset > top.offset) {
    return { code: "invalid_ack", detail: "This place is not in the user's inbox" };
  }
  const { entries } = await deps.store.page(inbox, { before: up_to.offset + 1, limit: MAX_NOTED });
  for (const { entry } of entries) deps.receipts.acknowledged(session.tenant, entry.notification.id, session.user);
  if (isAcked) await deps.store.setMark(inbox, up_to);
  deps.metrics.acked("up_to");
  if (deps.traces?.isOn) traceAcks(deps.traces, session, entries);
  deps.flusher.reply(session, controlFrame({ type: "acked", up_to, ...echo }));
  return undefined;
}

/**
 * The place of a cumulative ACK says nothing of when each was seen: its spans have no length. It covers what earlier ones covered, and
 * says nothing new of those.
 */
function traceAcks(traces: DeliveryTraces, { tenant, user }: Session, entries: Page["entries"]): void {
  let spans = 0;
  for (const { entry } of entries) {
    if (entry.notification.trace === undefined) continue;
    const span = traces.ack(tenant, user, entry.notification.id, entry);
    span?.end();
    if (span && ++spans >= MAX_ACK_SPANS) return;
  }
}

/** Whether it went to something this session listens to beside its inbox. */
async function wasHeard({ receipts }: AcknowledgeDeps, session: Session, notificationId: string): Promise<boolean> {
  const receipt = await receipts.find(session.tenant, notificationId);
  return (
    receipt?.targets.some(
      ({ stream }) => stream.kind === "broadcast" || (stream.kind === "channel" && session.holdsChannel(stream.channel)),
    ) ?? false
  );
}
