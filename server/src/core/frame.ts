// Why: a frame is encoded once and shared by every session that gets it, with the facts a full queue is decided by.
// It must never hold anything of a single session: fan-out shares these objects.

import type { Position } from "@nexus/protocol/cursor.ts";
import { FAILURES, type Refusal } from "@nexus/protocol/failures.ts";
import { type FrameId, PRIORITIES, type ServerFrame } from "@nexus/protocol/frames.ts";
import type { ChannelRule } from "@nexus/protocol/resources/settings.ts";
import type { Fan } from "./fan.ts";
import type { Entry } from "./ports.ts";
import type { DeliveryTrace } from "./trace-delivery.ts";

/** What a frame that carries an entry is judged by. Times in milliseconds since 1970; `rank` is the priority's index, Low is 0. */
export type EntryFacts = {
  readonly fan: Fan;
  readonly position: Position | undefined;
  readonly rank: number;
  readonly policy: ChannelRule["slowConsumer"];
  /** Of the notification. */
  readonly id: string;
  readonly occurredAt: number;
  readonly expiresAt: number;
  /** Writing it moves the user's mark. */
  readonly marks: boolean;
  /** Told of every write, where the entry's trace is recorded. */
  readonly trace?: DeliveryTrace | undefined;
};

/** Where a session stands in a stream from this frame on. */
export type Place = { readonly fan: Fan; readonly position: Position };

/**
 * `bytes` is the length of `text` in UTF-8. Without `entry` it is an answer or a notice, which is never dropped.
 * `places`: for encoders that keep a cursor.
 */
export type Frame = {
  readonly type: ServerFrame["type"];
  readonly text: string;
  readonly bytes: number;
  readonly entry?: EntryFacts;
  readonly places?: readonly Place[];
};

/** Where a reader of a stream without history stands: nowhere, so that nothing can be resumed from it. */
export const NOWHERE: Position = { epoch: "0", offset: 0 };

export const CRITICAL_RANK = PRIORITIES.indexOf("Critical");

/** Encodes any frame that carries no entry. */
export function controlFrame(frame: Exclude<ServerFrame, { type: "notification" }>, places?: readonly Place[]): Frame {
  const text = JSON.stringify(frame);
  const { type } = frame;
  const bytes = Buffer.byteLength(text);
  return places ? { type, text, bytes, places } : { type, text, bytes };
}

/** Entries of this stream may be missing for whoever gets it; `position` is where it goes on. */
export const gapFrame = (fan: Fan, reason: string, position: Position): Frame =>
  controlFrame({ type: "gap", stream: fan.wire, reason, ...position }, [{ fan, position }]);

export const HEARTBEAT = controlFrame({ type: "heartbeat" });
export const PONG = controlFrame({ type: "pong" });

/** The `error` frame of a refusal. `detail` is shown, the refused value never is. */
export function errorFrame(refusal: Refusal, id?: FrameId): Frame {
  const { wire, retry } = FAILURES[refusal.code];
  const field = refusal.fields?.[0]?.pointer;
  return controlFrame({
    type: "error",
    code: wire,
    message: refusal.detail,
    retry,
    ...(id === undefined ? {} : { id }),
    ...(field === undefined ? {} : { field }),
  });
}

/** When an entry may no longer be delivered; `Infinity` without a `ttl`. */
export function expiryOf({ notification }: Entry): number {
  const { ttl } = notification.metadata;
  return ttl === undefined ? Number.POSITIVE_INFINITY : notification.occurredAt + ttl * 1000;
}

/** Encodes an entry. The payload is JSON text already and is placed as it is. */
export function entryFrame(entry: Entry, fan: Fan, how: Pick<EntryFacts, "policy" | "marks" | "trace">): Frame {
  const { notification, position } = entry;
  const { id, occurredAt, eventType, payloadJson, metadata } = notification;
  const offset = position ? `,"offset":${position.offset}` : "";
  const text =
    `{"type":"notification","id":"${id}","occurred_at":"${new Date(occurredAt).toISOString()}","event_type":${JSON.stringify(eventType)}` +
    `,"payload":${payloadJson},"metadata":${JSON.stringify(metadata)},"stream":${fan.wireJson}${offset}}`;
  const rank = PRIORITIES.indexOf(metadata.priority);
  return {
    type: "notification",
    text,
    bytes: Buffer.byteLength(text),
    entry: { fan, position, rank, id, occurredAt, expiresAt: expiryOf(entry), policy: how.policy, marks: how.marks, trace: how.trace },
  };
}

/** The same frame, and who is told of its writes: for one session, where the frame itself is shared. */
export const followed = (frame: Frame, trace: DeliveryTrace | undefined): Frame =>
  trace && frame.entry ? { ...frame, entry: { ...frame.entry, trace } } : frame;
