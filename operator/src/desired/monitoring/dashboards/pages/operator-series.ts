// Why: which series of the operator are meant, and panels of the one size its page has. Pure.
import type { Panel } from "../model.ts";

/** A metric of the chosen installations; `more` matchers as text. */
export const of = (metric: string, more = ""): string => `${metric}{job=~"$job"${more === "" ? "" : `,${more}`}}`;

export const CLUSTER = "nexus_namespace, nexus_cluster";
export const CLUSTER_LEGEND = "{{nexus_namespace}}/{{nexus_cluster}}";

export const line = (panel: Omit<Extract<Panel, { kind: "timeseries" }>, "kind" | "width">, width = 8): Panel => ({
  ...panel,
  kind: "timeseries",
  width,
});
