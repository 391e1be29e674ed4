// Why: the `Simple` engine: `{{name}}` in a text becomes the variable's value as text.
// It must never run a tenant's code, or reach a prototype.
import type { TextCompiler, TextRenderer } from "./payload-tree.ts";

export type Variables = Readonly<Record<string, unknown>>;

/** Either constant text, or the name inside `{{…}}` with the text that stays when nobody knows the name. */
type Part = { readonly text: string } | { readonly name: string; readonly raw: string };
export type SimpleText = readonly Part[];

const PLACEHOLDER = /\{\{([^{}\s]+)\}\}/g;

function partsOf(text: string): SimpleText {
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index) });
    parts.push({ name: match[1] ?? "", raw: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

export const SIMPLE: TextCompiler<SimpleText> = {
  compile(text) {
    if (!text.includes("{{")) return undefined;
    const parts = partsOf(text);
    return parts.some((part) => "name" in part) ? parts : undefined;
  },
  lone([first, ...others]) {
    return first && "name" in first && others.length === 0 ? first.name : undefined;
  },
};

/** Unknown names stay as they were written. */
export const simpleRenderer = (variables: Variables): TextRenderer<SimpleText> => ({
  text: (parts) => renderText(parts, variables),
  typed(name, parts) {
    const value = lookUp(variables, name);
    return JSON.stringify(value === undefined ? renderText(parts, variables) : value);
  },
});

function renderText(parts: SimpleText, variables: Variables): string {
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
