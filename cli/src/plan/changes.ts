// Why: what differs between two trees of JSON, leaf by leaf, with paths as Kubernetes' messages have them. Pure.

export type Change = { readonly path: string; readonly before?: unknown; readonly after?: unknown };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
/** Entries of these lists are told apart by a member, so that one that was added does not look like a change of all that follow. */
const KEYS = ["name", "match", "locale", "topologyKey", "ip"] as const;

/** Every leaf that was added, removed or changed, in the order of the trees. */
export function changesBetween(before: unknown, after: unknown, path = ""): readonly Change[] {
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => changesBetween(before[name], after[name], joined(path, name)));
  }
  if (Array.isArray(before) && Array.isArray(after)) return listChanges(before, after, path);
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  // An object that comes or goes is told of by its members.
  if (before === undefined && isRecord(after) && Object.keys(after).length > 0) return changesBetween({}, after, path);
  if (after === undefined && isRecord(before) && Object.keys(before).length > 0) return changesBetween(before, {}, path);
  return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

const joined = (path: string, name: string): string => {
  const part = /^[A-Za-z_][\w-]*$/.test(name) ? name : `[${JSON.stringify(name)}]`;
  return path === "" || part.startsWith("[") ? `${path}${part}` : `${path}.${part}`;
};

function listChanges(before: readonly unknown[], after: readonly unknown[], path: string): readonly Change[] {
  const key = KEYS.find((one) => [...before, ...after].every((item) => isRecord(item) && typeof item[one] === "string"));
  if (key === undefined) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, at) => changesBetween(before[at], after[at], `${path}[${at}]`)).flat();
  }
  const byKey = (items: readonly unknown[]) => new Map(items.filter(isRecord).map((item) => [String(item[key]), item]));
  const [old, now] = [byKey(before), byKey(after)];
  const inner = [...new Set([...old.keys(), ...now.keys()])].flatMap((id) =>
    changesBetween(old.get(id), now.get(id), `${path}[${key}=${id}]`),
  );
  const order = [...now.keys()].filter((id) => old.has(id));
  const isMoved = order.join("\n") !== [...old.keys()].filter((id) => now.has(id)).join("\n");
  return isMoved ? [...inner, { path, before: [...old.keys()], after: [...now.keys()] }] : inner;
}

/** The value at a path of the operator's comparer: `spec.containers[name=server].ports[containerPort=80,protocol=TCP]`, `a["b/c"]`, `args[0]`. */
export function valueAt(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const [, field, quoted, index, keys] of path.matchAll(
    /(?:^|\.)([A-Za-z_][\w-]*)|\[("(?:[^"\\]|\\.)*")\]|\[(\d+)\]|\[([^\]"]+)\]/g,
  )) {
    if (field !== undefined) value = isRecord(value) ? value[field] : undefined;
    else if (quoted !== undefined) value = isRecord(value) ? value[String(JSON.parse(quoted))] : undefined;
    else if (!Array.isArray(value)) return undefined;
    else if (index !== undefined) value = value[Number(index)];
    else value = value.find((item) => hasKeys(item, keys ?? ""));
  }
  return value;
}

const hasKeys = (item: unknown, keys: string): boolean =>
  isRecord(item) &&
  keys.split(",").every((pair) => {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at);
    // The API server's default of a port; a key that is left out has it.
    return String(item[name] ?? (name === "protocol" ? "TCP" : "")) === pair.slice(at + 1);
  });
