// Why: what became of a batch, in Ara's shape: per item, and counted twice because existing clients read either place.
// Pure. It must never call an item sent that was not.
import { FAILURES } from "@nexus/protocol/failures.ts";
import { type BatchItemAnswer, type BatchResult, NIL_UUID } from "@nexus/protocol/rest/content.ts";
import type { BatchSuccess } from "../core/batch.ts";
import type { BatchItemResult } from "../core/batch-items.ts";

/** The body of a batch's answer. */
export function batchResult({ batchId, occurredAt, results }: BatchSuccess): BatchResult {
  const items = results.map(itemAnswer);
  const skipped = items.filter((item) => item.skipped).length;
  const successful = items.filter((item) => item.success && !item.skipped).length;
  const failed = items.length - skipped - successful;
  const total_delivered = items.reduce((sum, item) => sum + item.delivered_to, 0);
  return {
    batch_id: batchId,
    results: items,
    summary: { total: items.length, succeeded: successful, failed, skipped, total_delivered },
    ...{ successful, failed, skipped },
    timestamp: new Date(occurredAt).toISOString(),
  };
}

function itemAnswer(result: BatchItemResult, index: number): BatchItemAnswer {
  const nothing = { index, notification_id: NIL_UUID, success: false, delivered_to: 0, failed: 0 };
  switch (result.kind) {
    case "published": {
      const { notificationId, deliveredTo } = result;
      return { ...nothing, notification_id: notificationId, success: deliveredTo > 0, delivered_to: deliveredTo };
    }
    case "refused":
      return { ...nothing, error: result.refusal.detail, error_code: FAILURES[result.refusal.code].wire };
    case "duplicate":
      return { ...nothing, success: true, skipped: true };
    case "stopped":
      return { ...nothing, skipped: true, error: "Not sent: an earlier item reached nobody and stop_on_error is set" };
    default:
      return result satisfies never;
  }
}
