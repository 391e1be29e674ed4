// Why: every NetworkPolicy of a fleet is made by one builder: who may reach which port, and nothing about where pods may go.
// It must never restrict egress: what a fleet needs to reach (DNS, key sets, brokers outside) only its users know. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { type Component, selectorLabels } from "../names.ts";

type LabelSelector = { readonly matchLabels?: Readonly<Record<string, string>> };

/** Pods that may come in, as in a NetworkPolicy. Without `namespaceSelector`: of the policy's own namespace. */
export type NetworkPeer = { readonly namespaceSelector?: LabelSelector; readonly podSelector?: LabelSelector };

/** TCP ports and who may reach them; without `from`: everybody, from inside the cluster and outside. */
export type NetworkRule = { readonly ports: readonly number[]; readonly from?: readonly NetworkPeer[] };

/** Any pod of any namespace, nobody from outside. */
export const ANY_POD: NetworkPeer = { namespaceSelector: {} };

/** Pods of one component of this cluster, in its own namespace. */
export const componentPods = (cluster: NexusCluster, component: Component): NetworkPeer => ({
  podSelector: { matchLabels: selectorLabels(cluster.metadata.name, component) },
});

/** Pods with these labels in the namespace of that name, found by the label the API server puts on every namespace. */
export const podsIn = (namespace: string, matchLabels: Readonly<Record<string, string>>): NetworkPeer => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels },
});

/** Lets in what `rules` say to the pods of one component, and nobody else. The rules are kept in their order. */
export const networkPolicy = (
  cluster: NexusCluster,
  context: { readonly operatorId: string },
  { name, component, rules }: { readonly name: string; readonly component: Component; readonly rules: readonly NetworkRule[] },
) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: childMetadata(cluster, name, context, { component }),
  spec: {
    podSelector: { matchLabels: selectorLabels(cluster.metadata.name, component) },
    policyTypes: ["Ingress"],
    ingress: rules.map(({ ports, from }) => ({
      ports: ports.map((port) => ({ port, protocol: "TCP" })),
      ...(from ? { from } : {}),
    })),
  },
});
