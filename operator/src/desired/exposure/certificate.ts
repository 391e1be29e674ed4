// Why: what cert-manager is asked for when it makes the certificate of the public port. The Secret it writes is labelled, so
// that its renewal is seen at once. Pure.
import { WATCH_LABEL } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster, NexusClusterSpec } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import type { RenderContext } from "../pod-template.ts";
import { certificateHosts } from "./hosts.ts";

type IssuerRef = NonNullable<NonNullable<NexusClusterSpec["tls"]>["issuerRef"]>;

export function certificate(cluster: NexusCluster, context: RenderContext, { name, kind, group }: IssuerRef) {
  const { listenerTls } = childNames(cluster.metadata.name);
  return {
    apiVersion: "cert-manager.io/v1",
    kind: "Certificate",
    metadata: childMetadata(cluster, listenerTls, context),
    spec: {
      secretName: listenerTls,
      secretTemplate: { labels: { [WATCH_LABEL]: "true" } },
      dnsNames: certificateHosts(cluster),
      usages: ["digital signature", "key encipherment", "server auth"],
      privateKey: { rotationPolicy: "Always" }, // kind and size are the issuer's matter: some refuse all but theirs
      issuerRef: { name, kind, group },
    },
  };
}
