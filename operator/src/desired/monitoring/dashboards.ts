// Why: the dashboards of one fleet where Grafana's sidecar looks for them: one ConfigMap, a file each. The sidecar puts the files of
// all ConfigMaps into one folder, so their names hold namespace and cluster. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../acceptance.ts";
import { childMetadata } from "../metadata.ts";
import { childNames, DASHBOARD_LABEL } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { dashboardFile } from "./dashboards/render.ts";
import { clusterDashboards } from "./dashboards/sets.ts";
import { RUNBOOK_BASE_URL } from "./rules/render.ts";

/** All files together stay below what a ConfigMap may hold; a test keeps watch. */
export function dashboardsConfigMap(cluster: NexusCluster, context: RenderContext) {
  const { name: own } = cluster.metadata;
  const files = clusterDashboards(cluster).map((dashboard) => dashboardFile(dashboard, context.runbookBaseURL ?? RUNBOOK_BASE_URL));
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: childMetadata(cluster, childNames(own).dashboards, context, {
      labels: { ...cluster.spec.monitoring.labels, [DASHBOARD_LABEL]: "1" },
    }),
    data: Object.fromEntries(files.map(({ name, text }) => [`${namespaceOf(cluster)}.${own}.${name}`, text])),
  };
}
