// Why: what core needs to have everything of a deleted tenant removed, as guarantees. Engines implement it.
// It must never name a product.

/** A tenant that was deleted; `uid` is the deleted object's. Two objects that had one id are two tombstones, one after the other. */
export type Tombstone = { readonly tenant: string; readonly uid: string };

/**
 * `purged`: nothing of the tenant is kept any more, on whichever node that was done. `elsewhere`: another node is at it.
 * `stopped`: the signal was aborted; what is left is for whoever comes next.
 */
export type PurgeOutcome = "purged" | "elsewhere" | "stopped";

export type TenantPurge = {
  /**
   * Removes streams, marks, records of idempotent requests, templates made by REST, tickets, receipts and counters of the
   * tenant, and of no other, in steps small enough that others do not wait for it. Repeatable: a purge that was broken off,
   * here or on another node, is gone on with, and one that is done answers at once. A stream that is made anew afterwards has
   * another epoch. Rejects with `Failure` `broker_unavailable` when the store cannot be reached now.
   */
  purge(tombstone: Tombstone, signal: AbortSignal): Promise<PurgeOutcome>;
};
