// Why: one place knows how the API server spells an address. Pure; every name is escaped, so no name can leave its segment.
import type { Kind } from "../loop/kinds.ts";
import type { ObjectRef, Scope } from "../loop/ports.ts";

const groupPath = (kind: Kind): string => (kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`);

/** Path of a kind's list, in one namespace or over all. */
export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const inside = kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${groupPath(kind)}${inside}/${kind.resource}`;
}

/** Path of one object. @throws TypeError for a namespaced kind without namespace, or an empty name: that would be a list. */
export function objectPath(ref: ObjectRef, subresource?: string): string {
  if (ref.name === "" || ref.name === "." || ref.name === "..") throw new TypeError(`not a name of a ${ref.kind.kind}`);
  if (ref.kind.namespaced && !ref.namespace) throw new TypeError(`a ${ref.kind.kind} needs a namespace`);
  const tail = subresource === undefined ? "" : `/${subresource}`;
  return `${collectionPath(ref.kind, ref.namespace)}/${encodeURIComponent(ref.name)}${tail}`;
}

/** `path?a=b`, without members that are undefined. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const members = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) members.set(name, String(value));
  return members.size === 0 ? path : `${path}?${members}`;
}

export const scopeQuery = (scope: Scope): Readonly<Record<string, string | undefined>> => ({
  labelSelector: scope.labelSelector,
  fieldSelector: scope.fieldSelector,
});
