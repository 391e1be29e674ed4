// Why: what comes from the network is checked once, here. Types of protocol/frames.ts are imported as types only: the
// client must stay free of run-time dependencies. It must never throw on what a server sends.
import type { SUBPROTOCOL as FullDialect, ServerFrame, TOKEN_SUBPROTOCOL_PREFIX as TokenPrefix } from "@nexus/protocol/frames.ts";

// The compiler holds these to the contract: another text would not fit the type.
export const SUBPROTOCOL: typeof FullDialect = "nexus.v1.json";
export const TOKEN_SUBPROTOCOL_PREFIX: typeof TokenPrefix = "nexus.token.";

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
const isAmount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0;

const isEpoch = (value: unknown): boolean => isText(value) && /^[A-Za-z0-9_-]{1,16}$/.test(value);
const isPlace = (value: Record<string, unknown>): boolean => isEpoch(value.epoch) && isOffset(value.offset);
const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && isAmount(value);
const isStates = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => isRecord(one) && isText(one.stream) && isText(one.outcome) && isPlace(one));
const mayBe = (check: (value: unknown) => boolean, value: unknown): boolean => value === undefined || check(value);

/** What each frame must have for this client to use it; more may be there. */
const SHAPES: Readonly<Record<ServerFrame["type"], (frame: Record<string, unknown>) => boolean>> = {
  connected: (frame) => isText(frame.connection_id) && isAmount(frame.heartbeat_seconds) && isStates(frame.streams),
  notification: (frame) =>
    isText(frame.id) && isText(frame.event_type) && isText(frame.stream) && isRecord(frame.metadata) && mayBe(isOffset, frame.offset),
  subscribed: (frame) => isTexts(frame.payload) && mayBe(isStates, frame.streams),
  unsubscribed: (frame) => isTexts(frame.payload),
  resumed: (frame) => isStates(frame.streams),
  refreshed: () => true,
  published: (frame) => isText(frame.notification_id) && isAmount(frame.delivered_to),
  pong: () => true,
  heartbeat: () => true,
  acked: () => true,
  error: (frame) => isText(frame.code) && isText(frame.message),
  shutdown: (frame) => isAmount(frame.reconnect_after_seconds),
  gap: (frame) => isText(frame.stream) && isText(frame.reason) && isPlace(frame),
};

/**
 * A frame of the server, `unknown` for a type this client does not know (a newer server; it is ignored), or `invalid`.
 */
export function readFrame(data: unknown): ServerFrame | "unknown" | "invalid" {
  if (!isText(data)) return "invalid";
  let frame: unknown;
  try {
    frame = JSON.parse(data);
  } catch {
    return "invalid";
  }
  if (!isRecord(frame) || !isText(frame.type)) return "invalid";
  if (!Object.hasOwn(SHAPES, frame.type)) return "unknown";
  // Own property of SHAPES, so it is one of the types; its fields were checked by the shape.
  const type = frame.type as ServerFrame["type"];
  return SHAPES[type](frame) ? (frame as unknown as ServerFrame) : "invalid";
}

const CHANNEL_STREAM = "channel:";
export const channelStream = (channel: string): string => CHANNEL_STREAM + channel;
/** The channel's name, or undefined for `user` and `broadcast`. */
export const channelOf = (stream: string): string | undefined =>
  stream.startsWith(CHANNEL_STREAM) ? stream.slice(CHANNEL_STREAM.length) : undefined;
