// Why: what is remembered of one boot Secret between two looks at it: what it holds, what is due, and who touched it.
import type { Urgency } from "./boot-pace.ts";
import type { BucketBook } from "./push-bucket.ts";

/** One Secret. Times are monotonic. */
export type Slot = {
  /** Digest of what the Secret holds; undefined = nothing of ours. */
  written: string | undefined;
  bytes: number;
  left: number;
  /** Revision of the bucket that was looked at last. */
  seenRev: number;
  dirtySinceMs: number | undefined;
  changedMs: number;
  urgency: Urgency;
  lastWriteMs: number | undefined;
  failures: number;
  retryMs: number;
  /** resourceVersion of what we wrote or read last. */
  version: string | undefined;
  /** Somebody touched it: compare it whole, whatever its digest says. */
  isDoubtful: boolean;
  /** When it was found touched the last time. */
  touchedMs: number | undefined;
  /** A write of ours is under way: what a watch shows meanwhile may be that write, and is judged when its answer is there. */
  isApplying: boolean;
  seenMeanwhile: { readonly version: string | undefined } | undefined;
};

/** Of a Secret that was not looked at yet. */
export const newSlot = (): Slot => ({
  written: undefined,
  bytes: 0,
  left: 0,
  seenRev: -1,
  dirtySinceMs: undefined,
  changedMs: 0,
  urgency: "calm",
  lastWriteMs: undefined,
  failures: 0,
  retryMs: 0,
  version: undefined,
  isDoubtful: false,
  touchedMs: undefined,
  isApplying: false,
  seenMeanwhile: undefined,
});

/** Whether it holds what the bucket is now. */
export const holds = ({ written }: Slot, bucket: BucketBook): boolean =>
  written === undefined ? bucket.size === 0 : written === bucket.digest();
