// Why: what is shown of a fleet is decided once, for one look and for a screen that goes on: its clusters, its tenants, and every
// template that is not Ready. Pure, besides the one function that asks.
import { keyOfObject, refKey } from "@nexus/operator/desired/acceptance.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { Connection } from "../kube/connect.ts";
import { asResource, conditionOf, currentReady, isReady, servedKind } from "../kube/objects.ts";
import { ageOf, table } from "../table.ts";

/** One named cluster with what belongs to it wherever it is, or all of a namespace, or of every namespace. */
export type StatusScope = { readonly name: string | undefined; readonly isEverywhere: boolean };

export type Overview = {
  readonly clusters: readonly NexusCluster[];
  readonly tenants: readonly Tenant[];
  readonly templates: readonly Template[];
};

/** Of a named cluster: everything that names it, in any namespace one may read. Rejects with `KubeError`. */
export async function look({ api, namespace }: Connection, scope: StatusScope): Promise<Overview> {
  const where = scope.isEverywhere || scope.name !== undefined ? {} : { namespace };
  const [clusters, tenants, templates] = await Promise.all([
    api.list(servedKind("NexusCluster"), scope.name === undefined ? where : { namespace }),
    api.list(servedKind("Tenant"), where),
    api.list(servedKind("Template"), where),
  ]);
  const all: Overview = {
    clusters: clusters.items.map((one) => asResource<NexusCluster>(one)),
    tenants: tenants.items.map((one) => asResource<Tenant>(one)),
    templates: templates.items.map((one) => asResource<Template>(one)),
  };
  return scope.name === undefined ? all : ofCluster(all, `${namespace}/${scope.name}`);
}

/** The part of the overview that belongs to one cluster. */
export function ofCluster({ clusters, tenants, templates }: Overview, key: string): Overview {
  const own = tenants.filter((tenant) => refKey(tenant, tenant.spec.clusterRef) === key);
  const keys = new Set(own.map(keyOfObject));
  return {
    clusters: clusters.filter((cluster) => keyOfObject(cluster) === key),
    tenants: own,
    templates: templates.filter((template) => keys.has(refKey(template, template.spec.tenantRef))),
  };
}

export type Judged = NexusCluster | Tenant | Template;
const readyCell = (object: Judged): string => currentReady(object)?.status ?? "Unknown";
const reasonCell = (object: Judged): string => currentReady(object)?.reason ?? "NotObserved";
const stateCell = (object: Judged, type: Parameters<typeof conditionOf>[1]): string => {
  const condition = conditionOf(object, type);
  return condition === undefined ? "-" : condition.status === "True" ? condition.reason : `${condition.status}/${condition.reason}`;
};

/** What people read; `nowMs` is the wall clock. */
export function overviewText({ clusters, tenants, templates }: Overview, nowMs: number): string {
  const count = (value: number | undefined): string => (value === undefined ? "-" : String(value));
  const head = ({ metadata }: Judged): readonly string[] => [metadata.namespace ?? "", metadata.name];
  const age = ({ metadata }: Judged): string => ageOf(metadata.creationTimestamp, nowMs);
  const parts: string[] = [];
  if (clusters.length > 0) {
    const rows = clusters.map((one) => {
      const { readyReplicas, replicas, connections, bundle } = one.status ?? {};
      const size = `${count(readyReplicas)}/${count(replicas)}`;
      const synced = bundle ? `${bundle.podsSynced}/${bundle.podsTotal}` : "-";
      const states = [stateCell(one, "RedisReady"), stateCell(one, "AutoscalingActive")];
      return [...head(one), readyCell(one), reasonCell(one), size, count(connections), synced, ...states, age(one)];
    });
    parts.push(table(["NAMESPACE", "CLUSTER", "READY", "REASON", "PODS", "CONNECTIONS", "SYNCED", "REDIS", "AUTOSCALING", "AGE"], rows));
  }
  if (tenants.length > 0) {
    const rows = tenants.map((one) => [
      ...head(one),
      readyCell(one),
      reasonCell(one),
      one.status?.tenantId ?? "-",
      refKey(one, one.spec.clusterRef),
      one.spec.suspended ? "yes" : "no",
      age(one),
    ]);
    parts.push(table(["NAMESPACE", "TENANT", "READY", "REASON", "ID", "CLUSTER", "SUSPENDED", "AGE"], rows));
  }
  const failing = templates.filter((one) => !isReady(one));
  if (failing.length > 0) {
    const rows = failing.map((one) => [...head(one), readyCell(one), reasonCell(one), refKey(one, one.spec.tenantRef), age(one)]);
    parts.push(table(["NAMESPACE", "TEMPLATE", "READY", "REASON", "TENANT", "AGE"], rows));
  }
  const well = templates.length - failing.length;
  if (templates.length > 0) parts.push(`${well} of ${templates.length} templates are Ready.`);
  return parts.length === 0 ? "No NexusCluster, Tenant or Template here." : parts.join("\n\n");
}

/** For scripts: what the table has of one object. */
export function summary(object: Judged) {
  const ready = currentReady(object);
  const { namespace, name, generation } = object.metadata;
  return {
    kind: object.kind,
    namespace,
    name,
    generation,
    ready: ready?.status ?? "Unknown",
    reason: ready?.reason ?? "NotObserved",
    message: ready?.message ?? "",
  };
}

export const all = ({ clusters, tenants, templates }: Overview): readonly Judged[] => [...clusters, ...tenants, ...templates];
