// Why: one look tells whether a fleet is well: its clusters, its tenants, and every template that is not. It must never write.

import { keyOfObject, refKey } from "@nexus/operator/desired/acceptance.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { command, oneOf, UsageError } from "../command.ts";
import { type Connection, KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { asResource, conditionOf, currentReady, isReady, servedKind } from "../kube/objects.ts";
import { ageOf, table } from "../table.ts";

export const status = command(
  {
    line: "status [CLUSTER] [flags]",
    about:
      "Shows clusters, tenants and the templates that are not Ready, of one namespace or of all. With CLUSTER only that one and what belongs\nto it, wherever it is. Ends with 0; with --check it ends with 1 when anything shown is not Ready.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--all-namespaces", short: "-A", about: "Of every namespace." },
      { name: "--output", short: "-o", value: "FORMAT", about: "text (default) or json." },
      { name: "--check", about: "End with 1 when anything is not Ready, for scripts." },
    ],
    examples: ["status", "status -A", "status live -n shop --check"],
    words: "CLUSTER",
  },
  async (args, io) => {
    const [name, ...rest] = args.words;
    if (rest.length > 0) throw new UsageError(`${rest[0]}: only one CLUSTER`);
    if (name !== undefined && args.has("--all-namespaces")) throw new UsageError("--all-namespaces: does not go with a CLUSTER");
    const format = oneOf(args, "--output", ["text", "json"], "text");
    return await withCluster(args, io, async (connection) => {
      const overview = await look(connection, { name, isEverywhere: args.has("--all-namespaces") });
      if (name !== undefined && overview.clusters.length === 0) {
        io.err(`nexus: NexusCluster ${connection.namespace}/${name} does not exist`);
        return 1;
      }
      io.out(format === "json" ? JSON.stringify(summaries(overview), undefined, 2) : overviewText(overview, Date.now()));
      const all = [...overview.clusters, ...overview.tenants, ...overview.templates];
      return args.has("--check") && !all.every(isReady) ? 1 : 0;
    });
  },
);

export type Overview = {
  readonly clusters: readonly NexusCluster[];
  readonly tenants: readonly Tenant[];
  readonly templates: readonly Template[];
};

/** Of a named cluster: everything that names it, in any namespace one may read. */
async function look(
  { api, namespace }: Connection,
  scope: { readonly name: string | undefined; readonly isEverywhere: boolean },
): Promise<Overview> {
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

type Judged = NexusCluster | Tenant | Template;
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

/** For scripts: one object each with what the table has. */
const summaries = ({ clusters, tenants, templates }: Overview) =>
  [...clusters, ...tenants, ...templates].map((object) => {
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
  });
