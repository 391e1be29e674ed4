// Why: what happens to a publish inside the transaction and after it. It must never count, store or announce twice what an
// idempotent publish did before.
import type { BusListener, Clock, PublishOutcome, PublishRecord, PublishRequest, StreamStore } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { MemoryDirectory } from "../memory/directory.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { PublishRecords } from "./publish-records.ts";
import type { StreamTable } from "./stream-table.ts";

export type PublishingDeps = {
  readonly commit: GroupCommit;
  readonly streams: StreamTable;
  readonly records: PublishRecords;
  readonly directory: Pick<MemoryDirectory, "count">;
  /** By stream key. */
  readonly listeners: ReadonlyMap<string, BusListener>;
  readonly clock: Pick<Clock, "now">;
};

export function createPublish(deps: PublishingDeps): StreamStore["publish"] {
  const { commit } = deps;
  return async (request) => {
    const key = streamKey(request.stream);
    if (needsFile(request)) {
      return await commit.write(
        () => accept(deps, request, key),
        (outcome) => announce(deps, request, { key, outcome }),
      );
    }
    commit.assertOpen();
    const outcome: PublishOutcome = { kind: "published", record: place(deps, request) };
    announce(deps, request, { key, outcome });
    return outcome;
  };
}

/** What is live only and has no record does not: it goes on while the file cannot be written. */
const needsFile = ({ idempotency, ...request }: PublishRequest): boolean => idempotency !== undefined || isKept(request);

const isKept = ({ retention, notification }: Pick<PublishRequest, "retention" | "notification">): boolean =>
  retention.entries > 0 && notification.metadata.ttl !== 0;

function accept(deps: PublishingDeps, request: PublishRequest, key: string): PublishOutcome {
  const { records, clock } = deps;
  const { idempotency } = request;
  const now = clock.now();
  const earlier = idempotency && records.find(key, idempotency, now);
  if (earlier) return earlier;
  const record = place(deps, request);
  if (idempotency) records.keep(key, idempotency, { record, now });
  return { kind: "published", record };
}

function place({ directory, streams, clock }: PublishingDeps, request: PublishRequest): PublishRecord {
  const { stream, notification, retention } = request;
  const facts = { notificationId: notification.id, occurredAt: notification.occurredAt };
  if (notification.metadata.ttl === 0) return { ...facts, deliveredTo: 0, queued: false };
  const deliveredTo = directory.count(stream, notification.metadata.audience);
  if (!isKept(request)) return { ...facts, deliveredTo, queued: false };
  const position = streams.append(stream, notification, { retention, now: clock.now() });
  return { ...facts, position, deliveredTo, queued: deliveredTo === 0 && stream.kind === "inbox" };
}

function announce(
  { listeners }: PublishingDeps,
  { stream, notification }: PublishRequest,
  { key, outcome }: { readonly key: string; readonly outcome: PublishOutcome },
): void {
  if (outcome.kind !== "published" || notification.metadata.ttl === 0) return;
  const { position } = outcome.record;
  listeners.get(key)?.onEntry(position ? { stream, notification, position } : { stream, notification });
}
