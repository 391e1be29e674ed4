// Why: one notification for many targets: the same content and id, one append each. It must never send to a part of a list
// that is wrong anywhere.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { NIL_UUID } from "@nexus/protocol/rest/content.ts";
import type { Span } from "@nexus/tracing/span.ts";
import type { PublishRecord, StreamId } from "./ports.ts";
import { type AppendedAll, appendAll, type Naming } from "./publish-append.ts";
import { type Prepared, type PublishContent, type PublisherDeps, prepare, takeQuota } from "./publish-content.ts";
import { bindKey, claimOf, type Keyed } from "./publish-keys.ts";
import { type PublishTargets, streamsOf, targetsErrors, tooManyTargets, wrongTarget } from "./publish-targets.ts";

export type PublishManyInput = PublishContent & Keyed & { readonly targets: PublishTargets };

/** `notificationId`: the nil UUID when nobody was named. `records`: by target, each once. `deliveredTo`: sessions of all. `queued`: at least one inbox keeps it for later. */
export type PublishManySuccess = {
  readonly kind: "published";
  readonly notificationId: string;
  readonly occurredAt: number;
  readonly records: ReadonlyMap<string, PublishRecord>;
  readonly deliveredTo: number;
  readonly queued: boolean;
  readonly replayed: boolean;
};

const POINTERS = { users: "/target_user_ids", channels: "/channels" } as const;

/** See `Publisher.publishMany`. */
export async function publishMany(deps: PublisherDeps, input: PublishManyInput, span?: Span): Promise<PublishManySuccess | Refusal> {
  const { targets } = input;
  const tooMany = tooManyTargets(targets);
  if (tooMany) return tooMany;
  const wrong = targetsErrors(targets, POINTERS[targets.kind]);
  if (wrong.length > 0) return wrongTarget(wrong);
  const prepared = await prepare(deps, input);
  if ("code" in prepared) return prepared;
  const streams = streamsOf(input.tenant, targets);
  const limited = streams.size > 0 ? takeQuota(deps, prepared) : undefined;
  if (limited) return limited;
  const claim = claimOf(input);
  if (!claim)
    return streams.size === 0 ? toNobody(deps.clock.now()) : await sendTo(deps, prepared, { streams, id: deps.ids.uuid(), claim, span });
  const head = await bindKey(deps, input.tenant, claim);
  if ("code" in head) return head;
  if (streams.size > 0) return await sendTo(deps, prepared, { streams, id: head.id, claim, span });
  return { ...toNobody(head.occurredAt), replayed: !head.isNew };
}

const toNobody = (occurredAt: number): PublishManySuccess => ({
  ...summary(new Map()),
  ...{ notificationId: NIL_UUID, occurredAt, replayed: false },
});

/** Publishes what is prepared, to at least one stream. Refuses with `idempotency_conflict`. */
export async function sendTo(
  deps: PublisherDeps,
  prepared: Prepared,
  naming: Naming & { readonly streams: ReadonlyMap<string, StreamId> },
): Promise<PublishManySuccess | Refusal> {
  const outcome: AppendedAll | Refusal = await appendAll(deps, prepared, naming);
  if ("code" in outcome) return outcome;
  return { ...summary(outcome.records), ...outcome };
}

function summary(records: ReadonlyMap<string, PublishRecord>) {
  let deliveredTo = 0;
  let queued = false;
  for (const record of records.values()) {
    deliveredTo += record.deliveredTo;
    queued ||= record.queued;
  }
  return { kind: "published" as const, records, deliveredTo, queued };
}
