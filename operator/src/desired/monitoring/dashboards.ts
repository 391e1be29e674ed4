// Why: the dashboards of one fleet where Grafana's sidecar looks for them: one ConfigMap, a file each. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames, DASHBOARD_LABEL } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { clusterDashboardFiles } from "./dashboards/sets.ts";

/** All files together stay below what a ConfigMap may hold; a test keeps watch. */
export function dashboardsConfigMap(cluster: NexusCluster, context: RenderContext) {
  const { name: own } = cluster.metadata;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: childMetadata(cluster, childNames(own).dashboards, context, {
      labels: { ...cluster.spec.monitoring.labels, [DASHBOARD_LABEL]: "1" },
    }),
    data: clusterDashboardFiles(cluster, context.runbookBaseURL),
  };
}
