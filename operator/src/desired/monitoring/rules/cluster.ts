// Why: the rules of one NexusCluster: what it promised (SLOs), and what its servers say of themselves. They use series of the
// servers only, so that they also work where a Prometheus sees one namespace. Thresholds come from the custom resource. Pure.

import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../../acceptance.ts";
import { duration, type Matchers, type RuleGroup, selector } from "./model.ts";

/** What its PodMonitor gives every series of this fleet; `nexus_cluster` is written by the operator, `namespace` by Prometheus. */
export const clusterMatchers = (cluster: NexusCluster): Matchers => ({
  namespace: namespaceOf(cluster),
  nexus_cluster: cluster.metadata.name,
});

/** Rules for the series of one cluster. */
export function clusterRules(cluster: NexusCluster): readonly RuleGroup[] {
  const of = (metric: string, more = "") => `${metric}${selector(clusterMatchers(cluster), more)}`;
  return [
    {
      name: "nexus-fleet",
      rules: [
        {
          name: "NexusPodDown",
          expr: `sum by (namespace, nexus_cluster, pod) (${of("up")} == 0)`,
          forSeconds: 60,
          severity: "warning",
          summary: "Pod {{ $labels.pod }} of {{ $labels.namespace }}/{{ $labels.nexus_cluster }} does not answer",
          description: `Prometheus could not read its metrics for ${duration(60)}. Its sessions come back on other pods; until then those people hear nothing.`,
        },
      ],
    },
  ];
}
