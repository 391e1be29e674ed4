// Why: how one item of a batch is sent, or, where the batch was answered before, how its answer is found again.
// It must never send an item twice under one key.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { NIL_UUID } from "@nexus/protocol/rest/content.ts";
import type { Span } from "@nexus/tracing/span.ts";
import { type BatchItem, isMany, type SentItem } from "./batch-items.ts";
import type { IdempotencyClaim, StreamId } from "./ports.ts";
import { refusalOf } from "./problem.ts";
import { append, MOST_TRACED } from "./publish-append.ts";
import { type Prepared, type PublisherDeps, prepare, takeQuota, tenantOf } from "./publish-content.ts";
import { countBroken, countRefused } from "./publish-counts.ts";
import { partOf } from "./publish-keys.ts";
import { sendTo } from "./publish-many.ts";
import { streamOf, streamsOf, tooManyTargets } from "./publish-targets.ts";

export type SendItem = (item: BatchItem, index: number) => Promise<SentItem>;

/** Who publishes; `source` is what an item's own overrides. */
export type Publishing = { readonly tenant: string; readonly source: string };

/** `isQuotaTaken`: the tenant's publish quota is not asked again. `span`: of the whole batch. */
type Sending = { readonly claim: IdempotencyClaim | undefined; readonly isQuotaTaken: boolean; readonly span: Span | undefined };

/**
 * Sends for real. An item is refused with what a publish is refused with, and `limit_exceeded`. When the engine breaks
 * before anything was sent it throws; later that is the item's failure.
 */
export function sender(deps: PublisherDeps, { tenant, source }: Publishing, { claim, isQuotaTaken, span }: Sending): SendItem {
  let sent = 0;
  let broken = 0;
  async function prepared({ target, content }: BatchItem): Promise<Prepared | Refusal> {
    const tooMany = isMany(target) ? tooManyTargets(target) : undefined;
    if (tooMany) return tooMany;
    const ready = await prepare(deps, { tenant, content, source }, target.kind === "broadcast" ? target.audience : undefined);
    return "code" in ready || isQuotaTaken ? ready : (takeQuota(deps, ready) ?? ready);
  }
  return async (item, index) => {
    const startedAt = deps.clock.monotonic();
    const publish = { tenant, kind: streamKindOf(item) };
    try {
      const ready = await prepared(item);
      const placed: Placed = { item, claim: claim && partOf(claim, index), span: index < MOST_TRACED ? span : undefined };
      const result = "code" in ready ? refused(ready) : await sendItem(deps, ready, placed);
      if (result.kind === "published") sent++;
      else countRefused(deps, publish, result.refusal.code);
      return result;
    } catch (thrown) {
      countBroken(deps, publish, thrown);
      if (sent === 0) throw thrown;
      if (broken++ === 0) deps.log.error("publish.batch_broken", { tenant, index, error: thrown });
      return refused(refusalOf(thrown));
    } finally {
      deps.metrics.publishTook(publish.kind, deps.clock.monotonic() - startedAt);
    }
  };
}

/** Of an item code and words are told and remembered, no fields: a replay has to answer the same. */
const refused = ({ code, detail }: Refusal): SentItem => ({ kind: "refused", refusal: { code, detail } });

const streamKindOf = ({ target: { kind } }: BatchItem): StreamId["kind"] =>
  kind === "broadcast" ? "broadcast" : kind.startsWith("user") ? "inbox" : "channel";

type Placed = { readonly item: BatchItem; readonly claim: IdempotencyClaim | undefined; readonly span?: Span | undefined };

async function sendItem(deps: PublisherDeps, prepared: Prepared, { item: { target }, claim, span }: Placed): Promise<SentItem> {
  const id = deps.ids.uuid();
  if (isMany(target)) {
    const streams = streamsOf(prepared.tenantId, target);
    if (streams.size === 0) return { kind: "published", notificationId: NIL_UUID, deliveredTo: 0, queued: false };
    const outcome = await sendTo(deps, prepared, { streams, id, claim, span });
    if ("code" in outcome) return refused(outcome);
    const { notificationId, deliveredTo, queued } = outcome;
    return { kind: "published", notificationId, deliveredTo, queued };
  }
  const outcome = await append(deps, prepared, { stream: streamOf(prepared.tenantId, target), id, claim, span });
  if ("code" in outcome) return refused(outcome);
  const { notificationId, deliveredTo, queued } = outcome.record;
  return { kind: "published", notificationId, deliveredTo, queued };
}

type Recall = { readonly claim: IdempotencyClaim; readonly refused: ReadonlyMap<number, Refusal> };

/**
 * Reads the records of a batch that was answered: publishes of nothing (ttl 0) under the items' claims. So a replay needs
 * no template and no quota, and where a record is gone already nothing is sent a second time.
 */
export function recaller(deps: PublisherDeps, { tenant: tenantId }: Publishing, { claim, refused: refusals }: Recall): SendItem {
  return async (item, index) => {
    const refusal = refusals.get(index);
    if (refusal) return refused(refusal);
    const tenant = tenantOf(deps, tenantId);
    if ("code" in tenant) return refused(tenant);
    const nothing = { eventType: "", payloadJson: "null", priority: "Normal", ttl: 0 } as const;
    const metadata = { source: "", priority: "Normal", ttl: 0 } as const;
    const prepared: Prepared = { tenantId, cluster: deps.tenants.cluster(), tenant, content: nothing, metadata };
    return await sendItem(deps, prepared, { item, claim: partOf(claim, index) });
  };
}
