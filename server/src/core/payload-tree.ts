// Why: both template engines render the texts inside a JSON value; this is the walk over the value they share. Constant
// parts are JSON text already, so that rendering is concatenation, and a rendered text can never leave its string.
// It must never know an engine.
import type { VariableType } from "@nexus/protocol/bundle.ts";

type Key<T> = { readonly constant: string } | { readonly text: T };

/** A compiled payload. `json`: constant JSON. `text`: a JSON string to render. `typed`: a lone placeholder of a typed variable. */
export type Tree<T> =
  | { readonly kind: "json"; readonly json: string }
  | { readonly kind: "text"; readonly text: T }
  | { readonly kind: "typed"; readonly name: string; readonly text: T }
  | { readonly kind: "array"; readonly items: readonly Tree<T>[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [key: Key<T>, value: Tree<T>])[] };

export type TextCompiler<T> = {
  /** Undefined for a text without anything to render. `pointer`: RFC 6901, where the text (or the key) stands. */
  compile(text: string, pointer: string): T | undefined;
  /** The variable's name, where the text is its placeholder and nothing else. */
  lone(text: T): string | undefined;
};

export type TextRenderer<T> = {
  text(text: T): string;
  /** JSON text of a typed variable's value. */
  typed(name: string, text: T): string;
};

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** Compiles any JSON value. `types` has the declared variables that render as another JSON type than text. */
export function compileTree<T>(value: unknown, compiler: TextCompiler<T>, types: ReadonlyMap<string, VariableType>): Tree<T> {
  return compileAt(value, "");

  function compileAt(inner: unknown, pointer: string): Tree<T> {
    if (typeof inner === "string") return compileText(inner, pointer);
    if (Array.isArray(inner)) {
      const items = inner.map((item, at) => compileAt(item, `${pointer}/${at}`));
      return items.every((item) => item.kind === "json") ? constant(inner) : { kind: "array", items };
    }
    if (typeof inner !== "object" || inner === null) return constant(inner);
    const members = Object.entries(inner).map(([key, member]) => {
      const at = `${pointer}/${escaped(key)}`;
      const text = compiler.compile(key, at);
      return [text === undefined ? { constant: key } : { text }, compileAt(member, at)] as const;
    });
    const fixed = members.every(([key, member]) => "constant" in key && member.kind === "json");
    return fixed ? constant(inner) : { kind: "object", members };
  }

  function compileText(text: string, pointer: string): Tree<T> {
    const compiled = compiler.compile(text, pointer);
    if (compiled === undefined) return constant(text);
    const name = compiler.lone(compiled);
    return name !== undefined && types.has(name) ? { kind: "typed", name, text: compiled } : { kind: "text", text: compiled };
  }
}

const constant = (value: unknown): { readonly kind: "json"; readonly json: string } => ({
  kind: "json",
  json: JSON.stringify(value ?? null),
});

/** JSON text of a compiled payload. Throws what the renderer throws. */
export function renderTree<T>(tree: Tree<T>, renderer: TextRenderer<T>): string {
  switch (tree.kind) {
    case "json":
      return tree.json;
    case "text":
      return JSON.stringify(renderer.text(tree.text));
    case "typed":
      return renderer.typed(tree.name, tree.text);
    case "array":
      return `[${tree.items.map((item) => renderTree(item, renderer)).join(",")}]`;
    case "object":
      return renderObject(tree.members, renderer);
    default:
      return tree satisfies never;
  }
}

/** Two keys may render to the same text: the last one wins, as in any JSON parser, and only one is written. */
function renderObject<T>(members: readonly (readonly [Key<T>, Tree<T>])[], renderer: TextRenderer<T>): string {
  const rendered = new Map<string, string>();
  for (const [key, value] of members) {
    rendered.set(JSON.stringify("text" in key ? renderer.text(key.text) : key.constant), renderTree(value, renderer));
  }
  return `{${[...rendered].map(([key, value]) => `${key}:${value}`).join(",")}}`;
}

/** Every text to render in a compiled payload, keys included. */
export function* textsOf<T>(tree: Tree<T>): Generator<T> {
  if (tree.kind === "text") yield tree.text;
  else if (tree.kind === "array") for (const item of tree.items) yield* textsOf(item);
  else if (tree.kind === "object") {
    for (const [key, value] of tree.members) {
      if ("text" in key) yield key.text;
      yield* textsOf(value);
    }
  }
}
