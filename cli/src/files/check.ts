// Why: what is wrong with one object of ours, with its place in the file: the API server's schema and rules, and what the
// operator would say of a template's payloads. It must never call an object good that it did not understand.
import { payloadComplaint } from "@nexus/operator/desired/payload.ts";
import type { Complaint } from "@nexus/protocol/resources/rules.ts";
import { checkResource, type Resource } from "@nexus/protocol/resources/schema.ts";
import { type LoadedObject, type Problem, problemAt } from "./load.ts";
import { metadataComplaints } from "./metadata.ts";

export type CheckedObject =
  | { readonly ok: true; readonly object: LoadedObject; readonly resource: Resource }
  | { readonly ok: false; readonly object: LoadedObject; readonly problems: readonly Problem[] };

/** The object with its defaults, or every complaint about it. */
export function checkObject(object: LoadedObject): CheckedObject {
  const checked = checkResource(object.value);
  const metadata = metadataComplaints(object.value.metadata);
  const known = new Set(metadata.map(({ path }) => path));
  // A name that Kubernetes itself refuses is told of once.
  const others = checked.ok ? payloadComplaints(checked.resource) : checked.complaints.filter(({ path }) => !known.has(path));
  const complaints = [...metadata, ...others];
  if (checked.ok && complaints.length === 0) return { ok: true, object, resource: checked.resource };
  return { ok: false, object, problems: complaints.map(({ path, message }) => problemAt(object, path, message)) };
}

/** The quota of bytes is the tenant's, which may be in another file. */
function payloadComplaints(resource: Resource): readonly Complaint[] {
  const complaint = resource.kind === "Template" ? payloadComplaint(resource.spec, Number.POSITIVE_INFINITY) : undefined;
  return complaint ? [complaint] : [];
}

export function complaintsAbout(object: LoadedObject): readonly Problem[] {
  const checked = checkObject(object);
  return checked.ok ? [] : checked.problems;
}

/** `Tenant default/acme`; undefined when the object does not say. */
export function identityOf(value: Record<string, unknown>, defaultNamespace = "default"): string | undefined {
  const { kind, metadata } = value;
  if (typeof kind !== "string" || typeof metadata !== "object" || metadata === null || !("name" in metadata)) return undefined;
  const namespace = "namespace" in metadata && typeof metadata.namespace === "string" ? metadata.namespace : defaultNamespace;
  return `${kind} ${namespace}/${String(metadata.name)}`;
}

/** Objects that stand in the files twice, told at the second. */
export function duplicates(objects: readonly LoadedObject[], defaultNamespace?: string): readonly Problem[] {
  const seen = new Map<string, LoadedObject>();
  return objects.flatMap((object) => {
    const id = identityOf(object.value, defaultNamespace);
    const first = id === undefined ? undefined : seen.get(id);
    if (id !== undefined && !first) seen.set(id, object);
    return first ? [problemAt(object, "metadata.name", `${id} is in ${first.file}:${first.line("metadata.name")} already`)] : [];
  });
}
