// Why: what a Lease says and when it may be taken, as pure functions. Time here is when *we* saw the record change, never
// the times written in it: clocks of two machines differ.
import { apiVersionOf, KINDS } from "../loop/kinds.ts";
import type { KubeObject } from "../plan/object.ts";

export type LeaseSpec = {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
};

export type Lease = KubeObject & { readonly spec?: LeaseSpec };

/** A record and the monotonic time at which it was first seen in this form. */
export type Observed = { readonly lease: Lease; readonly sinceMs: number };

/** What we know after reading `lease`: an unchanged record keeps the time it was first seen at. */
export function observe(before: Observed | undefined, lease: Lease, nowMs: number): Observed {
  const isSame =
    before?.lease.metadata.uid === lease.metadata.uid && before?.lease.metadata.resourceVersion === lease.metadata.resourceVersion;
  return before && isSame ? before : { lease, sinceMs: nowMs };
}

/** Whether the record may be taken: no holder, us, or silent for its whole duration (at most four of ours: nobody can block us by an edit). */
export function isFree(observed: Observed, identity: string, ownDurationMs: number, nowMs: number): boolean {
  const { holderIdentity = "", leaseDurationSeconds } = observed.lease.spec ?? {};
  if (holderIdentity === "" || holderIdentity === identity) return true;
  const statedMs = leaseDurationSeconds && leaseDurationSeconds > 0 ? leaseDurationSeconds * 1000 : ownDurationMs;
  return nowMs - observed.sinceMs > Math.min(statedMs, ownDurationMs * 4);
}

/** The record with us as holder, based on `before` (its resourceVersion is compared by the server). */
export function heldBy(identity: string, durationMs: number, wallMs: number, before: Lease): Lease {
  const isRenewal = before.spec?.holderIdentity === identity;
  const now = microTime(wallMs);
  return {
    ...before,
    spec: {
      ...before.spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
      acquireTime: (isRenewal && before.spec?.acquireTime) || now,
      renewTime: now,
      leaseTransitions: (before.spec?.leaseTransitions ?? 0) + (isRenewal || before.metadata.uid === undefined ? 0 : 1),
    },
  };
}

/** The record given back: free at once. */
export const givenBack = (before: Lease, wallMs: number): Lease => ({
  ...before,
  spec: { ...before.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(wallMs) },
});

export const emptyLease = (namespace: string, name: string): Lease => ({
  apiVersion: apiVersionOf(KINDS.Lease),
  kind: "Lease",
  metadata: { namespace, name },
});

/** MicroTime of the API: RFC 3339 with six digits. */
const microTime = (wallMs: number): string => new Date(wallMs).toISOString().replace(/Z$/, "000Z");
