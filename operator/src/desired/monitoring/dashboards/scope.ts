// Why: which series a dashboard is about, and its name in links, for ever: a fleet's dashboards never show another fleet's
// series, and two fleets never share a uid. Pure.
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../../acceptance.ts";
import type { Link, Query, Variable } from "./model.ts";

export const TAG = "nexus";

/** Dashboards of a fleet. */
export type ClusterPage = "cluster" | "tenants" | "redis";

/** `nexus-cluster-0123456789abcdef`: names may be long and uids are of 40 characters; what is hashed cannot be ambiguous. */
export const clusterUid = (cluster: NexusCluster, page: ClusterPage): string =>
  `nexus-${page}-${sha256(JSON.stringify([namespaceOf(cluster), cluster.metadata.name])).slice(0, 16)}`;

/** `metric{namespace="$namespace",nexus_cluster="$nexus_cluster"}` with `more` matchers. */
export const ofCluster = (metric: string, more = ""): string =>
  `${metric}{namespace="$namespace",nexus_cluster="$nexus_cluster"${more === "" ? "" : `,${more}`}}`;

/** What {@link ofCluster} refers to; fixed, so that the page needs no choice and no query to begin. */
export const clusterVariables = (cluster: NexusCluster): readonly Variable[] => [
  { name: "namespace", constant: namespaceOf(cluster) },
  { name: "nexus_cluster", constant: cluster.metadata.name },
];

/** To the fleet's other pages and to the list of all. */
export const clusterLinks = (cluster: NexusCluster, here: ClusterPage): readonly Link[] => [
  ...pages(cluster)
    .filter((page) => page !== here)
    .map((page) => ({ title: PAGE_TITLES[page], url: `/d/${clusterUid(cluster, page)}` })),
  { title: "All of Nexus", tag: TAG },
];

/** A fleet without Redis has no page about it. */
export const pages = (cluster: NexusCluster): readonly ClusterPage[] =>
  cluster.spec.redis.mode === "None" ? ["cluster", "tenants"] : ["cluster", "tenants", "redis"];

const PAGE_TITLES = { cluster: "Fleet", tenants: "Tenants", redis: "Redis" } as const satisfies Record<ClusterPage, string>;

export const clusterTitle = (cluster: NexusCluster, page: ClusterPage): string =>
  `Nexus / ${namespaceOf(cluster)} / ${cluster.metadata.name}${page === "cluster" ? "" : ` / ${PAGE_TITLES[page]}`}`;

/** Alerts of a fleet that fire: its servers', and what the operator says of it. */
export const firing = (more = ""): string => {
  const alerts = (namespace: string) =>
    `ALERTS{alertstate="firing",${namespace}="$namespace",nexus_cluster="$nexus_cluster"${more === "" ? "" : `,${more}`}}`;
  return `(${alerts("namespace")} or ${alerts("nexus_namespace")})`;
};

/** Every line by pod. */
export const perPod = (expr: string): Query => ({ expr, legend: "{{pod}}" });

/** Where nothing of the kind has ever happened there is no series, and that is well. */
export const NEVER_HAPPENED = "no such event has happened since the pods started";
