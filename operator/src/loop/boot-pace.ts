// Why: when a boot Secret is written: behind the pushes and rarely, because every write goes to etcd and to every node that
// mounts it; at once where a key that was taken away must not come back with the next pod. Pure.

/** `urgent`: a credential was removed, suspended or rotated, or it is the first copy. */
export type Urgency = "calm" | "urgent";

/** Calm after the last change. */
export const QUIET_MS = 5_000;
/** Between two writes of one bucket, and the longest a change waits while others keep coming. */
export const PACE_MS = 60_000;

/** All times monotonic, in milliseconds. `retryMs`: not before, after a failure. */
export type Pace = {
  readonly dirtySinceMs: number | undefined;
  readonly changedMs: number;
  readonly urgency: Urgency;
  readonly lastWriteMs: number | undefined;
  readonly retryMs: number;
};

/** When the bucket is to be written; undefined when nothing changed. */
export function nextWriteMs({ dirtySinceMs, changedMs, urgency, lastWriteMs, retryMs }: Pace): number | undefined {
  if (dirtySinceMs === undefined) return undefined;
  if (urgency === "urgent") return Math.max(changedMs, retryMs);
  const quietMs = Math.min(changedMs + QUIET_MS, dirtySinceMs + PACE_MS);
  const paceMs = lastWriteMs === undefined ? 0 : lastWriteMs + PACE_MS;
  return Math.max(quietMs, paceMs, retryMs);
}
