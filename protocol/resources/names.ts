// Why: the names of our API group in one place; they are written into clusters and can never change.

export const GROUP = "nexus.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;
export const CATEGORY = "nexus";

export type Kind = "NexusCluster" | "Tenant" | "Template";

export type KindNames = { readonly kind: Kind; readonly plural: string; readonly singular: string; readonly shortName: string };

export const KINDS: Readonly<Record<Kind, KindNames>> = {
  NexusCluster: { kind: "NexusCluster", plural: "nexusclusters", singular: "nexuscluster", shortName: "nxc" },
  Tenant: { kind: "Tenant", plural: "tenants", singular: "tenant", shortName: "nxt" },
  Template: { kind: "Template", plural: "templates", singular: "template", shortName: "nxtpl" },
};

/** Stops reconciliation of one object while "true". */
export const PAUSED_ANNOTATION = "nexus.dev/paused";
/** On a Secret of the user: changes are seen at once. */
export const WATCH_LABEL = "nexus.dev/watch";

/** A NexusCluster's name is part of the names of its children, which end within 63 characters. */
export const CLUSTER_NAME_PATTERN = "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$";
export const TENANT_ID_PATTERN = "^[A-Za-z0-9._-]{1,64}$";
export const TEMPLATE_ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$";
export const DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
export const DNS_SUBDOMAIN_PATTERN = "^[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$";
