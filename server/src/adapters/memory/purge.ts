// Why: what one process keeps of a deleted tenant goes in slices, so that a tenant with a million entries stops nobody else.
// It must never touch another tenant's, and never end with something left that was there when it began.
import type { PurgeOutcome } from "../../core/purge-ports.ts";

/** Things that are looked at between two turns of the event loop. */
const SLICE = 2_000;

/** Works through `parts` one after the other. */
export async function purgeInSlices(parts: readonly Iterable<unknown>[], signal: AbortSignal): Promise<PurgeOutcome> {
  let looked = 0;
  for (const part of parts) {
    for (const _ of part) {
      if (++looked % SLICE !== 0) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (signal.aborted) return "stopped";
    }
  }
  return signal.aborted ? "stopped" : "purged";
}
