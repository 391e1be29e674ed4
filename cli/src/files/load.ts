// Why: from paths to objects with their places, as `kubectl apply -R -f` would find them. A file that cannot be read hides
// no other. It must never leave the paths it was given, and never print a file's content.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { readYaml } from "./yaml.ts";

/** `line` counts from 1. `object`: kind, namespace and name, where they are known. */
export type Problem = { readonly file: string; readonly line?: number; readonly message: string };
export type LoadedObject = { readonly file: string; readonly value: Record<string, unknown>; readonly line: (path: string) => number };
export type Loaded = {
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly Problem[];
  /** Files of which nothing, or not everything, could be read. */
  readonly broken: ReadonlySet<string>;
  readonly files: readonly string[];
};

const EXTENSIONS: ReadonlySet<string> = new Set([".yaml", ".yml", ".json"]);
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** "file:line: message", as editors and terminals link it. */
export const problemText = ({ file, line, message }: Problem): string => `${file}${line === undefined ? "" : `:${line}`}: ${message}`;

/** Paths that do not exist are in `missing`. Folders are walked, sorted by name; hidden ones are left out. */
export async function findFiles(
  paths: readonly string[],
): Promise<{ readonly files: readonly string[]; readonly missing: readonly string[] }> {
  const files: string[] = [];
  const missing: string[] = [];
  for (const path of paths) {
    const facts = await stat(path).catch(() => undefined);
    if (!facts) missing.push(path);
    else if (facts.isDirectory()) files.push(...(await walk(path)));
    else files.push(path);
  }
  return { files: [...new Set(files)], missing };
}

async function walk(folder: string): Promise<string[]> {
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const found: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await walk(path)));
    else if (EXTENSIONS.has(extname(entry.name))) found.push(path);
  }
  return found;
}

export async function loadFiles(paths: readonly string[]): Promise<Loaded> {
  const { files, missing } = await findFiles(paths);
  const problems: Problem[] = missing.map((file) => ({ file, message: "no such file or folder" }));
  const objects: LoadedObject[] = [];
  const broken = new Set<string>();
  for (const file of files) {
    const complain = (problem: Omit<Problem, "file">) => {
      broken.add(file);
      problems.push({ file, ...problem });
    };
    const text = await readText(file);
    if (typeof text !== "string") {
      complain(text);
      continue;
    }
    const read = readYaml(text);
    for (const error of read.errors) complain(error);
    for (const { value, line } of read.documents) {
      if (isRecord(value)) objects.push(...expand({ file, value, line }));
      else complain({ line: line(""), message: "must be an object with apiVersion and kind" });
    }
  }
  return { objects, problems, broken, files };
}

async function readText(file: string): Promise<string | { readonly message: string }> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) return { message: `is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB` };
    return await readFile(file, "utf8");
  } catch (error) {
    return { message: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** The items of a `List`, which kubectl takes apart too. */
function expand(object: LoadedObject): readonly LoadedObject[] {
  const { value, line, file } = object;
  if (value.kind !== "List" || !Array.isArray(value.items)) return [object];
  return value.items.filter(isRecord).map((item, at) => ({ file, value: item, line: (path) => line(`items[${at}].${path}`) }));
}
