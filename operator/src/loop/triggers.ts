// Why: which keys an event concerns. Events are hints: it may name too many keys, never too few. Pure but for the stores it
// looks things up in.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { keyOfObject } from "../desired/acceptance.ts";
import { templateIdKey, tenantIdKey } from "../desired/world.ts";
import type { KubeObject } from "../plan/object.ts";
import { clusterKeyText, type Key, sourceKey } from "./keys.ts";
import { keyOf, type WatchEvent } from "./ports.ts";
import type { Stores } from "./stores.ts";

type Versioned = {
  readonly metadata: {
    readonly generation?: number;
    readonly uid?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
};

const tenantKey = (tenant: Tenant): Key => sourceKey("tenant", keyOfObject(tenant));
const templateKey = (template: Template): Key => sourceKey("template", keyOfObject(template));

/** A change of status alone concerns nobody else, and mostly is our own. */
const isRelevant = <T extends Versioned>({ type, object, previous }: WatchEvent<T>): boolean =>
  type !== "modified" ||
  previous === undefined ||
  previous.metadata.generation !== object.metadata.generation ||
  previous.metadata.deletionTimestamp !== object.metadata.deletionTimestamp ||
  previous.metadata.annotations?.["nexus.dev/paused"] !== object.metadata.annotations?.["nexus.dev/paused"];

/** The cluster itself, and its Tenants and their Templates where acceptance may change. */
export function keysOfCluster(stores: Stores, event: WatchEvent<NexusCluster>): readonly Key[] {
  const own = clusterKeyText(event.key);
  if (!isRelevant(event)) return [own];
  const tenants = stores.Tenant.byIndex("cluster", event.key);
  return [own, ...tenants.flatMap((tenant) => [tenantKey(tenant), ...templatesOf(stores, tenant)])];
}

/** The Tenant, those that want its id, and their Templates. */
export function keysOfTenant(stores: Stores, event: WatchEvent<Tenant>): readonly Key[] {
  const own = sourceKey("tenant", event.key);
  if (!isRelevant(event)) return [own];
  const rivals = stores.Tenant.byIndex("id", tenantIdKey(event.object));
  const all = [event.object, ...rivals];
  return [own, ...rivals.map(tenantKey), ...all.flatMap((tenant) => templatesOf(stores, tenant))];
}

export function keysOfTemplate(stores: Stores, event: WatchEvent<Template>): readonly Key[] {
  const own = sourceKey("template", event.key);
  if (!isRelevant(event)) return [own];
  return [own, ...stores.Template.byIndex("id", templateIdKey(event.object)).map(templateKey)];
}

/** A namespace's labels decide who may attach from there. */
export function keysOfNamespace(stores: Stores, { key, object, previous, type }: WatchEvent<KubeObject>): readonly Key[] {
  const isSame = type === "modified" && JSON.stringify(previous?.metadata.labels) === JSON.stringify(object.metadata.labels);
  if (isSame) return [];
  return [...stores.Tenant.byIndex("namespace", key).map(tenantKey), ...stores.Template.byIndex("namespace", key).map(templateKey)];
}

/** A child leads to its cluster, by its owner or, when somebody removed that, by its label. */
export function keysOfChild({ object }: WatchEvent<KubeObject>): readonly Key[] {
  const namespace = object.metadata.namespace ?? "default";
  const owner = object.metadata.ownerReferences?.find((one) => one.kind === "NexusCluster")?.name;
  const name = owner ?? object.metadata.labels?.["app.kubernetes.io/instance"];
  return name === undefined ? [] : [clusterKeyText(`${namespace}/${name}`)];
}

/** A Secret leads to its owner; `readers` have it in their entries. */
export function keysOfSecret({ object }: WatchEvent<KubeObject>, readers: readonly string[]): readonly Key[] {
  const namespace = object.metadata.namespace ?? "default";
  const owners = (object.metadata.ownerReferences ?? []).flatMap(({ kind, name }): Key[] => {
    if (kind === "NexusCluster") return [clusterKeyText(`${namespace}/${name}`)];
    return kind === "Tenant" ? [sourceKey("tenant", `${namespace}/${name}`)] : [];
  });
  return [...owners, ...readers.map((reader) => reader as Key)]; // readers are named by their keys
}

const templatesOf = (stores: Stores, tenant: Tenant): readonly Key[] =>
  stores.Template.byIndex("tenant", keyOfObject(tenant)).map(templateKey);

/** Every object there is, for the start. */
export function allKeys(stores: Stores): { readonly clusters: readonly Key[]; readonly sources: readonly ReturnType<typeof sourceKey>[] } {
  return {
    clusters: stores.NexusCluster.list().map((cluster) => clusterKeyText(keyOf(cluster))),
    sources: [
      ...stores.Tenant.list().map((tenant) => sourceKey("tenant", keyOfObject(tenant))),
      ...stores.Template.list().map((template) => sourceKey("template", keyOfObject(template))),
    ],
  };
}
