// Why: every child of a fleet has its head from one place: name, labels, owner. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { type Component, childLabels, ownedBy } from "./names.ts";

type Extras = {
  readonly component?: Component;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Further labels; those by which a child is found win. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
};

/** Metadata of a child; `component` is `server` when left out. */
export const childMetadata = (
  cluster: NexusCluster,
  name: string,
  { operatorId }: { readonly operatorId: string },
  { component = "server", annotations, labels }: Extras = {},
) => ({
  name,
  namespace: cluster.metadata.namespace ?? "default",
  labels: { ...labels, ...childLabels(cluster.metadata.name, component, operatorId) },
  ownerReferences: ownedBy(cluster),
  ...(annotations ? { annotations } : {}),
});
