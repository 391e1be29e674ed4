// Why: `metadata.managedFields` says who wrote which field; it is how drift gets a name and how a field we lost is seen
// although its value is still right. Pure. Encoding: `f:` field, `k:` entry by key, `v:` value of a set, `.` the thing
// itself; a node without children owns everything below it (structured-merge-diff, FieldsV1).
import type { ManagedFieldsEntry } from "./object.ts";
import type { Path, Segment } from "./path.ts";

/** A node of the set; undefined = not in the set. */
export type FieldNode = Readonly<Record<string, unknown>> | undefined;

/** The set our manager owns by server-side apply; undefined when there is none. */
export function appliedFields(entries: readonly ManagedFieldsEntry[], manager: string): FieldNode {
  const own = entries.find((entry) => entry.manager === manager && entry.operation === "Apply" && !entry.subresource);
  return asNode(own?.fieldsV1);
}

/** The node one step below; a node that owns everything below it answers itself. */
export function childNode(node: FieldNode, segment: Segment): FieldNode {
  if (node === undefined || isWhole(node)) return node;
  if (typeof segment === "string") return asNode(node[`f:${segment}`]);
  if (typeof segment === "number") return undefined; // atomic lists have no children
  for (const [name, child] of Object.entries(node)) {
    if (name.startsWith("k:") && sameKey(name.slice(2), segment.key)) return asNode(child);
  }
  return undefined;
}

/** Whether the value of a set at this node is in it. */
export const hasValue = (node: FieldNode, value: unknown): boolean =>
  node !== undefined && (isWhole(node) || `v:${JSON.stringify(value)}` in node);

/** Managers other than `except` that own `path` or something around it, sorted. */
export function managersOf(entries: readonly ManagedFieldsEntry[] | undefined, path: Path, except: string): readonly string[] {
  const found = new Set<string>();
  for (const { manager = "unknown", fieldsV1 } of entries ?? []) {
    if (manager === except) continue;
    let node = asNode(fieldsV1);
    for (const segment of path) node = childNode(node, segment);
    if (node !== undefined) found.add(manager);
  }
  return [...found].sort();
}

const isWhole = (node: Readonly<Record<string, unknown>>): boolean => Object.keys(node).length === 0;

const asNode = (value: unknown): FieldNode => (typeof value === "object" && value !== null ? { ...value } : undefined);

function sameKey(encoded: string, key: Readonly<Record<string, string | number>>): boolean {
  const parsed: unknown = JSON.parse(encoded); // written by the API server
  const names = Object.keys(key);
  if (typeof parsed !== "object" || parsed === null || Object.keys(parsed).length !== names.length) return false;
  return names.every((name) => Reflect.get(parsed, name) === key[name]);
}
