// Why: which Tenants and Templates belong to a cluster, decided by one pure function from everything that is known, so that
// the operator and `nexus dev` can never disagree, and so that no namespace can take another's id or data.
import { entryKey, templateEntryId } from "@nexus/protocol/bundle.ts";
import { isTemplateId, isTenantId } from "@nexus/protocol/names.ts";
import type { ConditionReason, Refused } from "@nexus/protocol/resources/conditions.ts";
import type { AllowedNamespaces } from "@nexus/protocol/resources/fields.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";

export type AcceptedTenant = { readonly tenant: Tenant; readonly cluster: NexusCluster; readonly tenantId: string };
/** What decides where a Template belongs: the operator keeps no more of 100,000 of them. */
export type TemplateHead = {
  readonly metadata: Template["metadata"];
  readonly spec: Pick<Template["spec"], "tenantRef" | "templateId">;
};
export type AcceptedTemplate<T extends TemplateHead = Template> = {
  readonly template: T;
  readonly owner: AcceptedTenant;
  readonly templateId: string;
};
export type Verdict<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refused: Refused };

/** Labels of a namespace; undefined when the namespace is not known. */
export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** An object, by uid, and the entry it has or would have in a cluster's bundle. `key`: `namespace/name`. */
export type Attachment = {
  readonly kind: "tenant" | "template";
  readonly key: string;
  readonly uid: string;
  readonly clusterKey: string;
  readonly entryKey: string;
};

/** Lookups over everything that is known. Keys are `namespace/name`; ids are the ones in force. */
export type World = {
  readonly cluster: (key: string) => NexusCluster | undefined;
  readonly tenant: (key: string) => Tenant | undefined;
  /** Tenants that name this cluster and would have this id there. */
  readonly tenantsWithId: (clusterKey: string, tenantId: string) => readonly Tenant[];
  /** Templates that name this tenant and would have this id there. */
  readonly templatesWithId: (tenantKey: string, templateId: string) => readonly TemplateHead[];
  readonly namespaceLabels: NamespaceLabels;
  /** Whether an object is attached, given whether the rules permit it; absent: as they say. See `loop/access-grace.ts`. */
  readonly mayStay?: (attachment: Attachment, isPermitted: boolean) => boolean;
  /** Whether data of an earlier tenant with this id are still being purged; absent: never. */
  readonly isPurging?: (clusterKey: string, tenantId: string) => boolean;
};

type Meta = {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string; readonly creationTimestamp?: string };
};

export const namespaceOf = ({ metadata }: Meta): string => metadata.namespace ?? "default";
export const keyOfObject = (object: Meta): string => `${namespaceOf(object)}/${object.metadata.name}`;
/** The object a reference of ours leads to. */
export const refKey = (from: Meta, ref: { readonly name: string; readonly namespace?: string }): string =>
  `${ref.namespace ?? namespaceOf(from)}/${ref.name}`;

const refuse = (reason: ConditionReason, message: string) => ({ ok: false, refused: { reason, message } }) as const;

/** The older object keeps a name: smaller creationTimestamp, then smaller uid. */
export function isOlder(a: Meta, b: Meta): boolean {
  const [left = "", right = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return left === right ? (a.metadata.uid ?? "") < (b.metadata.uid ?? "") : left < right;
}

/** Whether objects of `namespace` may attach to `target`. */
export function mayAttach(namespace: string, target: Meta, allowed: AllowedNamespaces, labels: NamespaceLabels): boolean {
  if (namespace === namespaceOf(target) || allowed.from === "All") return true;
  if (allowed.from === "Same" || !allowed.selector) return false;
  const found = labels(namespace);
  return found !== undefined && matches(allowed.selector, found);
}

function matches(selector: NonNullable<AllowedNamespaces["selector"]>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  if (!wanted.every(([name, value]) => labels[name] === value)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return operator satisfies never;
    }
  });
}

export const clusterKeyOf = (tenant: Tenant): string => refKey(tenant, tenant.spec.clusterRef);
export const tenantKeyOf = (template: TemplateHead): string => refKey(template, template.spec.tenantRef);

/** The id in force: plain in the cluster's own namespace, prefixed with the namespace everywhere else. */
export function effectiveTenantId(tenant: Tenant): string {
  const id = tenant.spec.tenantId ?? tenant.metadata.name;
  const clusterNamespace = tenant.spec.clusterRef.namespace ?? namespaceOf(tenant);
  return namespaceOf(tenant) === clusterNamespace ? id : `${namespaceOf(tenant)}.${id}`;
}

export const effectiveTemplateId = (template: TemplateHead): string => template.spec.templateId ?? template.metadata.name;

/** One text for "does not exist" and "not allowed", so that nobody can ask which names exist elsewhere. */
const notPermitted = (kind: string, key: string, isForeign: boolean) =>
  refuse(
    "ReferenceNotPermitted",
    isForeign
      ? `${kind} ${key} does not exist or does not allow objects of this namespace (its spec.allowedNamespaces)`
      : `${kind} ${key} does not exist in this namespace`,
  );

/** Whether an object is attached: as the rules say now, or because it was and they changed a moment ago. */
function isAttached(attachment: Omit<Attachment, "key" | "uid">, object: Meta, { isPermitted, world }: Permission): boolean {
  const whole = { ...attachment, key: keyOfObject(object), uid: object.metadata.uid ?? "" };
  return world.mayStay ? world.mayStay(whole, isPermitted) : isPermitted;
}
type Permission = { readonly isPermitted: boolean; readonly world: World };

/** Whether a Tenant is part of a cluster's configuration, and under which id. */
export function acceptTenant(tenant: Tenant, world: World): Verdict<AcceptedTenant> {
  const key = clusterKeyOf(tenant);
  const cluster = world.cluster(key);
  const isForeign = (tenant.spec.clusterRef.namespace ?? namespaceOf(tenant)) !== namespaceOf(tenant);
  const tenantId = effectiveTenantId(tenant);
  const attachment = { kind: "tenant" as const, clusterKey: key, entryKey: entryKey({ kind: "tenant", id: tenantId }) };
  const attaches = (one: Tenant, to: NexusCluster) => {
    const isPermitted = mayAttach(namespaceOf(one), to, to.spec.allowedNamespaces, world.namespaceLabels);
    return isAttached(attachment, one, { isPermitted, world });
  };
  if (!cluster || !attaches(tenant, cluster)) return notPermitted("NexusCluster", key, isForeign);
  if (!isTenantId(tenantId)) {
    const text = `the id in force has ${tenantId.length} characters, with the namespace; it must be 1-64 of A-Z a-z 0-9 . _ -: set a shorter spec.tenantId`;
    return refuse("InvalidSpec", text);
  }
  const older = world
    .tenantsWithId(key, tenantId)
    .find((other) => isOther(other, tenant) && attaches(other, cluster) && isOlder(other, tenant));
  if (older) {
    const who = namespaceOf(older) === namespaceOf(tenant) ? `, ${older.metadata.name}` : "";
    return refuse("NameConflict", `the tenant id ${tenantId} belongs to an older Tenant of this cluster${who}`);
  }
  if (world.isPurging?.(key, tenantId))
    return refuse(
      "PurgePending",
      `data of an earlier tenant with the id ${tenantId} are being purged; this one is taken in when that is done`,
    );
  return { ok: true, value: { tenant, cluster, tenantId } };
}

const isOther = (a: Meta, b: Meta): boolean => keyOfObject(a) !== keyOfObject(b);

/** Whether a Template is part of its tenant's configuration. */
export function acceptTemplate<T extends TemplateHead>(template: T, world: World): Verdict<AcceptedTemplate<T>> {
  const key = tenantKeyOf(template);
  const tenant = world.tenant(key);
  const isForeign = (template.spec.tenantRef.namespace ?? namespaceOf(template)) !== namespaceOf(template);
  const templateId = effectiveTemplateId(template);
  const attaches = (one: TemplateHead, to: Tenant) => {
    const isPermitted = mayAttach(namespaceOf(one), to, to.spec.allowedNamespaces, world.namespaceLabels);
    const id = templateEntryId(effectiveTenantId(to), templateId);
    const attachment = { kind: "template" as const, clusterKey: clusterKeyOf(to), entryKey: entryKey({ kind: "template", id }) };
    return isAttached(attachment, one, { isPermitted, world });
  };
  if (!tenant || !attaches(template, tenant)) return notPermitted("Tenant", key, isForeign);
  const owner = acceptTenant(tenant, world);
  if (!owner.ok) return refuse("TenantNotAccepted", `Tenant ${key} is not accepted: ${owner.refused.reason}`);
  if (!isTemplateId(templateId))
    return refuse("InvalidSpec", "metadata.name is no template id: set spec.templateId (1-64 of A-Z a-z 0-9 _ -)");
  const older = world
    .templatesWithId(key, templateId)
    .find((other) => isOther(other, template) && attaches(other, tenant) && isOlder(other, template));
  if (older) return refuse("NameConflict", `the template id ${templateId} belongs to an older Template of this tenant`);
  return { ok: true, value: { template, owner: owner.value, templateId } };
}
