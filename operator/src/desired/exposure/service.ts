// Why: the one address in front of a fleet's pods. Node ports, addresses and families are the API server's to fill in: they
// are never rendered, so that they stay what they are. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames, selectorLabels } from "../names.ts";
import { PORTS, type RenderContext } from "../pod-template.ts";

export function service(cluster: NexusCluster, context: RenderContext) {
  const { name } = cluster.metadata;
  const { type, annotations } = cluster.spec.exposure.service;
  // Meshes and proxies read the protocol from the port's name or from appProtocol.
  const scheme = cluster.spec.tls ? { name: "https", appProtocol: "https" } : { name: "http" };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: childMetadata(cluster, childNames(name).server, context, { annotations }),
    spec: {
      type,
      selector: selectorLabels(name, "server"),
      ports: [{ ...scheme, port: PORTS.http, targetPort: "http", protocol: "TCP" }],
    },
  };
}
