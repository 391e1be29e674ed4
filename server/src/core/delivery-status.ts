// Why: one word for what became of a notification, from what was counted when it was published and what is known now.
// It must never be asked on the way of a delivery.
import type { DeliveryStatus } from "@nexus/protocol/rest/delivery.ts";
import type { StreamId, StreamStore } from "./ports.ts";
import type { Receipt } from "./record-ports.ts";

/** Pages of 1000 that are looked through for one entry. */
const MAX_PAGES = 10;

export type DeliveryStatusDeps = { readonly store: Pick<StreamStore, "page">; readonly now: number };

/**
 * The status words are defined in `protocol/rest/delivery.ts`. A notification to one user who was away is looked for in
 * the inbox: it may have been delivered since. With several targets only what was counted at publish time is known.
 */
export async function deliveryStatus(deps: DeliveryStatusDeps, receipt: Receipt): Promise<DeliveryStatus> {
  const { acknowledgementCount, deliveredTo, expiresAt, targets, targetCount } = receipt;
  if (acknowledgementCount > 0) return "acknowledged";
  if (deliveredTo > 0) return "delivered";
  const [only] = targets;
  if (targetCount === 1 && only?.queued) return await inInbox(deps, only.stream, receipt);
  if (expiresAt !== undefined && expiresAt <= deps.now) return "expired";
  return targets.some(({ queued }) => queued) ? "queued" : "undelivered";
}

/** Gone from the inbox means that its time or its place there ended before anybody took it, as far as can be known. */
async function inInbox({ store }: DeliveryStatusDeps, inbox: StreamId, { notificationId }: Receipt): Promise<DeliveryStatus> {
  let before: number | undefined;
  for (let i = 0; i < MAX_PAGES; i++) {
    const page = await store.page(inbox, { limit: 1000, ...(before === undefined ? {} : { before }) });
    const found = page.entries.find(({ entry }) => entry.notification.id === notificationId);
    if (found) return found.unread ? "queued" : "delivered";
    if (!page.more) return "expired";
    before = page.entries.at(-1)?.entry.position?.offset;
  }
  return "queued";
}
