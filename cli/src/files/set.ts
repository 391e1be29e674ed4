// Why: `validate`, `render` and `plan` start from the same thing: every object of ours in some files, checked alone and together.
import { isOurs, type Resource } from "@nexus/protocol/resources/schema.ts";
import { checkObject, duplicates } from "./check.ts";
import { type Loaded, type LoadedObject, leftOutText, loadFiles, type Problem, problemText } from "./load.ts";
import { judgeReferences, type NamespaceLabels, type Placed } from "./references.ts";

export type FileSet = {
  /** Good objects, in the order of the files, with defaults and a namespace. */
  readonly placed: readonly Placed[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly fileCount: number;
  /** Folders of test data below the given ones. */
  readonly leftOut: readonly string[];
  /** Objects of ours, good or not, and of other kinds. */
  readonly ours: number;
  readonly others: readonly LoadedObject[];
};

export type ReadOptions = {
  /** Where an object belongs that names no namespace. */
  readonly namespace: string;
  /** Read for the path `-`. */
  readonly input: () => Promise<string>;
};

/** Reads and judges everything; nothing is thrown for what a file says. */
export async function readFileSet(paths: readonly string[], { namespace, input }: ReadOptions): Promise<FileSet> {
  const loaded = await loadFiles(paths, input);
  const ours = loaded.objects.filter(({ value }) => isOurs(value));
  const others = loaded.objects.filter(({ value }) => !isOurs(value));
  const checked = ours.map(checkObject);
  const twice = duplicates(ours, namespace);
  const placed: Placed[] = [];
  const seen = new Set<string>();
  for (const one of checked) {
    if (!one.ok) continue;
    const resource = inNamespace(one.resource, namespace);
    const id = `${resource.kind} ${resource.metadata.namespace}/${resource.metadata.name}`;
    if (!seen.has(id)) placed.push({ object: one.object, resource });
    seen.add(id);
  }
  const { problems, warnings } = judgeReferences(placed, namespacesIn(others));
  return {
    placed,
    problems: [...loaded.problems, ...checked.flatMap((one) => (one.ok ? [] : one.problems)), ...twice, ...problems],
    warnings: [...emptiness(paths, loaded, ours.length), ...warnings],
    fileCount: loaded.files.length,
    leftOut: loaded.leftOut,
    ours: ours.length,
    others,
  };
}

/** What a command that goes on with the good objects has to say first, a line each. */
export function remarks({ problems, leftOut }: FileSet): readonly string[] {
  const left = leftOutText(leftOut);
  return [...problems.map(problemText), ...(left === undefined ? [] : [left])];
}

/** A pipeline that judges the wrong folder must not look as one in which all is well. */
function emptiness(paths: readonly string[], { problems }: Loaded, ours: number): readonly Problem[] {
  if (paths.length === 0 || ours > 0 || problems.length > 0) return [];
  return [{ file: paths.join(", "), message: "no NexusCluster, Tenant or Template in it" }];
}

const inNamespace = <R extends Resource>(resource: R, namespace: string): R => ({
  ...resource,
  metadata: { ...resource.metadata, namespace: resource.metadata.namespace || namespace },
});

function namespacesIn(objects: readonly LoadedObject[]): NamespaceLabels {
  const found = new Map<string, Readonly<Record<string, string>>>();
  for (const { value } of objects) {
    if (value.apiVersion !== "v1" || value.kind !== "Namespace" || typeof value.metadata !== "object" || value.metadata === null) continue;
    const { name, labels }: { name?: unknown; labels?: unknown } = value.metadata;
    if (typeof name !== "string") continue;
    const texts =
      typeof labels === "object" && labels !== null ? Object.entries(labels).map(([key, text]) => [key, String(text)] as const) : [];
    found.set(name, { ...Object.fromEntries(texts), "kubernetes.io/metadata.name": name });
  }
  return found;
}
