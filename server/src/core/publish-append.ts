// Why: a prepared publish gets its place in one stream or in many, under one notification id, and is counted once.
// It must never hold the event loop for a long list, nor leave an append running behind its answer.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Span } from "@nexus/tracing/span.ts";
import type { IdempotencyClaim, PublishOutcome, PublishRecord, PublishRequest, StreamId } from "./ports.ts";
import type { Prepared, PublisherDeps } from "./publish-content.ts";
import { CONFLICT } from "./publish-keys.ts";
import { retentionOf } from "./streams.ts";
import { traced, tracedStore } from "./trace-publish.ts";

/** `id`: of the notification, unless a record of the claim has another. `span`: of the publish, where its trace is recorded. */
export type Naming = { readonly id: string; readonly claim: IdempotencyClaim | undefined; readonly span?: Span | undefined };

/** `replayed`: an earlier append under the same claim answered; nothing was sent now. */
export type Appended = { readonly record: PublishRecord; readonly replayed: boolean };

/** `notificationId` and `occurredAt` are those of the first target. `replayed`: nothing at all was sent now. */
export type AppendedAll = {
  readonly notificationId: string;
  readonly occurredAt: number;
  readonly records: ReadonlyMap<string, PublishRecord>;
  readonly replayed: boolean;
};

/** Of a publish to many, so many streams are followed by its trace: each has spans on every node. */
export const MOST_TRACED = 16;
/** How many appends run at once; between two such lots the event loop gets its turn. */
const LOT = 256;

/** One atomic step of the engine. Refuses with `idempotency_conflict`. */
export async function append(
  deps: PublisherDeps,
  { tenantId, cluster, tenant, content, metadata }: Prepared,
  { stream, id, claim, span }: Naming & { readonly stream: StreamId },
): Promise<Appended | Refusal> {
  const { engine, metrics } = deps;
  const { eventType, payloadJson } = content;
  const notification = { id, occurredAt: deps.clock.now(), eventType, payloadJson, metadata };
  const retention = retentionOf(stream, cluster, tenant);
  const request = claim ? { stream, notification, retention, idempotency: claim } : { stream, notification, retention };
  const outcome = await (span ? storeTraced(deps, request, span) : engine.store.publish(request));
  if (outcome.kind === "conflict") return CONFLICT;
  const { kind, record } = outcome;
  metrics.published(stream.kind, kind, tenantId);
  if (kind === "replayed") return { record, replayed: true };
  const { notificationId, occurredAt, deliveredTo, queued } = record;
  engine.stats.published(tenantId, stream.kind, deliveredTo);
  const facts = { notificationId, occurredAt, eventType, stream, deliveredTo, queued };
  engine.receipts.published(
    tenantId,
    content.ttl === undefined ? facts : { ...facts, expiresAt: occurredAt + content.ttl * 1000 },
    cluster.delivery.ackTimeoutSeconds * 1000,
  );
  return { record, replayed: false };
}

/**
 * One append per stream, all under one notification id: with a claim the first goes alone, and the others take the id its
 * record has, so that a publish that was cut off is finished as the same notification. At least one stream.
 * Refuses with `idempotency_conflict`, then nothing was sent. When the engine breaks, what was begun is awaited first.
 */
export async function appendAll(
  deps: PublisherDeps,
  prepared: Prepared,
  { streams, id, claim, span }: Naming & { readonly streams: ReadonlyMap<string, StreamId> },
): Promise<AppendedAll | Refusal> {
  const all = [...streams];
  const records = new Map<string, PublishRecord>();
  let first: PublishRecord | undefined;
  let replayed = true;
  for (let start = 0; start < all.length; ) {
    const lot = all.slice(start, start + (claim && !first ? 1 : LOT));
    if (start > 1) await nextTurn(deps);
    start += lot.length;
    const naming: Naming = { id: first?.notificationId ?? id, claim };
    let traces = span ? MOST_TRACED - records.size : 0;
    for (const [name, outcome] of await settled(lot, (stream) =>
      append(deps, prepared, { stream, ...naming, span: traces-- > 0 ? span : undefined }),
    )) {
      if ("code" in outcome) return outcome;
      first ??= outcome.record;
      replayed &&= outcome.replayed;
      records.set(name, outcome.record);
    }
  }
  return { notificationId: first?.notificationId ?? id, occurredAt: first?.occurredAt ?? deps.clock.now(), records, replayed };
}

async function storeTraced({ engine, tracer }: PublisherDeps, request: PublishRequest, span: Span): Promise<PublishOutcome> {
  const notification = traced(request.notification, span);
  const store = () => engine.store.publish({ ...request, notification });
  return tracer ? await tracedStore(tracer, { span, notification, stream: request.stream }, store) : await store();
}

/** All at once; throws what the first failure threw when every one has ended. */
async function settled<T>(
  lot: readonly (readonly [string, StreamId])[],
  act: (stream: StreamId) => Promise<T>,
): Promise<readonly (readonly [string, T])[]> {
  const outcomes = await Promise.allSettled(lot.map(async ([name, stream]) => [name, await act(stream)] as const));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

const nextTurn = ({ defer }: PublisherDeps): Promise<void> => new Promise((resolve) => defer(resolve, 0));
