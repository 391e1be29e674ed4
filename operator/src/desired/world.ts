// Why: the lookups that acceptance needs, over plain lists, for `nexus dev`, tests and tools. Pure.

import type { Refused } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import {
  type AcceptedTemplate,
  type AcceptedTenant,
  acceptTemplate,
  acceptTenant,
  clusterKeyOf,
  effectiveTemplateId,
  effectiveTenantId,
  keyOfObject,
  type NamespaceLabels,
  type TemplateHead,
  tenantKeyOf,
  type World,
} from "./acceptance.ts";

export type Resources = {
  readonly clusters: readonly NexusCluster[];
  readonly tenants: readonly Tenant[];
  readonly templates: readonly Template[];
  readonly namespaceLabels?: NamespaceLabels;
};

/** Index keys that a store has to offer for {@link World}. */
export const tenantIdKey = (tenant: Tenant): string => `${clusterKeyOf(tenant)}\n${effectiveTenantId(tenant)}`;
export const templateIdKey = (template: TemplateHead): string => `${tenantKeyOf(template)}\n${effectiveTemplateId(template)}`;

export function worldOf(resources: Resources): World {
  const clusters = new Map(resources.clusters.map((one) => [keyOfObject(one), one]));
  const tenants = new Map(resources.tenants.map((one) => [keyOfObject(one), one]));
  const tenantsById = Map.groupBy(resources.tenants, tenantIdKey);
  const templatesById = Map.groupBy(resources.templates, templateIdKey);
  return {
    cluster: (key) => clusters.get(key),
    tenant: (key) => tenants.get(key),
    tenantsWithId: (cluster, id) => tenantsById.get(`${cluster}\n${id}`) ?? [],
    templatesWithId: (tenant, id) => templatesById.get(`${tenant}\n${id}`) ?? [],
    namespaceLabels: resources.namespaceLabels ?? (() => undefined),
  };
}

export type RefusedObject = Refused & { readonly kind: "Tenant" | "Template"; readonly key: string };
export type Accepted = {
  readonly tenants: readonly AcceptedTenant[];
  readonly templates: readonly AcceptedTemplate[];
  readonly refused: readonly RefusedObject[];
};

/** Judges every Tenant and Template; the accepted ones name their cluster. */
export function acceptAll(resources: Resources): Accepted {
  const world = worldOf(resources);
  const refused: RefusedObject[] = [];
  const tenants = resources.tenants.flatMap((tenant) => {
    const verdict = acceptTenant(tenant, world);
    if (verdict.ok) return [verdict.value];
    refused.push({ kind: "Tenant", key: keyOfObject(tenant), ...verdict.refused });
    return [];
  });
  const templates = resources.templates.flatMap((template) => {
    const verdict = acceptTemplate(template, world);
    if (verdict.ok) return [verdict.value];
    refused.push({ kind: "Template", key: keyOfObject(template), ...verdict.refused });
    return [];
  });
  return { tenants, templates, refused };
}
