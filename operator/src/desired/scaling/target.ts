// Why: every scaler is told about the same Deployment, and CPU and memory are shares of what a pod requests: where nothing is
// requested there is no share. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames } from "../names.ts";

export type Autoscaling = NonNullable<NexusCluster["spec"]["autoscaling"]>;

/** The Deployment a scaler sets the size of. */
export const scaleTarget = (cluster: NexusCluster) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  name: childNames(cluster.metadata.name).server,
});

/** What one pod requests of a resource, as the spec says it; undefined when it requests nothing. */
export function requestOf({ spec }: NexusCluster, resource: "cpu" | "memory"): string | number | undefined {
  const requests: unknown = Reflect.get(spec.pods.resources ?? {}, "requests");
  const amount: unknown = typeof requests === "object" && requests !== null ? Reflect.get(requests, resource) : undefined;
  return typeof amount === "string" || typeof amount === "number" ? amount : undefined;
}
