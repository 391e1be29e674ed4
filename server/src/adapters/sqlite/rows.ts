// Why: what a row of the file means in core's words, and back. It must never hold a statement or a rule.
import type { Entry, Notification, StreamId } from "../../core/ports.ts";

/** `lost`: highest offset that left while it could still have been read. `gone`: every offset up to it left. */
export type StreamRow = {
  readonly id: number;
  readonly epoch: string;
  readonly top: number;
  readonly lost: number;
  readonly gone: number;
  readonly mark: number;
};

export type EntryRow = {
  readonly offset: number;
  readonly id: string;
  readonly acknowledged: number;
  readonly occurred_at: number;
  readonly event_type: string;
  readonly metadata: string;
  readonly payload: string;
};

/** What left, as far as it matters to who reads on. */
export type GoneRow = { readonly stream: number; readonly offset: number; readonly own_expires_at: number };

/** Stands for "never" in a column of times. */
export const NEVER = Number.MAX_SAFE_INTEGER;

export const ENTRY_COLUMNS = "offset, id, acknowledged, occurred_at, event_type, metadata, payload";

type Metadata = Notification["metadata"];
/** The trace lies in the column of the metadata: one more column would be a new layout of the file. */
type KeptMetadata = Metadata & { readonly trace?: string };

export const metadataText = ({ metadata, trace }: Notification): string =>
  JSON.stringify(trace === undefined ? metadata : { ...metadata, trace });

export function entryOf(stream: StreamId, epoch: string, row: EntryRow): Entry {
  const kept = JSON.parse(row.metadata) as KeptMetadata; // what `metadataText` wrote
  const notification: Notification = {
    id: row.id,
    occurredAt: row.occurred_at,
    eventType: row.event_type,
    payloadJson: row.payload,
    ...split(kept),
  };
  return { stream, notification, position: { epoch, offset: row.offset } };
}

function split(kept: KeptMetadata): Pick<Notification, "metadata" | "trace"> {
  if (kept.trace === undefined) return { metadata: kept };
  const { trace, ...metadata } = kept;
  return { metadata, trace };
}
