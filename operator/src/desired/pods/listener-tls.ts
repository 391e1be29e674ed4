// Why: how a server pod gets the certificate of its public port, which is read again when it is renewed. The Secret is not
// optional: the kubelet holds a pod back until it is there. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames } from "../names.ts";
import { type PodParts, readOnlyMount } from "./parts.ts";

const DIRECTORY = "/var/run/nexus/tls";
export const LISTENER_TLS_VOLUME = "listener-tls";

/** Name of the Secret with the public port's certificate; undefined without `spec.tls`. */
export const listenerTlsSecret = ({ metadata, spec: { tls } }: Pick<NexusCluster, "metadata" | "spec">): string | undefined =>
  tls && (tls.secretRef?.name ?? childNames(metadata.name).listenerTls);

export function listenerTlsParts(cluster: NexusCluster): PodParts {
  const secretName = listenerTlsSecret(cluster);
  if (secretName === undefined) return {};
  const items = ["tls.crt", "tls.key"].map((key) => ({ key, path: key }));
  return {
    env: [
      { name: "NEXUS_TLS_CERT_FILE", value: `${DIRECTORY}/tls.crt` },
      { name: "NEXUS_TLS_KEY_FILE", value: `${DIRECTORY}/tls.key` },
    ],
    mounts: [readOnlyMount(LISTENER_TLS_VOLUME, DIRECTORY)],
    volumes: [{ name: LISTENER_TLS_VOLUME, secret: { secretName, items } }],
  };
}
