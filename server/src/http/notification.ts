// Why: a backend asks what became of a notification it sent. It must never tell one tenant of another's.
import type { NotificationStatus } from "@nexus/protocol/rest/delivery.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import { deliveryStatus } from "../core/delivery-status.ts";
import type { Engine } from "../core/engine.ts";
import type { Clock } from "../core/ports.ts";
import type { Receipt } from "../core/record-ports.ts";
import { wireName } from "../core/streams.ts";
import type { Handler } from "./call.ts";

export type NotificationHandlerDeps = { readonly engine: Pick<Engine, "receipts" | "store">; readonly clock: Pick<Clock, "now"> };

/** Refuses with `not_found`: never published by this tenant, or forgotten after a day. */
export function notificationHandlers({ engine, clock }: NotificationHandlerDeps): Partial<Record<OperationId, Handler>> {
  return {
    async notificationStatus({ params, caller }) {
      const receipt = await engine.receipts.find(caller.tenant, params.id ?? "");
      if (!receipt) return { code: "not_found", detail: "No such notification within the last day" };
      const status = await deliveryStatus({ store: engine.store, now: clock.now() }, receipt);
      return { kind: "answer", body: JSON.stringify(answerOf(receipt, status)) };
    },
  };
}

const time = (ms: number): string => new Date(ms).toISOString();

function answerOf(receipt: Receipt, status: NotificationStatus["status"]): NotificationStatus {
  return {
    notification_id: receipt.notificationId,
    event_type: receipt.eventType,
    occurred_at: time(receipt.occurredAt),
    ...(receipt.expiresAt === undefined ? {} : { expires_at: time(receipt.expiresAt) }),
    status,
    delivered_to: receipt.deliveredTo,
    targets: receipt.targets.map(({ stream, deliveredTo, queued }) => ({
      stream: wireName(stream),
      ...(stream.kind === "inbox" ? { user: stream.user } : {}),
      ...(stream.kind === "channel" ? { channel: stream.channel } : {}),
      delivered_to: deliveredTo,
      queued,
    })),
    target_count: receipt.targetCount,
    acknowledgements: receipt.acknowledgements.map(({ user, at }) => ({ user_id: user, acknowledged_at: time(at) })),
    acknowledgement_count: receipt.acknowledgementCount,
  };
}
