// Why: a first list of 100,000 objects, and a bundle that is packed anew, leave far more garbage than they keep, much of it outside
// the heap that the collector goes by. A pod has a memory limit: what was left behind is collected when the process has grown, not
// when the collector thinks that there is room on the machine. It must never collect so often that passes wait for it.
import type { Cancel, Clock } from "./clock.ts";

export type MemoryOptions = {
  readonly clock: Clock;
  /** Resident bytes of this process. */
  readonly residentBytes: () => number;
  /** A whole collection; takes 50-200 ms with 100,000 Templates. */
  readonly collect: () => void;
};

/** Growth since the last collection that is worth the next one. */
const GROWTH_BYTES = 64 * 1024 * 1024;
/** Below this there is nothing to win. */
const SMALL_BYTES = 160 * 1024 * 1024;
const LOOK_MS = 1_000;
/** Between two collections. */
const PAUSE_MS = 5_000;

/** Looks once a second until cancelled. */
export function keepSmall({ clock, residentBytes, collect }: MemoryOptions): Cancel {
  let [leftBytes, collectedMs] = [residentBytes(), Number.NEGATIVE_INFINITY];
  let cancel: Cancel = () => undefined;
  const look = () => {
    const bytes = residentBytes();
    const nowMs = clock.monotonicMs();
    if (bytes > SMALL_BYTES && bytes - leftBytes > GROWTH_BYTES && nowMs - collectedMs >= PAUSE_MS) {
      collect();
      leftBytes = residentBytes();
      collectedMs = nowMs;
    } else leftBytes = Math.min(leftBytes, bytes); // pages are given back a while after a collection
    cancel = clock.after(LOOK_MS, look);
  };
  cancel = clock.after(LOOK_MS, look);
  return () => cancel();
}
