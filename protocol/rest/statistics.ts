// Why: counters, as Ara's clients and ours read them.
import type { Operation } from "./operation.ts";

export const STATISTICS = [
  { id: "stats", method: "GET", path: "/stats", summary: "Counters since start", auth: "read", served: false },
  { id: "statsOverview", method: "GET", path: "/api/v1/stats", summary: "Counters of today", auth: "read", served: false },
  { id: "statsAcks", method: "GET", path: "/api/v1/stats/acks", summary: "Acknowledgements", auth: "read", served: false },
] as const satisfies readonly Operation[];
