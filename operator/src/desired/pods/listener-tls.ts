// Why: how a server pod gets the certificate of its public port, which is read again when it is renewed. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { PodParts } from "./parts.ts";

export const listenerTlsParts = (_cluster: NexusCluster): PodParts => ({});
