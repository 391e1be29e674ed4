// Why: what one pod has to be told next, from what it holds and what it should hold. Pure: the same book and the same pod
// give the same push. A push stays small, so that it blocks a server's event loop only briefly.
import { BUCKET_COUNT } from "@nexus/protocol/bundle.ts";
import type { BundleBook } from "./push-book.ts";
import type { BucketText } from "./push-ports.ts";

/** Entries of one push, in bytes of JSON; a bucket that is larger goes alone. */
export const PUSH_BYTES = 512 * 1024;

/** `revs`: by bucket index, the revision the pod holds once it took the push. */
export type Plan = { readonly digest: string; readonly buckets: readonly BucketText[]; readonly revs: ReadonlyMap<number, number> };

/**
 * `known` are the pod's bucket digests by index, `whole` the buckets that must not be sent as deltas. Without differences
 * the plan has no buckets: such a push only confirms. What does not fit comes with the next plan.
 */
export function planPush(book: BundleBook, known: readonly string[], whole: ReadonlySet<number>): Plan {
  const buckets: BucketText[] = [];
  const revs = new Map<number, number>();
  let bytes = 0;
  for (let index = 0; index < BUCKET_COUNT; index++) {
    const bucket = book.bucket(index);
    const from = known[index] ?? "";
    const to = bucket.digest();
    if (from === to) continue;
    if (bytes >= PUSH_BYTES) break;
    const delta = whole.has(index) ? undefined : bucket.deltaFrom(from);
    const push: BucketText = delta
      ? { index, from, to, full: false, entriesJson: delta.entriesJson, removed: [...delta.removed] }
      : { index, from, to, full: true, entriesJson: bucket.entriesJson(), removed: [] };
    const size = push.entriesJson.length;
    if (buckets.length > 0 && bytes + size > PUSH_BYTES) break;
    bytes += size;
    buckets.push(push);
    revs.set(index, bucket.rev);
  }
  return { digest: book.digest(), buckets, revs };
}
