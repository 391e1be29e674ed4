// Why: a key that was taken away must not come back with a pod that boots from yesterday's Secret. This tells such changes
// from all others by content. Pure; it must err on the urgent side.
import { type BundleEntry, type ClusterSettings, entryKey, type TenantSettings } from "@nexus/protocol/bundle.ts";
import { canonicalJson } from "@nexus/protocol/canonical.ts";
import type { Urgency } from "./boot-pace.ts";
import { type BundleBook, type BundleChange, bucketOfKey } from "./push-book.ts";

/** Ask before the book takes the change. Urgent: a tenant goes or is suspended, or a key or issuer is removed or replaced. */
export function urgencyOf(book: BundleBook, { put = [], remove = [] }: BundleChange): Urgency {
  for (const key of remove) if (key.startsWith("tenant:") && book.mark(key)) return "urgent";
  for (const entry of put) {
    if (entry.kind === "template") continue;
    const key = entryKey(entry);
    const mark = book.mark(key);
    if (!mark || mark.digest === entry.digest) continue;
    const before = book.bucket(bucketOfKey(key)).entry(key);
    if (!before || takesAway(before, entry)) return "urgent";
  }
  return "calm";
}

/** Whether something that opened the door before does not open it any more, or not in the same way. */
function takesAway(before: BundleEntry, after: BundleEntry): boolean {
  if (before.kind === "tenant" && after.kind === "tenant" && after.spec.suspended && !before.spec.suspended) return true;
  const left = new Set(credentialsOf(after));
  return credentialsOf(before).some((credential) => !left.has(credential));
}

function credentialsOf(entry: BundleEntry): readonly string[] {
  if (entry.kind === "cluster") return keysOf(entry.spec.platform_keys);
  if (entry.kind === "tenant") return [...keysOf(entry.spec.api_keys), ...entry.spec.issuers.map((issuer) => canonicalJson(issuer))];
  return [];
}

type Keys = ClusterSettings["platform_keys"] | TenantSettings["api_keys"];

/** A scope that was taken away, or an end that was set, makes another text. */
const keysOf = (keys: Keys): readonly string[] =>
  keys.flatMap((key) => key.hashes.map((hash) => canonicalJson({ ...hash, scopes: "scopes" in key ? key.scopes : [] })));
