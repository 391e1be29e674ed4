// Why: the rules of one fleet as prometheus-operator takes them. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { clusterRules } from "./rules/cluster.ts";
import { RUNBOOK_BASE_URL, renderGroups } from "./rules/render.ts";

export function prometheusRule(cluster: NexusCluster, context: RenderContext) {
  return {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PrometheusRule",
    metadata: childMetadata(cluster, childNames(cluster.metadata.name).server, context, { labels: cluster.spec.monitoring.labels }),
    spec: { groups: renderGroups(clusterRules(cluster), context.runbookBaseURL ?? RUNBOOK_BASE_URL) },
  };
}
