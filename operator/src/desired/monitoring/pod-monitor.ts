// Why: how a Prometheus finds the servers of one fleet. Every series gets the name of the cluster here, because rules and dashboards
// select by it; namespace and pod come from prometheus-operator. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames, selectorLabels } from "../names.ts";
import type { PORTS, RenderContext } from "../pod-template.ts";

/** What the times in the runbooks are reckoned with. */
export const SCRAPE_SECONDS = 30;

/** The port that serves `/metrics` in plain HTTP; the NetworkPolicy lets every pod of the cluster reach it. */
const PORT: keyof typeof PORTS = "ops";

/** Scrapes the server pods in the namespace of `cluster`, also while they drain. */
export function podMonitor(cluster: NexusCluster, context: RenderContext) {
  const { name } = cluster.metadata;
  return {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PodMonitor",
    metadata: childMetadata(cluster, childNames(name).server, context, { labels: cluster.spec.monitoring.labels }),
    spec: {
      selector: { matchLabels: selectorLabels(name, "server") },
      podMetricsEndpoints: [
        {
          ...{ port: PORT, path: "/metrics", interval: `${SCRAPE_SECONDS}s` },
          relabelings: [{ action: "replace", targetLabel: "nexus_cluster", replacement: name }],
        },
      ],
    },
  };
}
