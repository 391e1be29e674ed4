// Why: the names by which people reach a fleet decide what certificates carry and what the status tells. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childNames } from "../names.ts";

/** What external-dns reads from a Service; a list with commas. */
const EXTERNAL_DNS = "external-dns.alpha.kubernetes.io/hostname";

/** Host names from outside the cluster, each once: the Ingress's, the Gateway's, those external-dns gives the Service. */
export function publicHosts({ spec: { exposure } }: NexusCluster): readonly string[] {
  const { ingress, gateway, service } = exposure;
  const dns = service.annotations?.[EXTERNAL_DNS]?.split(",").map((host) => host.trim()) ?? [];
  return [...new Set([...(ingress ? [ingress.host] : []), ...(gateway?.hostnames ?? []), ...dns.filter((host) => host !== "")])];
}

/** The Service's own name inside the cluster, as far as every cluster has it. */
export const serviceHost = ({ metadata: { name, namespace = "default" } }: NexusCluster): string =>
  `${childNames(name).server}.${namespace}.svc`;

/**
 * What a certificate for the public port must carry. An issuer that checks names over the Internet refuses those of the
 * inside, and cannot be told from one that does not: with public names, these alone.
 */
export function certificateHosts(cluster: NexusCluster): readonly string[] {
  const hosts = publicHosts(cluster);
  if (hosts.length > 0) return [...hosts].sort();
  const inside = serviceHost(cluster);
  const [server = ""] = inside.split(".");
  return [server, `${server}.${cluster.metadata.namespace ?? "default"}`, inside, `${inside}.cluster.local`];
}
