// Why: the one way into a stream, for REST, triggers and sockets alike: target, content, quota, append, announce.
// It must never deliver itself: whoever listens is told by the engine's bus.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Span } from "@nexus/tracing/span.ts";
import { type BatchInput, type BatchSuccess, publishBatch } from "./batch.ts";
import type { IdempotencyClaim, PublishRecord, StreamId } from "./ports.ts";
import { type Appended, append } from "./publish-append.ts";
import { type Prepared, type PublishContent, type PublisherDeps, prepare, takeQuota } from "./publish-content.ts";
import { countBroken, countRefused } from "./publish-counts.ts";
import { bindKey, claimOf, type Keyed, KeysInFlight } from "./publish-keys.ts";
import { type PublishManyInput, type PublishManySuccess, publishMany } from "./publish-many.ts";
import { type PublishTarget, type PublishTargets, streamOf, targetError, wrongTarget } from "./publish-targets.ts";
import { beginPublish, endPublish, failPublish } from "./trace-publish.ts";

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
    publish: (input) => keys.hold(input, () => publishOne(deps, input)),
    publishMany: (input) => keys.hold(input, () => publishSeveral(deps, input)),
    batch: (input) => keys.hold(input, () => publishItems(deps, input)),
  };
}

async function publishOne(deps: PublisherDeps, input: PublishInput): Promise<PublishSuccess | Refusal> {
  const startedAt = deps.clock.monotonic();
  const kind = kindOf(input.target);
  const span = deps.tracer?.isOn ? beginPublish(deps.tracer, { tenant: input.tenant, kind }, input.remote) : undefined;
  try {
    const outcome = await attempt(deps, input, span);
    if (span) endPublish(span, outcome);
    if (!("code" in outcome)) return { kind: "published", record: outcome.record, replayed: outcome.replayed };
    countRefused(deps, { tenant: input.tenant, kind }, outcome.code);
    return outcome;
  } catch (thrown) {
    if (span) failPublish(span, thrown);
    countBroken(deps, { tenant: input.tenant, kind }, thrown);
    throw thrown;
  } finally {
    deps.metrics.publishTook(kind, deps.clock.monotonic() - startedAt);
  }
}

/** A promise only from where something has to be waited for. */
function attempt(deps: PublisherDeps, input: PublishInput, span: Span | undefined): Appended | Refusal | Promise<Appended | Refusal> {
  const { target } = input;
  const wrong = targetError(target);
  if (wrong) return wrongTarget([wrong]);
  const prepared = prepare(deps, input, target.kind === "broadcast" ? target.audience : undefined);
  return prepared instanceof Promise
    ? prepared.then((ready) => place(deps, input, { prepared: ready, span }))
    : place(deps, input, { prepared, span });
}

type Placing = { readonly prepared: Prepared | Refusal; readonly span: Span | undefined };

function place(deps: PublisherDeps, input: PublishInput, { prepared, span }: Placing): Refusal | Promise<Appended | Refusal> {
  if ("code" in prepared) return prepared;
  const limited = takeQuota(deps, prepared);
  if (limited) return limited;
  const stream = streamOf(input.tenant, input.target);
  const claim = claimOf(input);
  return claim ? placeBound(deps, prepared, { stream, claim, span }) : append(deps, prepared, { stream, id: deps.ids.uuid(), claim, span });
}

async function placeBound(
  deps: PublisherDeps,
  prepared: Prepared,
  { stream, claim, span }: { readonly stream: StreamId; readonly claim: IdempotencyClaim; readonly span: Span | undefined },
): Promise<Appended | Refusal> {
  const head = await bindKey(deps, prepared.tenantId, claim);
  return "code" in head ? head : await append(deps, prepared, { stream, id: head.id, claim, span });
}

async function publishSeveral(deps: PublisherDeps, input: PublishManyInput): Promise<PublishManySuccess | Refusal> {
  const startedAt = deps.clock.monotonic();
  const { tenant, targets } = input;
  const kind = kindOf(targets);
  const names = targets.kind === "users" ? targets.users : targets.channels;
  const span = deps.tracer?.isOn ? beginPublish(deps.tracer, { tenant, kind, targets: names.length }, input.remote) : undefined;
  try {
    const outcome = await publishMany(deps, input, span);
    if (span) endPublish(span, outcome);
    if ("code" in outcome) countRefused(deps, { tenant, kind }, outcome.code);
    return outcome;
  } catch (thrown) {
    if (span) failPublish(span, thrown);
    countBroken(deps, { tenant, kind }, thrown);
    throw thrown;
  } finally {
    deps.metrics.publishTook(kind, deps.clock.monotonic() - startedAt);
  }
}

async function publishItems(deps: PublisherDeps, input: BatchInput): Promise<BatchSuccess | Refusal> {
  const { tenant, items, remote } = input;
  const span = deps.tracer?.isOn ? beginPublish(deps.tracer, { tenant, kind: "batch", targets: items.length }, remote) : undefined;
  if (!span) return await publishBatch(deps, input);
  try {
    const outcome = await publishBatch(deps, input, span);
    endPublish(span, outcome);
    return outcome;
  } catch (thrown) {
    failPublish(span, thrown);
    throw thrown;
  }
}

const kindOf = ({ kind }: PublishTarget | PublishTargets): StreamId["kind"] =>
  kind === "broadcast" ? "broadcast" : kind === "user" || kind === "users" ? "inbox" : "channel";
