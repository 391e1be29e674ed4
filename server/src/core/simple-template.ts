// Why: the `Simple` engine as a small compiler: a payload becomes a tree whose constant parts are JSON text already, so
// that rendering is concatenation. It must never run a tenant's code, reach a prototype, or emit text that is not JSON.
import type { TemplateVariable, VariableType } from "@nexus/protocol/bundle.ts";

export type Variables = Readonly<Record<string, unknown>>;

/** Either constant text, or the name inside `{{…}}` with the text that stays when nobody knows the name. */
type Part = { readonly text: string } | { readonly name: string; readonly raw: string };

/** A compiled payload. `json`: constant JSON. `text`: a JSON string with placeholders. `typed`: a lone placeholder of a typed variable. */
export type Node =
  | { readonly kind: "json"; readonly json: string }
  | { readonly kind: "text"; readonly parts: readonly Part[] }
  | { readonly kind: "typed"; readonly name: string; readonly raw: string }
  | { readonly kind: "array"; readonly items: readonly Node[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [key: readonly Part[], value: Node])[] };

const PLACEHOLDER = /\{\{([^{}\s]+)\}\}/g;

function partsOf(text: string): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index) });
    parts.push({ name: match[1] ?? "", raw: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length || parts.length === 0) parts.push({ text: text.slice(end) });
  return parts;
}

const isConstant = (parts: readonly Part[]): boolean => parts.every((part) => "text" in part);

/** Compiles any JSON value. `types` has the declared variables that render as another JSON type than text. */
export function compile(value: unknown, types: ReadonlyMap<string, VariableType>): Node {
  if (typeof value === "string") return compileText(value, types);
  if (Array.isArray(value)) {
    const items = value.map((item) => compile(item, types));
    return items.every((item) => item.kind === "json") ? constant(value) : { kind: "array", items };
  }
  if (typeof value !== "object" || value === null) return constant(value);
  const members = Object.entries(value).map(([key, inner]) => [partsOf(key), compile(inner, types)] as const);
  const fixed = members.every(([key, inner]) => isConstant(key) && inner.kind === "json");
  return fixed ? constant(value) : { kind: "object", members };
}

function compileText(value: string, types: ReadonlyMap<string, VariableType>): Node {
  const parts = partsOf(value);
  if (isConstant(parts)) return constant(value);
  const [first] = parts;
  if (parts.length === 1 && first && "name" in first && types.has(first.name)) return { kind: "typed", name: first.name, raw: first.raw };
  return { kind: "text", parts };
}

const constant = (value: unknown): Node => ({ kind: "json", json: JSON.stringify(value ?? null) });

/** The declared variables whose lone placeholder keeps its JSON type. */
export const typedVariables = (variables: readonly TemplateVariable[]): ReadonlyMap<string, VariableType> =>
  new Map(variables.filter((variable) => variable.type !== "string").map((variable) => [variable.name, variable.type]));

/** JSON text of a compiled payload. Unknown names stay as they were written. */
export function render(node: Node, variables: Variables): string {
  switch (node.kind) {
    case "json":
      return node.json;
    case "text":
      return JSON.stringify(renderText(node.parts, variables));
    case "typed": {
      const value = lookUp(variables, node.name);
      return JSON.stringify(value === undefined ? node.raw : value);
    }
    case "array":
      return `[${node.items.map((item) => render(item, variables)).join(",")}]`;
    case "object":
      return renderObject(node.members, variables);
    default:
      return node satisfies never;
  }
}

/** Two keys may render to the same text: the last one wins, as in any JSON parser, and only one is written. */
function renderObject(members: readonly (readonly [readonly Part[], Node])[], variables: Variables): string {
  const rendered = new Map<string, string>();
  for (const [key, value] of members) rendered.set(JSON.stringify(renderText(key, variables)), render(value, variables));
  return `{${[...rendered].map(([key, value]) => `${key}:${value}`).join(",")}}`;
}

function renderText(parts: readonly Part[], variables: Variables): string {
  let text = "";
  for (const part of parts) text += "text" in part ? part.text : asText(lookUp(variables, part.name), part.raw);
  return text;
}

/** Ara's rules: text as it is, `null` as nothing, everything else as its compact JSON. */
function asText(value: unknown, raw: string): string {
  if (value === undefined) return raw;
  if (typeof value === "string") return value;
  return value === null ? "" : JSON.stringify(value);
}

/** A name is first looked for as written (`a.b` may be a variable), then walked through objects; own members only. */
function lookUp(variables: Variables, name: string): unknown {
  if (Object.hasOwn(variables, name)) return variables[name];
  let value: unknown = variables;
  for (const step of name.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}
