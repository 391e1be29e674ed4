// Why: the running server gets its configuration as from an operator: by pushes of what changed. So `nexus dev` exercises the
// path that pods use, and a session feels nothing of an edit that does not concern it.
import { BUNDLE_FORMAT, type BundleEntry, bundleDigest, makeBuckets } from "@nexus/protocol/bundle.ts";
import type { LiveConfig } from "@nexus/server/core/live-config.ts";

/** Returns what the server could not use, as sentences; empty when all is live. */
export type Feed = (entries: readonly BundleEntry[]) => readonly string[];

export function createFeed(live: LiveConfig): Feed {
  let sequence = 0;
  return (entries) => {
    const before = live.bucketDigests();
    const buckets = makeBuckets(entries);
    const changed = buckets.flatMap(({ index, digest, entries: whole }) => {
      const from = before[index];
      return from === undefined || from === digest ? [] : [{ index, from, to: digest, full: true, entries: [...whole], removed: [] }];
    });
    const digest = bundleDigest(buckets.map((bucket) => bucket.digest));
    const outcome = live.push({ format: BUNDLE_FORMAT, term: "1", sequence: ++sequence, digest, buckets: changed });
    if (outcome.kind === "applied") return outcome.result.rejected.map(({ key, reason }) => `${key}: ${reason}`);
    // Nobody else pushes to this server, and the digests were read just now.
    throw new Error(`the server did not take the configuration: ${outcome.kind}`);
  };
}
