// Why: how streams and entries are named and written in rows, and read again. It must never parse a payload.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Entry, Notification, StreamId } from "../../core/ports.ts";
import { decodeStored, encodeEntry } from "../redis/entry-text.ts";
import { unavailable } from "./failure.ts";

/** Beyond every time; within the integers JavaScript knows. */
export const NEVER = Number.MAX_SAFE_INTEGER;

export type Inbox = Extract<StreamId, { kind: "inbox" }>;

/**
 * The user as a column has it. UTF-8 knows no half surrogate pair, and two users that differ only there would share an
 * inbox: such a half becomes U+0001 and its number, which no user id holds.
 */
export const recipientOf = ({ user }: Inbox): string =>
  user.isWellFormed() ? user : user.replace(/\p{Surrogate}/gu, (half) => `\u0001${half.charCodeAt(0).toString(16)}`);

/** A notification as columns: what lies between id and payload is one text. */
export function columnsOf(notification: Notification): { readonly head: string; readonly text: string } {
  const text = encodeEntry(notification);
  const { id, payloadJson } = notification;
  return { head: text.slice(id.length + 1, text.length - payloadJson.length - 1), text };
}

/** Of a stream as a whole; bigints come as text. */
export type HeadRow = { readonly epoch: string; readonly top: string };
/** With the columns of one entry; all null where there is none. */
export type EntryRow = HeadRow & {
  readonly place: string | null;
  readonly id: string | null;
  readonly head: string | null;
  readonly payload: string | null;
};

export const topOf = ({ epoch, top }: HeadRow): Position => ({ epoch, offset: Number(top) });

/** @throws Failure `broker_unavailable` for a row that this program has not written */
export function entryOf(stream: Inbox, { epoch, place, id, head, payload }: EntryRow): Entry | undefined {
  if (place === null) return undefined;
  const entry = decodeStored(stream, { epoch, offset: Number(place) }, `${id}\n${head}\n${payload}`);
  if (!entry) throw unavailable("An entry in PostgreSQL cannot be read");
  return entry;
}
