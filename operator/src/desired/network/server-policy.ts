// Why: who may reach a server pod: people the public port, probes and scrapers inside the cluster the ops port, and nobody
// but the operator the admin port. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames } from "../names.ts";
import { PORTS, type RenderContext } from "../pod-template.ts";
import { ANY_POD, networkPolicy, podsIn } from "./policy.ts";

/**
 * The NetworkPolicy of the server pods. An operator that does not run in a pod comes from an address that no policy can
 * name: then the admin port is open to all, behind its certificate and its token.
 */
export function serverPolicy(cluster: NexusCluster, context: RenderContext) {
  const { operatorPods } = context;
  return networkPolicy(cluster, context, {
    name: childNames(cluster.metadata.name).server,
    component: "server",
    rules: [
      { ports: [PORTS.http] },
      { ports: [PORTS.ops], from: [ANY_POD] },
      { ports: [PORTS.admin], ...(operatorPods ? { from: [podsIn(operatorPods.namespace, operatorPods.labels)] } : {}) },
    ],
  });
}
