// Why: a file means here exactly what it means to kubectl, which reads YAML 1.1 as Go's yaml.v2 does: `no` is false, a date is
// text, `0o7` is seven, `1:30` is text. Every complaint has a line. It must never run anything a file says, and never expand
// without bound.
import { type Document, isCollection, LineCounter, parseAllDocuments, type ScalarTag, type Tags } from "yaml";

/** Both count from 1. */
export type Place = { readonly line: number; readonly column: number };
/** A document and where its parts are. `at` and `line` take a path as in complaints (`spec.channels[0].match`). */
export type YamlDocument = { readonly value: unknown; readonly at: (path: string) => Place; readonly line: (path: string) => number };
export type YamlError = Place & { readonly message: string };
export type YamlFile = { readonly documents: readonly YamlDocument[]; readonly errors: readonly YamlError[] };

const MAX_ALIASES = 100;

const modernOctal: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?0o[0-7]+$/,
  resolve: (text) => Number.parseInt(text.replace("0o", ""), 8),
};

const isPlain = (tag: Tags[number]): boolean =>
  typeof tag === "string" || !(tag.tag === "tag:yaml.org,2002:timestamp" || ("format" in tag && tag.format === "TIME"));

/** Documents that are empty are left out; one that is broken is an error and the others stay. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    version: "1.1",
    lineCounter: lines,
    prettyErrors: false,
    customTags: (tags: Tags) => [modernOctal, ...tags.filter(isPlain)],
  });
  const documents: YamlDocument[] = [];
  const errors: YamlError[] = [];
  if ("empty" in parsed) return { documents, errors };
  for (const document of parsed) {
    const [broken] = document.errors;
    if (broken) {
      errors.push({ ...placeOf(lines, broken.pos[0]), message: broken.message });
      continue;
    }
    try {
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      const at = (path: string) => placeIn(document, lines, path);
      if (value !== null && value !== undefined) documents.push({ value, at, line: (path) => at(path).line });
    } catch (error) {
      errors.push({ ...placeIn(document, lines, ""), message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { documents, errors };
}

/** `spec.channels[0].match` → its parts. Keys with dots in them are found by their parent. */
const partsOf = (path: string): (string | number)[] =>
  [...path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => (name === undefined ? Number(index) : name));

function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

/** Where the deepest part of the path that is there begins. */
function placeIn(document: Document.Parsed, lines: LineCounter, path: string): Place {
  let offset = document.contents?.range?.[0] ?? document.range[0];
  let node: unknown = document.contents;
  for (const part of partsOf(path)) {
    if (!isCollection(node)) break;
    const pair = node.items.find((item) => isPairOf(item, part));
    const next: unknown = node.get(part, true);
    if (next === undefined && !pair) break;
    offset = keyOffset(pair) ?? offsetOf(next) ?? offset;
    node = next;
  }
  return placeOf(lines, offset);
}

const offsetOf = (node: unknown): number | undefined =>
  typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range) ? Number(node.range[0]) : undefined;

const isPairOf = (item: unknown, part: string | number): item is { key: unknown } =>
  typeof item === "object" &&
  item !== null &&
  "key" in item &&
  typeof item.key === "object" &&
  item.key !== null &&
  "value" in item.key &&
  item.key.value === part;

const keyOffset = (pair: unknown): number | undefined =>
  typeof pair === "object" && pair !== null && "key" in pair ? offsetOf(pair.key) : undefined;
