// Why: who waited for the lead has a bundle of his own, made of what he read of the boot copy and of what he saw since. What the
// former leader wrote meanwhile knows more (deletions it judged, tombstones that ended), and less (edits it had no time to write). Pure;
// it must never keep an entry against the boot copy but for an object that is there in that very version.
import type { BundleEntry } from "@nexus/protocol/bundle.ts";
import type { StoredBucket, StoredEntry } from "./boot-bucket.ts";
import type { BucketBook, Mark } from "./push-bucket.ts";

/** What a bucket takes over, and the keys of entries that have to be looked at again because of it. */
export type Adoption = { readonly put: readonly BundleEntry[]; readonly remove: readonly string[]; readonly look: readonly string[] };

/**
 * Brings a bucket to what the boot copy holds (undefined: nothing). `isCurrent`: the entry under this key is what looking at its
 * object again would come to.
 */
export function adoption(
  book: Pick<BucketBook, "mark" | "marks">,
  stored: StoredBucket | undefined,
  isCurrent: (key: string, mark: Mark) => boolean,
): Adoption {
  const entries = new Map((stored?.entries ?? []).map((entry) => [entry.key, entry]));
  const kept = (key: string, mark: Mark, entry: StoredEntry | undefined) => !isNewer(entry, mark) && isCurrent(key, mark);
  const put: BundleEntry[] = [];
  for (const entry of entries.values()) {
    const mark = book.mark(entry.key);
    if (mark?.digest === entry.digest || (mark && kept(entry.key, mark, entry))) continue;
    put.push(JSON.parse(entry.json) as BundleEntry); // written by us
  }
  const remove: string[] = [];
  for (const [key, mark] of book.marks()) if (!entries.has(key) && !kept(key, mark, undefined)) remove.push(key);
  return { put, remove, look: [...put.map(({ kind, id }) => `${kind}:${id}`), ...remove] };
}

/** The former leader had seen a version that we have not. */
const isNewer = (entry: StoredEntry | undefined, { uid, generation }: Mark): boolean =>
  entry !== undefined && entry.uid === uid && entry.generation > generation;
