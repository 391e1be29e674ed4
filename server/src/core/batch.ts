// Why: up to a hundred publishes in one request, in order, each with its own result. It must never send an item twice under
// one key, nor answer a replay otherwise than it answered first.
import type { FailureCode, Refusal } from "@nexus/protocol/failures.ts";
import { type BatchItem, type BatchItemResult, duplicateKey } from "./batch-items.ts";
import { recaller, type SendItem, sender } from "./batch-send.ts";
import type { IdempotencyClaim } from "./ports.ts";
import { type PublisherDeps, tenantOf } from "./publish-content.ts";
import { bindKey, CONFLICT, claimOf, IN_FLIGHT, type Keyed, type KeyHead } from "./publish-keys.ts";

/** `items` are those of `batchItems`. */
export type BatchInput = Keyed & {
  readonly items: readonly BatchItem[];
  /** Stop at the first item that reached nobody, whatever the reason. */
  readonly stopOnError: boolean;
  /** Skip an item that says what an earlier one said that was published. */
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

/** See `Publisher.batch`. */
export async function publishBatch(deps: PublisherDeps, input: BatchInput): Promise<BatchSuccess | Refusal> {
  const tenant = tenantOf(deps, input.tenant);
  if ("code" in tenant) return tenant;
  const claim = claimOf(input);
  if (claim) return await keyedBatch(deps, input, claim);
  const results = await walk(input, sender(deps, input, { claim, isQuotaTaken: false }));
  return { kind: "batch", batchId: deps.ids.uuid(), occurredAt: deps.clock.now(), results, replayed: false };
}

/**
 * Each item's record lies beside its streams; which items were refused lies in the engine's records of writes, once the
 * batch was answered. A batch that was cut off has no such record: asked again, it sends what has no record yet.
 */
async function keyedBatch(deps: PublisherDeps, input: BatchInput, claim: IdempotencyClaim): Promise<BatchSuccess | Refusal> {
  const { writes } = deps.engine;
  const head = await bindKey(deps, input.tenant, claim);
  if ("code" in head) return head;
  const scope = `${input.tenant}/batch`;
  const begun = await writes.begin(scope, claim);
  if (begun.kind === "conflict") return CONFLICT;
  if (begun.kind === "in_flight") return IN_FLIGHT;
  if (begun.kind === "done") {
    return answer(head, await walk(input, recaller(deps, input, { claim, refused: refusedIn(begun.answer.body) })), true);
  }
  let isOver = false;
  try {
    // The quota of a batch that was cut off was taken when it was first asked.
    const results = await walk(input, sender(deps, input, { claim, isQuotaTaken: !head.isNew }));
    if (!results.some((result) => result.kind === "refused" && RETRIED.has(result.refusal.code))) {
      await writes.finish(scope, claim.key, { status: 200, body: refusedOf(results) });
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

/** The order of a batch: what is skipped and where it stops, whoever sends. */
async function walk({ items, stopOnError, deduplicate }: BatchInput, send: SendItem): Promise<readonly BatchItemResult[]> {
  const results: BatchItemResult[] = [];
  const published = new Set<string>();
  let isStopped = false;
  for (const [index, item] of items.entries()) {
    const key = deduplicate && !isStopped ? duplicateKey(item) : "";
    if (isStopped) results.push({ kind: "stopped" });
    else if (deduplicate && published.has(key)) results.push({ kind: "duplicate" });
    else {
      const result = await send(item, index);
      results.push(result);
      if (result.kind === "published") published.add(key);
      isStopped = stopOnError && (result.kind === "refused" || result.deliveredTo === 0);
    }
  }
  return results;
}

/** What the refused items of an answered batch are remembered as: `[index, code, detail]`. */
function refusedOf(results: readonly BatchItemResult[]): string {
  const told = results.flatMap((result, index) =>
    result.kind === "refused" ? [[index, result.refusal.code, result.refusal.detail] as const] : [],
  );
  return JSON.stringify(told);
}

function refusedIn(body: string): ReadonlyMap<number, Refusal> {
  const told = JSON.parse(body) as readonly (readonly [number, FailureCode, string])[]; // written by refusedOf
  return new Map(told.map(([index, code, detail]) => [index, { code, detail }]));
}
