// Why: up to a hundred publishes in one request, in order, each with its own result. It must never send an item twice under
// one key, nor answer a replay otherwise than it answered first.
import type { FailureCode, Refusal } from "@nexus/protocol/failures.ts";
import type { Span } from "@nexus/tracing/span.ts";
import { type BatchItem, type BatchItemResult, duplicateKey } from "./batch-items.ts";
import { recaller, type SendItem, sender } from "./batch-send.ts";
import type { IdempotencyClaim } from "./ports.ts";
import { type PublisherDeps, type Traced, tenantOf } from "./publish-content.ts";
import { bindKey, CONFLICT, claimOf, IN_FLIGHT, type Keyed, type KeyHead } from "./publish-keys.ts";

/** `items` are those of `batchItems`. */
export type BatchInput = Keyed &
  Traced & {
    readonly items: readonly BatchItem[];
    /** Stop at the first item that reached nobody, whatever the reason. */
    readonly stopOnError: boolean;
    /** Skip an item with the target and event type of an earlier one that was published. */
    readonly deduplicate: boolean;
    readonly source: string;
  };

/** `results`: one per item, in order. `occurredAt`: of the batch, in milliseconds since 1970. */
export type BatchSuccess = {
  readonly kind: "batch";
  readonly batchId: string;
  readonly occurredAt: number;
  readonly results: readonly BatchItemResult[];
  readonly replayed: boolean;
};

/** See `Publisher.batch`. `span`: of the batch, where its trace is recorded. */
export async function publishBatch(deps: PublisherDeps, input: BatchInput, span?: Span): Promise<BatchSuccess | Refusal> {
  const tenant = tenantOf(deps, input.tenant);
  if ("code" in tenant) return tenant;
  const claim = claimOf(input);
  if (claim) return await keyedBatch(deps, input, { claim, span });
  const results = await walk(input, sender(deps, input, { claim, isQuotaTaken: false, span }), published(deps, input));
  return { kind: "batch", batchId: deps.ids.uuid(), occurredAt: deps.clock.now(), results, replayed: false };
}

/**
 * Each item's record lies beside its streams; which items were refused lies in the engine's records of writes, once the
 * batch was answered. A batch that was cut off has no such record: asked again, it sends what has no record yet.
 */
async function keyedBatch(
  deps: PublisherDeps,
  input: BatchInput,
  { claim, span }: { readonly claim: IdempotencyClaim; readonly span: Span | undefined },
): Promise<BatchSuccess | Refusal> {
  const { writes } = deps.engine;
  const head = await bindKey(deps, input.tenant, claim);
  if ("code" in head) return head;
  const scope = `${input.tenant}/batch`;
  const begun = await writes.begin(scope, claim);
  if (begun.kind === "conflict") return CONFLICT;
  if (begun.kind === "in_flight") return IN_FLIGHT;
  if (begun.kind === "done") {
    const { refused, duplicates } = remembered(begun.answer.body);
    const told: Duplicates = { has: async (_, index) => duplicates.has(index), add: async () => undefined };
    return answer(head, await walk(input, recaller(deps, input, { claim, refused }), told), true);
  }
  let isOver = false;
  try {
    // The quota of a batch that was cut off was taken when it was first asked.
    const results = await walk(input, sender(deps, input, { claim, isQuotaTaken: !head.isNew, span }), published(deps, input));
    if (!results.some((result) => result.kind === "refused" && RETRIED.has(result.refusal.code))) {
      await writes.finish(scope, claim.key, { status: 200, body: toRemember(results) });
      isOver = true;
    }
    return answer(head, results, false);
  } finally {
    if (!isOver) await writes.abandon(scope, claim.key);
  }
}

const answer = (head: KeyHead, results: readonly BatchItemResult[], replayed: boolean): BatchSuccess => ({
  ...{ kind: "batch", batchId: head.id, occurredAt: head.occurredAt, results, replayed },
});

/** Items that failed because something broke: the batch is not over, and asking again sends them. */
const RETRIED: ReadonlySet<FailureCode> = new Set(["internal", "broker_unavailable"]);

/** Which items say what an earlier one said. */
type Duplicates = { has(item: BatchItem, index: number): Promise<boolean>; add(item: BatchItem): Promise<void> };

/** Of the items that were published in this walk. An item whose template nobody knows is like no other. */
function published({ templates }: PublisherDeps, { tenant }: BatchInput): Duplicates {
  const keys = new Set<string>();
  async function keyOf({ target, content }: BatchItem): Promise<string | undefined> {
    const { template_id, event_type } = content;
    const eventType = template_id === undefined ? event_type : (await templates(tenant, template_id))?.event_type;
    return eventType === undefined ? undefined : duplicateKey(target, eventType);
  }
  return {
    async has(item) {
      const key = await keyOf(item);
      return key !== undefined && keys.has(key);
    },
    async add(item) {
      const key = await keyOf(item);
      if (key !== undefined) keys.add(key);
    },
  };
}

/** The order of a batch: what is skipped and where it stops, whoever sends. */
async function walk(
  { items, stopOnError, deduplicate }: BatchInput,
  send: SendItem,
  duplicates: Duplicates,
): Promise<readonly BatchItemResult[]> {
  const results: BatchItemResult[] = [];
  let isStopped = false;
  for (const [index, item] of items.entries()) {
    if (isStopped) results.push({ kind: "stopped" });
    else if (deduplicate && (await duplicates.has(item, index))) results.push({ kind: "duplicate" });
    else {
      const result = await send(item, index);
      results.push(result);
      if (deduplicate && result.kind === "published") await duplicates.add(item);
      isStopped = stopOnError && (result.kind === "refused" || result.deliveredTo === 0);
    }
  }
  return results;
}

/** What a replay cannot find in the records beside the streams. `refused`: `[index, code, detail]`. */
type Remembered = { readonly refused: readonly (readonly [number, FailureCode, string])[]; readonly duplicates: readonly number[] };

function toRemember(results: readonly BatchItemResult[]): string {
  const refused = results.flatMap((result, index) =>
    result.kind === "refused" ? [[index, result.refusal.code, result.refusal.detail] as const] : [],
  );
  const duplicates = results.flatMap(({ kind }, index) => (kind === "duplicate" ? [index] : []));
  return JSON.stringify({ refused, duplicates } satisfies Remembered);
}

function remembered(body: string): { readonly refused: ReadonlyMap<number, Refusal>; readonly duplicates: ReadonlySet<number> } {
  const told = JSON.parse(body) as Remembered; // written by toRemember
  return { refused: new Map(told.refused.map(([index, code, detail]) => [index, { code, detail }])), duplicates: new Set(told.duplicates) };
}
