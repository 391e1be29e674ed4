// Why: paths into an object, as segments for walking and as text for people, conditions and metrics. Pure.

/** Key fields of one entry of an associative list, e.g. `{ name: "server" }`. */
export type EntryKey = Readonly<Record<string, string | number>>;

/** A field, an entry of an associative list, or a position in an atomic list. */
export type Segment = string | number | { readonly key: EntryKey };

export type Path = readonly Segment[];

/** `spec.template.spec.containers[name=server].ports[containerPort=80,protocol=TCP]`, `metadata.labels["a.b/c"]`, `args[0]`. */
export function pathText(path: Path): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (typeof segment === "object") text += `[${Object.entries(segment.key).map(([name, value]) => `${name}=${value}`)}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(segment)) text += text === "" ? segment : `.${segment}`;
    else text += `[${JSON.stringify(segment)}]`;
  }
  return text;
}
