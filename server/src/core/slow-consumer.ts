// Why: what happens when a session's queue is full, as one pure decision. It must never drop an answer, an inbox entry,
// or anything of a stream whose rule says Disconnect: then the session ends instead, with a code that asks to come back.
import type { Frame } from "./frame.ts";

/** `incoming` false: the new frame itself is what is dropped. */
export type Room =
  | { readonly kind: "room"; readonly queue: Frame[]; readonly dropped: readonly Frame[]; readonly incoming: boolean }
  | { readonly kind: "disconnect" };

const isDroppable = (frame: Frame): boolean => frame.entry !== undefined && frame.entry.policy !== "Disconnect";

/**
 * Makes room for `incoming` in a queue of at most `limitBytes` beside what the connection buffers itself.
 * First go entries that a later one of the same `LatestOnly` stream replaces, then the lowest priority, oldest first;
 * an entry that is itself droppable never pushes out one of higher priority.
 */
export function makeRoom(queue: readonly Frame[], incoming: Frame, limitBytes: number): Room {
  const dropped = new Set<Frame>();
  let bytes = incoming.bytes;
  for (const frame of queue) bytes += frame.bytes;
  const drop = (frame: Frame) => {
    dropped.add(frame);
    bytes -= frame.bytes;
  };

  for (const frame of replaced(queue, incoming)) drop(frame);
  const mayRank = isDroppable(incoming) ? (incoming.entry?.rank ?? 0) : Number.POSITIVE_INFINITY;
  if (bytes > limitBytes) {
    const candidates = queue.filter((frame) => isDroppable(frame) && !dropped.has(frame) && (frame.entry?.rank ?? 0) <= mayRank);
    candidates.sort((a, b) => (a.entry?.rank ?? 0) - (b.entry?.rank ?? 0)); // stable: oldest first within a rank
    for (const frame of candidates) {
      if (bytes <= limitBytes) break;
      drop(frame);
    }
  }
  const kept = queue.filter((frame) => !dropped.has(frame));
  if (bytes <= limitBytes) return { kind: "room", queue: kept, dropped: [...dropped], incoming: true };
  if (!isDroppable(incoming)) return { kind: "disconnect" };
  return { kind: "room", queue: kept, dropped: [...dropped, incoming], incoming: false };
}

/** Queued entries of `LatestOnly` streams that are not the last of their stream. */
function replaced(queue: readonly Frame[], incoming: Frame): readonly Frame[] {
  const later = new Set<unknown>();
  if (incoming.entry?.policy === "LatestOnly") later.add(incoming.entry.fan);
  const found: Frame[] = [];
  for (let i = queue.length - 1; i >= 0; i--) {
    const frame = queue[i];
    if (frame?.entry?.policy !== "LatestOnly") continue;
    if (later.has(frame.entry.fan)) found.push(frame);
    later.add(frame.entry.fan);
  }
  return found;
}
