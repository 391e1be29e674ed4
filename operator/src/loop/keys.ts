// Why: what the queue holds: a kind and a key, as one text. Nothing else may be queued.

export type Attached = "tenant" | "template";
/** `<kind>:<namespace>/<name>`. */
export type Key = `${"cluster" | Attached}:${string}`;
export type SourceKey = `${Attached}:${string}`;

export const clusterKeyText = (key: string): Key => `cluster:${key}`;
export const sourceKey = (kind: Attached, key: string): SourceKey => `${kind}:${key}`;

/** The two halves of a key. */
export function splitKey(key: Key): { readonly kind: "cluster" | Attached; readonly key: string } {
  const at = key.indexOf(":");
  return { kind: key.slice(0, at) as "cluster" | Attached, key: key.slice(at + 1) }; // the type of Key says so
}
