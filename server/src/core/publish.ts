// Why: the one way into a stream, for REST, triggers and sockets alike: target, content, quota, append, announce.
// It must never deliver itself: whoever listens is told by the engine's bus.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { type BatchInput, type BatchSuccess, publishBatch } from "./batch.ts";
import type { PublishRecord, StreamId } from "./ports.ts";
import { append } from "./publish-append.ts";
import { type PublishContent, type PublisherDeps, prepare, takeQuota } from "./publish-content.ts";
import { bindKey, claimOf, type Keyed, KeysInFlight } from "./publish-keys.ts";
import { type PublishManyInput, type PublishManySuccess, publishMany } from "./publish-many.ts";
import { type PublishTarget, streamOf, targetError, wrongTarget } from "./publish-targets.ts";

/** `source` is what the content's own `source` overrides, for example `http-api`. `content` has passed its schema. */
export type PublishInput = PublishContent & Keyed & { readonly target: PublishTarget };

/** `replayed`: an earlier publish with the same idempotency key answered; nothing was sent now. */
export type PublishSuccess = { readonly kind: "published"; readonly record: PublishRecord; readonly replayed: boolean };

/**
 * Every publish resolves once its entries are stored (where their streams keep history) and announced. Each may be refused
 * with `not_found` (tenant), `tenant_suspended`, `validation_error`, `idempotency_conflict`, `idempotency_in_flight`, and
 * throws `Failure` when the engine is broken: asked again with the same key it is finished, not repeated.
 */
export type Publisher = {
  /** Refuses with `unknown_template`, `not_implemented` (engine), `payload_too_large`, `rate_limited` too. */
  publish(input: PublishInput): Promise<PublishSuccess | Refusal>;
  /** One notification for many. Refuses like `publish`, and with `limit_exceeded` (too many targets); then nobody got it. */
  publishMany(input: PublishManyInput): Promise<PublishManySuccess | Refusal>;
  /** Refusals of single items are in the results. */
  batch(input: BatchInput): Promise<BatchSuccess | Refusal>;
};

export function createPublisher(deps: PublisherDeps): Publisher {
  const keys = new KeysInFlight();
  return {
    publish: (input) =>
      counted(
        deps,
        { tenant: input.tenant, kind: kindOf(input.target) },
        keys.hold(input, () => publishOne(deps, input)),
      ),
    publishMany: (input) =>
      counted(
        deps,
        { tenant: input.tenant, kind: kindOf(input.targets) },
        keys.hold(input, () => publishMany(deps, input)),
      ),
    batch: (input) => keys.hold(input, () => publishBatch(deps, input)),
  };
}

async function publishOne(deps: PublisherDeps, input: PublishInput): Promise<PublishSuccess | Refusal> {
  const { tenant, target } = input;
  const wrong = targetError(target);
  if (wrong) return wrongTarget([wrong]);
  const prepared = await prepare(deps, input, target.kind === "broadcast" ? target.audience : undefined);
  if ("code" in prepared) return prepared;
  const limited = takeQuota(deps, prepared);
  if (limited) return limited;
  const claim = claimOf(input);
  const head = claim && (await bindKey(deps, tenant, claim));
  if (head && "code" in head) return head;
  const outcome = await append(deps, prepared, { stream: streamOf(tenant, target), id: head?.id ?? deps.ids.uuid(), claim });
  return "code" in outcome ? outcome : { kind: "published", ...outcome };
}

const kindOf = ({ kind }: PublishTarget | PublishManyInput["targets"]): StreamId["kind"] =>
  kind === "broadcast" ? "broadcast" : kind === "user" || kind === "users" ? "inbox" : "channel";

/** Counts what was refused or could not be stored; what was published is counted where it is appended. */
async function counted<T extends object>(
  { engine, metrics, tenants }: PublisherDeps,
  { tenant, kind }: { readonly tenant: string; readonly kind: StreamId["kind"] },
  publishing: Promise<T | Refusal>,
): Promise<T | Refusal> {
  // Ids that nobody declared are not counted: they are the caller's to invent.
  const failed = () => {
    if (tenants.tenant(tenant)) engine.stats.failed(tenant);
  };
  let outcome: T | Refusal;
  try {
    outcome = await publishing;
  } catch (thrown) {
    failed();
    throw thrown;
  }
  if ("code" in outcome) {
    failed();
    metrics.published(kind, "refused");
  }
  return outcome;
}
