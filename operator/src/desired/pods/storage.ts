// Why: how a server pod finds the database that keeps inboxes. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { PodParts } from "./parts.ts";

export const storageParts = (_cluster: NexusCluster): PodParts => ({});
