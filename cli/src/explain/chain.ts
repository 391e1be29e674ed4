// Why: from an object along its references to what it stands on. Each object is read as it is now; what may not be read is said.
import { clusterKeyOf, keyOfObject, namespaceOf, tenantKeyOf } from "@nexus/operator/desired/acceptance.ts";
import { apiKeySecretName } from "@nexus/operator/desired/names.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import type { Kind } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Resource, ResourceOf } from "@nexus/protocol/resources/schema.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { Connection } from "../kube/connect.ts";
import { asResource, isReady, nameOf, servedKind } from "../kube/objects.ts";
import { clusterLinks } from "./cluster.ts";
import { broken, type Link, unseen } from "./links.ts";
import { operatorLink } from "./operator.ts";
import { type NamedSecret, secretLinks, secretsIn } from "./secrets.ts";
import { adviceFor, ownLinks } from "./spoken.ts";

export type Explanation = { readonly about: string; readonly isReady: boolean; readonly links: readonly Link[] };

/** Undefined when the object does not exist. `nowMs`: wall clock. Rejects with `KubeError`. */
export async function explainObject(connection: Connection, kind: Kind, name: string, nowMs: number): Promise<Explanation | undefined> {
  const object = await read(connection, kind, `${connection.namespace}/${name}`);
  if (!object || object === "forbidden") return undefined;
  const links = [await operatorLink(connection, nowMs), ...(await linksOf(connection, object))];
  return { about: nameOf(object), isReady: isReady(object), links };
}

async function linksOf(connection: Connection, object: Resource): Promise<readonly Link[]> {
  if (object.kind === "NexusCluster") return await clusterLinks(connection, object);
  if (object.kind === "Tenant") return await tenantLinks(connection, object);
  return await templateLinks(connection, object);
}

async function tenantLinks(connection: Connection, tenant: Tenant): Promise<readonly Link[]> {
  const cluster = await reference<NexusCluster>(connection, "NexusCluster", {
    from: tenant,
    key: clusterKeyOf(tenant),
    field: "spec.clusterRef",
  });
  const generated: NamedSecret[] = (tenant.spec.auth.apiKeys ?? [])
    .filter(({ secretRef }) => secretRef === undefined)
    .map((key) => ({ field: `spec.auth.apiKeys (${key.name})`, name: apiKeySecretName(tenant.metadata.name, key.name), keys: ["key"] }));
  const secrets = secretsIn(tenant.spec, "spec");
  return [
    ...("link" in cluster ? [cluster.link] : await clusterLinks(connection, cluster.object)),
    ...(await secretLinks(connection, namespaceOf(tenant), secrets)),
    // Those the operator makes are made once the tenant is accepted.
    ...("link" in cluster ? [] : await secretLinks(connection, namespaceOf(tenant), generated)),
    ...(await ownLinks(connection, tenant)),
  ];
}

async function templateLinks(connection: Connection, template: Template): Promise<readonly Link[]> {
  const tenant = await reference<Tenant>(connection, "Tenant", { from: template, key: tenantKeyOf(template), field: "spec.tenantRef" });
  return [...("link" in tenant ? [tenant.link] : await tenantLinks(connection, tenant.object)), ...(await ownLinks(connection, template))];
}

type Reference = { readonly from: Resource; readonly key: string; readonly field: string };

async function reference<R extends Resource>(
  connection: Connection,
  kind: R["kind"],
  { from, key, field }: Reference,
): Promise<{ readonly object: R } | { readonly link: Link }> {
  const what = `${kind} ${key}`;
  const found = await read(connection, kind, key);
  if (found === "forbidden") return { link: unseen(what, `not allowed to look (${field} of ${keyOfObject(from)} names it)`) };
  if (!found) return { link: broken(what, `does not exist (${field} of ${nameOf(from)} names it)`, adviceFor("ReferenceNotPermitted")) };
  return { object: found as unknown as R }; // read as that kind
}

async function read<K extends Kind>({ api }: Connection, kind: K, key: string): Promise<ResourceOf<K> | "forbidden" | undefined> {
  const [namespace = "", name = ""] = key.split("/");
  try {
    const object = await api.get({ kind: servedKind(kind), namespace, name });
    return object && asResource<ResourceOf<K>>(object);
  } catch (error) {
    if (isForbidden(error)) return "forbidden";
    throw error;
  }
}
