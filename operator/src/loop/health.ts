// Why: a process that answers may still have stopped to work. What cannot stand still by the fault of others is told here, so that
// the kubelet restarts it. An API server that is away is no such thing: calls to it end by themselves, and are made again.

/** Every call in a pass has a deadline of seconds: one that takes so long does not wait for anybody. */
export const LONGEST_PASS_MS = 300_000;
/** The Lease is tried every few seconds, each try ends in as many; a process that was stopped for a moment needs one. */
const LEASE_TRIES = 5;

export type Heartbeats = {
  readonly underWay: Iterable<{ readonly key: string; readonly forMs: number }>;
  /** Since the last try to get or renew the Lease, in milliseconds; undefined once nobody tries any more, because the process ends. */
  readonly leaseTriedMs: number | undefined;
  readonly leaseMs: number;
};

/** What stands still, a sentence each; empty while all goes on. */
export function stuck({ underWay, leaseTriedMs, leaseMs }: Heartbeats): readonly string[] {
  const words = [...underWay]
    .filter(({ forMs }) => forMs > LONGEST_PASS_MS)
    .map(({ key, forMs }) => `the pass over ${key} runs for ${Math.round(forMs / 1000)} s`);
  if (leaseTriedMs !== undefined && leaseTriedMs > LEASE_TRIES * leaseMs)
    words.push(`the Lease was not tried for ${Math.round(leaseTriedMs / 1000)} s`);
  return words;
}
