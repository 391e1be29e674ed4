// Why: a test of a limit also asks whether it was counted. This keeps sums by name and label, nothing else.
import type { Metrics, TenantTally } from "@nexus/server/core/ports.ts";

/** `tallies`: of every tenant that was asked for. */
export type RecordingMetrics = Metrics & {
  count(name: keyof Metrics, label?: string): number;
  readonly tallies: ReadonlyMap<string, TenantTally>;
};

export function recordingMetrics(): RecordingMetrics {
  const counts = new Map<string, number>();
  const tallies = new Map<string, TenantTally>();
  const add = (key: string, by = 1) => {
    counts.set(key, (counts.get(key) ?? 0) + by);
  };
  return {
    count: (name, label) => counts.get(label === undefined ? name : `${name} ${label}`) ?? 0,
    tallies,
    published(kind, outcome, tenant) {
      add(`published ${kind} ${outcome}`);
      add(`published ${tenant}`);
    },
    publishTook: (kind) => add(`publishTook ${kind}`),
    fannedOut: () => add("fannedOut"),
    delivered: (transport, count) => add(`delivered ${transport}`, count),
    deliveryLatency: () => add("deliveryLatency"),
    dropped: (reason, count) => add(`dropped ${reason}`, count),
    marksLost: (count) => add("marksLost", count),
    handshake: (transport, outcome) => add(`handshake ${transport} ${outcome}`),
    handshakeTook: (transport) => add(`handshakeTook ${transport}`),
    sessionOpened: (transport) => add(`sessionOpened ${transport}`),
    sessionClosed(transport, code) {
      add(`sessionClosed ${transport}`);
      add(`sessionClosed ${code}`);
    },
    sessionsShed: (count) => add("sessionsShed", count),
    resumed: (outcome) => add(`resumed ${outcome}`),
    gap: (reason, sessions) => add(`gap ${reason}`, sessions),
    acked: (kind) => add(`acked ${kind}`),
    ackLatency: () => add("ackLatency"),
    refused(code, tenant) {
      add(`refused ${code}`);
      if (tenant !== undefined) add(`refused ${tenant} ${code}`);
    },
    frame: (type) => add(`frame ${type}`),
    purged: (outcome) => add(`purged ${outcome}`),
    tally(tenant) {
      const tally = tallies.get(tenant) ?? { sessions: 0, deliveries: 0 };
      tallies.set(tenant, tally);
      return tally;
    },
  };
}
