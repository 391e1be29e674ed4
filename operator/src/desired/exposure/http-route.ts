// Why: a route of the Gateway API to the fleet that sets no end to requests: sockets and event streams are requests that last
// for hours. Pure.
import type { NexusCluster, NexusClusterSpec } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import { PORTS, type RenderContext } from "../pod-template.ts";

type GatewaySpec = NonNullable<NexusClusterSpec["exposure"]["gateway"]>;

/** The HTTPRoute that `gateway` asks for. `timeouts` is in the standard channel since Gateway API 1.2. */
export function httpRoute(cluster: NexusCluster, context: RenderContext, { parentRefs, hostnames }: GatewaySpec) {
  const { server } = childNames(cluster.metadata.name);
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: childMetadata(cluster, server, context),
    spec: {
      parentRefs,
      ...(hostnames?.length ? { hostnames } : {}),
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: "/" } }],
          backendRefs: [{ name: server, port: PORTS.http }],
          timeouts: { request: "0s" }, // none
        },
      ],
    },
  };
}
