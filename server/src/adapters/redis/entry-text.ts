// Why: how a notification lies in Redis: what is stored, and what is announced, is the same text, so that one script writes
// it once and sends it on. It must never parse or write a payload again: payloads travel as they were published.
import { isEpoch, type Position } from "@nexus/protocol/cursor.ts";
import type { Entry, Notification, StreamId } from "../../core/ports.ts";

/** What follows is not read by older releases. */
type Header = readonly [occurredAt: number, eventType: string, metadata: Notification["metadata"], trace?: string];

/** `<id>\n<JSON of occurredAt, eventType, metadata, trace?>\n<payloadJson>`. An id is a UUID and JSON has no raw line feed before the payload. */
export function encodeEntry({ id, occurredAt, eventType, metadata, payloadJson, trace }: Notification): string {
  const header: Header = trace === undefined ? [occurredAt, eventType, metadata] : [occurredAt, eventType, metadata, trace];
  return `${id}\n${JSON.stringify(header)}\n${payloadJson}`;
}

/** What `encodeEntry` wrote, at its place; without one on a stream that keeps no history. Undefined when it is not ours. */
export function decodeStored(stream: StreamId, position: Position | undefined, text: string): Entry | undefined {
  const notification = decode(text, 0);
  if (!notification) return undefined;
  return position ? { stream, notification, position } : { stream, notification };
}

/**
 * What a publish announced on the stream's channel: `<epoch> <offset>\n` and the entry; the first line is empty on a stream
 * without history. Undefined when it is not ours.
 */
export function decodeAnnouncement(stream: StreamId, text: string): Entry | undefined {
  const end = text.indexOf("\n");
  const notification = end < 0 ? undefined : decode(text, end + 1);
  if (!notification) return undefined;
  if (end === 0) return { stream, notification };
  const position = decodePlace(text.slice(0, end));
  return position && { stream, notification, position };
}

/** `<epoch> <offset>` */
function decodePlace(text: string): Position | undefined {
  const space = text.indexOf(" ");
  const epoch = text.slice(0, Math.max(space, 0));
  const offset = Number(text.slice(space + 1));
  return isEpoch(epoch) && Number.isSafeInteger(offset) && offset > 0 ? { epoch, offset } : undefined;
}

function decode(text: string, start: number): Notification | undefined {
  const endOfId = text.indexOf("\n", start);
  const endOfHeader = endOfId < 0 ? -1 : text.indexOf("\n", endOfId + 1);
  if (endOfHeader < 0) return undefined;
  const header = parsed(text.slice(endOfId + 1, endOfHeader));
  if (!header) return undefined;
  const [occurredAt, eventType, metadata, trace] = header;
  const notification = {
    id: ownText(text.slice(start, endOfId)),
    occurredAt,
    eventType,
    payloadJson: text.slice(endOfHeader + 1),
    metadata,
  };
  return typeof trace === "string" ? { ...notification, trace } : notification;
}

/** A copy: a piece cut out of a text keeps the whole of it alive, and nodes remember ids and epochs for as long as they listen. */
export const ownText = (text: string): string => Buffer.from(text, "latin1").toString("latin1");

function parsed(json: string): Header | undefined {
  try {
    const value: unknown = JSON.parse(json);
    if (!Array.isArray(value) || typeof value[0] !== "number" || typeof value[1] !== "string" || typeof value[2] !== "object")
      return undefined;
    return value as unknown as Header; // what `encodeEntry` wrote: only this engine writes under its prefix
  } catch {
    return undefined; // somebody else's text: the caller says so
  }
}
