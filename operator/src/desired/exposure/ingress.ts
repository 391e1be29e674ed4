// Why: an Ingress whose proxy does not cut sockets that are quiet for a while, refuses no body the servers would take, and
// talks TLS to pods that do. Only ingress-nginx needs to be told; docs/exposure.md says what others need. Pure.
import type { NexusCluster, NexusClusterSpec } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import { PORTS, type RenderContext } from "../pod-template.ts";

type IngressSpec = NonNullable<NexusClusterSpec["exposure"]["ingress"]>;

/** Seconds; its default of 60 is too near to heartbeats that may be told to come seldom. */
const QUIET_SECONDS = "3600";

/** Read by ingress-nginx, ignored by everybody else. */
const nginx = ({ spec }: NexusCluster): Record<string, string> => ({
  "nginx.ingress.kubernetes.io/proxy-read-timeout": QUIET_SECONDS,
  "nginx.ingress.kubernetes.io/proxy-send-timeout": QUIET_SECONDS,
  "nginx.ingress.kubernetes.io/proxy-body-size": String(spec.limits.batchBytes),
  ...(spec.tls ? { "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" } : {}),
});

/** The Ingress that `ingress` asks for; the user's annotations win over ours. */
export function ingress(cluster: NexusCluster, context: RenderContext, { ingressClassName, host, annotations, tls }: IngressSpec) {
  const { server } = childNames(cluster.metadata.name);
  const backend = { service: { name: server, port: { number: PORTS.http } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: childMetadata(cluster, server, context, { annotations: { ...nginx(cluster), ...annotations } }),
    spec: {
      ...(ingressClassName === undefined ? {} : { ingressClassName }),
      rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
      ...(tls ? { tls: [{ hosts: [host], secretName: tls.secretRef.name }] } : {}),
    },
  };
}
