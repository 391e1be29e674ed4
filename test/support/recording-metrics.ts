// Why: a test of a limit also asks whether it was counted. This keeps sums by name and label, nothing else.
import type { Metrics } from "@nexus/server/core/ports.ts";

export type RecordingMetrics = Metrics & { count(name: keyof Metrics, label?: string): number };

export function recordingMetrics(): RecordingMetrics {
  const counts = new Map<string, number>();
  const add = (key: string, by = 1) => {
    counts.set(key, (counts.get(key) ?? 0) + by);
  };
  return {
    count: (name, label) => counts.get(label === undefined ? name : `${name} ${label}`) ?? 0,
    published: (kind, outcome) => add(`published ${kind} ${outcome}`),
    delivered: (transport, count) => add(`delivered ${transport}`, count),
    deliveryLatency: () => add("deliveryLatency"),
    dropped: (reason, count) => add(`dropped ${reason}`, count),
    sessionOpened: (transport) => add(`sessionOpened ${transport}`),
    sessionClosed: (transport, code) => {
      add(`sessionClosed ${transport}`);
      add(`sessionClosed ${code}`);
    },
    refused: (code) => add(`refused ${code}`),
    frame: (type) => add(`frame ${type}`),
  };
}
