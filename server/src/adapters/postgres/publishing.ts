// Why: one publish to an inbox: who is online, a place in the database together with those of the same moment, then the
// announcement. It must never announce what is not committed, nor answer before the announcement is out or remembered.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Clock, Directory, PublishOutcome, PublishRecord, PublishRequest, StreamStore } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { Announcer } from "./announcer.ts";
import { Batches } from "./batches.ts";
import type { Pool } from "./pool.ts";
import { columnsOf, type Inbox, NEVER, recipientOf } from "./rows.ts";

const DAY_MS = 86_400_000;
const MAX_ITEMS = 256;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_LANES = 4;
/** How young a record has to be for its announcement to be made again: whoever asks twice may have lost the first answer. */
const AGAIN_MS = 60_000;

type Facts = Omit<PublishRecord, "position">;
type Append = { readonly request: PublishRequest; readonly inbox: Inbox; readonly head: string; readonly facts: Facts };
type Answered = { readonly outcome: "published" | "replayed" | "conflict"; readonly epoch: string | null; readonly place: string | null };
type AnswerRow = Answered & { readonly n: string; readonly record: string | null };

export type PublishingDeps = {
  readonly pool: Pool;
  readonly poolSize: number;
  readonly timeoutMs: number;
  readonly directory: Pick<Directory, "online">;
  readonly announcer: Announcer;
  readonly clock: Pick<Clock, "now">;
};

export type Publishing = {
  readonly publish: (inbox: Inbox, request: PublishRequest) => ReturnType<StreamStore["publish"]>;
  settle(): Promise<void>;
};

export function createPublishing({ pool, poolSize, timeoutMs, directory, announcer, clock }: PublishingDeps): Publishing {
  const batches = new Batches<Append, PublishOutcome>({
    run: async (items) => {
      const rows = await pool.run<AnswerRow>(PUBLISH, valuesOf(pool, items, clock.now()));
      const outcomes = new Map(rows.map((row) => [Number(row.n), row]));
      return items.map((item, at) => outcomeOf(item, outcomes.get(at + 1)));
    },
    lanes: Math.max(1, Math.min(MAX_LANES, Math.floor(poolSize / 2))), // the other connections are for readers
    ...{ maxItems: MAX_ITEMS, maxBytes: MAX_BYTES, waitMs: timeoutMs },
  });

  async function publish(inbox: Inbox, request: PublishRequest): Promise<PublishOutcome> {
    pool.assertOpen();
    const { stream, notification, retention, idempotency } = request;
    const { id: notificationId, occurredAt, metadata } = notification;
    const isSent = metadata.ttl !== 0;
    const isKept = isSent && retention.entries > 0;
    const deliveredTo = isSent ? await directory.online(stream, metadata.audience) : 0;
    const facts: Facts = { notificationId, occurredAt, deliveredTo, queued: isKept && deliveredTo === 0 };
    const { head, text } = columnsOf(notification);
    const outcome: PublishOutcome =
      isKept || idempotency
        ? await batches.add(streamKey(stream), { request, inbox, head, facts }, text.length)
        : { kind: "published", record: facts };
    if (!isSent || outcome.kind === "conflict") return outcome;
    const { record, kind } = outcome;
    if (kind === "published") await announcer.announce(stream, record.position, text);
    else if (record.position && record.occurredAt > clock.now() - AGAIN_MS) {
      const first = columnsOf({ ...notification, id: record.notificationId, occurredAt: record.occurredAt });
      await announcer.announce(stream, record.position, first.text); // those who heard it drop it by its place
    }
    return outcome;
  }

  return { publish, settle: () => batches.settle() };
}

const PUBLISH = `SELECT n, outcome, epoch, place, record FROM nexus.publish_1(
  $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[],
  $11::text[], $12::bigint, $13::bigint)`;

function valuesOf(pool: Pool, items: readonly Append[], now: number) {
  const texts = (of: (item: Append) => string | null) => pool.texts(items.map(of));
  const numbers = (of: (item: Append) => number) => pool.numbers(items.map(of));
  const ownEnd = ({ request: { notification } }: Append) =>
    notification.metadata.ttl === undefined ? NEVER : Math.min(notification.occurredAt + notification.metadata.ttl * 1000, NEVER);
  const end = (item: Append) => {
    const { notification, retention } = item.request;
    return Math.min(notification.occurredAt + retention.ttlSeconds * 1000, ownEnd(item));
  };
  return [
    texts(({ inbox }) => inbox.tenant),
    texts(({ inbox }) => recipientOf(inbox)),
    texts(({ request }) => request.notification.id),
    texts(({ head }) => head),
    texts(({ request }) => request.notification.payloadJson),
    numbers(end),
    numbers(ownEnd),
    numbers(({ request }) => (request.notification.metadata.ttl === 0 ? 0 : request.retention.entries)),
    texts(({ request }) => request.idempotency?.key ?? null),
    texts(({ request }) => request.idempotency?.fingerprint ?? null),
    texts(({ request, facts }) => (request.idempotency ? JSON.stringify(facts) : null)),
    now,
    now + DAY_MS,
  ];
}

function outcomeOf({ facts }: Append, row: AnswerRow | undefined): PublishOutcome {
  if (!row) throw new Error("the database answered fewer publishes than it was given");
  if (row.outcome === "conflict") return { kind: "conflict" };
  const position: Position | undefined =
    row.epoch !== null && row.place !== null ? { epoch: row.epoch, offset: Number(row.place) } : undefined;
  const known: Facts = row.outcome === "replayed" && row.record !== null ? (JSON.parse(row.record) as Facts) : facts; // what `valuesOf` wrote
  return { kind: row.outcome, record: position ? { ...known, position } : known };
}
