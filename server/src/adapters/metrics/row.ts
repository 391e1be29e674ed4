// Why: what a server's metric has beside its row: how several processes of a pod become one, and where it exists at all.
import type { MetricRow } from "@nexus/protocol/metric-row.ts";

/** How values of several processes become one. `parent`: only the one that runs the others knows. */
export type Across = "sum" | "min" | "max" | "parent";

export type ServerMetricRow = MetricRow & {
  /** What a pod of several processes shows; the sum when absent. */
  readonly across?: Across;
  /** Exported only where this is in use. */
  readonly only?: "redis" | "postgres";
};
