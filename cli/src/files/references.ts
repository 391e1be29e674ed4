// Why: objects that name each other are judged together, by the function the operator judges them with, as far as the files go.
// What the files cannot know (an object that is only in the cluster) is a warning, never an error. Pure.
import { keyOfObject, refKey } from "@nexus/operator/desired/acceptance.ts";
import { acceptAll, templateIdKey, tenantIdKey } from "@nexus/operator/desired/world.ts";
import type { Resource, ResourceOf } from "@nexus/protocol/resources/schema.ts";
import { type LoadedObject, type Problem, problemAt } from "./load.ts";

export type Placed<R extends Resource = Resource> = { readonly object: LoadedObject; readonly resource: R };
export type References = { readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** Namespaces in the files with their labels, for `allowedNamespaces.from: Selector`. */
export type NamespaceLabels = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Every resource has its namespace. Each stands in `placed` once. */
export function judgeReferences(placed: readonly Placed[], namespaces: NamespaceLabels): References {
  const clusters = ofKind(placed, "NexusCluster");
  const tenants = ofKind(placed, "Tenant");
  const templates = ofKind(placed, "Template");
  const clusterKeys = new Set(clusters.map(({ resource }) => keyOfObject(resource)));
  const tenantKeys = new Set(tenants.map(({ resource }) => keyOfObject(resource)));
  const warnings: Problem[] = [];
  for (const { object, resource } of tenants) {
    const key = refKey(resource, resource.spec.clusterRef);
    if (!clusterKeys.has(key)) warnings.push(problemAt(object, "spec.clusterRef", absent("NexusCluster", key)));
  }
  for (const { object, resource } of templates) {
    const key = refKey(resource, resource.spec.tenantRef);
    if (!tenantKeys.has(key)) warnings.push(problemAt(object, "spec.tenantRef", absent("Tenant", key)));
  }
  const { refused } = acceptAll({
    clusters: clusters.map(({ resource }) => resource),
    tenants: tenants.map(({ resource }) => resource),
    templates: templates.map(({ resource }) => resource),
    namespaceLabels: (name) => namespaces.get(name),
  });
  const problems = [
    ...sameId(tenants, tenantIdKey, "spec.tenantId", "the id of a Tenant"),
    ...sameId(templates, templateIdKey, "spec.templateId", "the id of a Template"),
  ];
  const reported = new Set(warnings.map(({ file, line }) => `${file}:${line}`));
  for (const { kind, key, reason, message } of refused) {
    const one = placed.find(({ resource }) => resource.kind === kind && keyOfObject(resource) === key);
    if (!one) continue;
    const field = reason === "ReferenceNotPermitted" ? (kind === "Tenant" ? "spec.clusterRef" : "spec.tenantRef") : "spec";
    const found = problemAt(one.object, field, message);
    // Ids are judged above, also where the owner is elsewhere; a tenant that is refused is told of at the tenant.
    if (reason === "NameConflict" || reason === "TenantNotAccepted" || reported.has(`${found.file}:${found.line}`)) continue;
    const isUnknown = reason === "ReferenceNotPermitted" && selectsUnknownNamespace(one.resource, { clusters, tenants }, namespaces);
    if (isUnknown) warnings.push({ ...found, message: `${message}; its namespace is not in these files, so its labels are not known` });
    else problems.push(found);
  }
  return { problems, warnings };
}

const absent = (kind: string, key: string): string => `${kind} ${key} is not in these files: it has to be in the cluster`;

const ofKind = <K extends Resource["kind"]>(placed: readonly Placed[], kind: K): readonly Placed<ResourceOf<K>>[] =>
  placed.filter((one): one is Placed<ResourceOf<K>> => one.resource.kind === kind);

function sameId<R extends Resource>(
  placed: readonly Placed<R>[],
  idKey: (resource: R) => string,
  field: string,
  what: string,
): readonly Problem[] {
  const groups = Map.groupBy(placed, ({ resource }) => idKey(resource));
  return [...groups.values()].flatMap(([first, ...others]) =>
    others.map(({ object }) =>
      problemAt(object, field, `${what} is taken by ${first?.resource.metadata.name} (${first?.object.file}:${first?.object.line(field)})`),
    ),
  );
}

type Owners = {
  readonly clusters: readonly Placed<ResourceOf<"NexusCluster">>[];
  readonly tenants: readonly Placed<ResourceOf<"Tenant">>[];
};

/** Whether the owner chooses namespaces by labels that nobody here knows. */
function selectsUnknownNamespace(resource: Resource, { clusters, tenants }: Owners, namespaces: NamespaceLabels): boolean {
  if (resource.kind === "NexusCluster" || namespaces.has(resource.metadata.namespace ?? "default")) return false;
  const owner =
    resource.kind === "Tenant"
      ? clusters.find((one) => keyOfObject(one.resource) === refKey(resource, resource.spec.clusterRef))
      : tenants.find((one) => keyOfObject(one.resource) === refKey(resource, resource.spec.tenantRef));
  return owner?.resource.spec.allowedNamespaces.from === "Selector";
}
