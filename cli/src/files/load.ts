// Why: from paths to objects with their places, as `kubectl apply -R -f` would find them, less test data. A file that cannot be read hides
// no other. It must never leave the paths it was given, and never print a file's content.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { type Place, readYaml } from "./yaml.ts";

/** `line` and `column` count from 1; `field` is the path of the field the message is about. */
export type Problem = {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly field?: string;
  readonly message: string;
};
export type LoadedObject = {
  readonly file: string;
  readonly value: Record<string, unknown>;
  readonly at: (path: string) => Place;
  readonly line: (path: string) => number;
};
export type Loaded = {
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly Problem[];
  /** Files of which nothing, or not everything, could be read. */
  readonly broken: ReadonlySet<string>;
  readonly files: readonly string[];
  /** As {@link findFiles} says. */
  readonly leftOut: readonly string[];
};

/** Cases of tests, as Go and Argo CD name them: the same object in many states, some wrong on purpose, none meant for a cluster. */
const TEST_DATA = "testdata";
const EXTENSIONS: ReadonlySet<string> = new Set([".yaml", ".yml", ".json"]);
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** "file:line:column: field: message", as editors and terminals link it. */
export function problemText({ file, line, column, field, message }: Problem): string {
  const place = [line, column].flatMap((number) => (number === undefined ? [] : [`:${number}`])).join("");
  return `${file}${place}: ${field === undefined ? "" : `${field}: `}${message}`;
}

/** A problem of one object; a field of it that is not there is shown at the nearest part that is. */
export function problemAt(object: LoadedObject, field: string, message: string): Problem {
  return { file: object.file, ...object.at(field), ...(field === "" ? {} : { field }), message };
}

type Found = {
  readonly files: readonly string[];
  /** Paths that do not exist. */
  readonly missing: readonly string[];
  /** Folders below the given ones that hold test data. One that is given by name is walked. */
  readonly leftOut: readonly string[];
};

/** Folders are walked, sorted by name; hidden ones, `node_modules` and `testdata` are left out. */
export async function findFiles(paths: readonly string[]): Promise<Found> {
  const found = { files: new Set<string>(), leftOut: new Set<string>() };
  const missing: string[] = [];
  for (const path of paths) {
    const facts = await stat(path).catch(() => undefined);
    if (!facts) missing.push(path);
    else if (facts.isDirectory()) await walk(path, found);
    else found.files.add(path);
  }
  const given = new Set(paths.map((path) => resolve(path)));
  return { files: [...found.files], missing, leftOut: [...found.leftOut].filter((folder) => !given.has(resolve(folder))) };
}

async function walk(folder: string, found: { readonly files: Set<string>; readonly leftOut: Set<string> }): Promise<void> {
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) {
      if (EXTENSIONS.has(extname(entry.name))) found.files.add(path);
    } else if (entry.name === TEST_DATA) found.leftOut.add(path);
    else await walk(path, found);
  }
}

/** What a person is told of them; undefined when nothing was left out. */
export const leftOutText = (folders: readonly string[]): string | undefined =>
  folders.length === 0
    ? undefined
    : `nexus: not read, as it is test data: ${folders.join(", ")}; give such a folder by name to have it read`;

/** What a path stands for when it is standard input. */
export const STDIN = "-";

/** `input` is read for the path `-`, which is no file without it. */
export async function loadFiles(paths: readonly string[], input?: () => Promise<string>): Promise<Loaded> {
  const found = await findFiles(input ? paths.filter((path) => path !== STDIN) : paths);
  const files = input && paths.includes(STDIN) ? [STDIN, ...found.files] : found.files;
  const { missing, leftOut } = found;
  const problems: Problem[] = missing.map((file) => ({ file, message: "no such file or folder" }));
  const objects: LoadedObject[] = [];
  const broken = new Set<string>();
  for (const file of files) {
    const complain = (problem: Omit<Problem, "file">) => {
      broken.add(file);
      problems.push({ file, ...problem });
    };
    const text = input && file === STDIN ? await input() : await readText(file);
    if (typeof text !== "string") {
      complain(text);
      continue;
    }
    const read = readYaml(text);
    for (const error of read.errors) complain(error);
    for (const { value, line, at } of read.documents) {
      if (isRecord(value)) objects.push(...expand({ file, value, line, at }));
      else complain({ ...at(""), message: "must be an object with apiVersion and kind" });
    }
  }
  return { objects, problems, broken, files, leftOut };
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
  const { value, line, at, file } = object;
  if (value.kind !== "List" || !Array.isArray(value.items)) return [object];
  return value.items.filter(isRecord).map((item, index) => ({
    file,
    value: item,
    at: (path) => at(`items[${index}].${path}`),
    line: (path) => line(`items[${index}].${path}`),
  }));
}
