// Why: kept entries look in lists as they look on a socket. Payloads are JSON text already and are placed as they are.
// It must never parse a payload: a page may hold a thousand.
import type { Entry } from "../core/ports.ts";
import { wireName } from "../core/streams.ts";

/** JSON text of `ENTRY_FIELDS`. `more`: further members as JSON text with a comma before each, for example `,"unread":true`. */
export function entryJson({ stream, notification, position }: Entry, more = ""): string {
  const { id, occurredAt, eventType, payloadJson, metadata } = notification;
  const offset = position ? `,"offset":${position.offset}` : "";
  return (
    `{"id":${JSON.stringify(id)},"occurred_at":"${new Date(occurredAt).toISOString()}","event_type":${JSON.stringify(eventType)}` +
    `,"payload":${payloadJson},"metadata":${JSON.stringify(metadata)},"stream":${JSON.stringify(wireName(stream))}${offset}${more}}`
  );
}
