// Why: what a `Liquid` template may use is said once, for the server that renders and for those who only check (operator,
// `nexus validate`). It must never import the engine: the client's SDK is made from this package.

/** One budget for everything one payload renders: a character written or held is 1 unit, a tag or output executed 32. */
export const LIQUID_UNITS = 1_048_576;
export const LIQUID_STEP_UNITS = 32;
/** The back-stop behind the budget, in milliseconds. */
export const LIQUID_RENDER_MS = 100;
/** A partial may render a partial, this deep. */
export const LIQUID_PARTIAL_DEPTH = 8;

/** Constructor options of the engine: no files, own members only, unknown filters are compile errors, UTC. */
export const LIQUID_OPTIONS = {
  templates: {},
  relativeReference: false,
  dynamicPartials: true,
  strictFilters: true,
  strictVariables: false,
  ownPropertyOnly: true,
  timezoneOffset: 0,
  locale: "en-US",
  parseLimit: LIQUID_UNITS,
  memoryLimit: LIQUID_UNITS,
  renderLimit: LIQUID_RENDER_MS,
};

/** Tags templates may use. What the engine learns later is not among them until somebody has looked at it. */
export const LIQUID_TAGS: readonly string[] = [
  ...["assign", "capture", "increment", "decrement"],
  ...["if", "unless", "case", "for", "break", "continue", "cycle", "tablerow"],
  ...["comment", "#", "raw", "echo", "liquid", "render", "include"],
];

/** Filters templates may use: none that is random or that reads its argument as a template. */
export const LIQUID_FILTERS: readonly string[] = [
  ...["append", "prepend", "capitalize", "downcase", "upcase", "strip", "lstrip", "rstrip", "squish", "strip_newlines", "split"],
  ...["replace", "replace_first", "replace_last", "remove", "remove_first", "remove_last", "truncate", "truncatewords", "slice"],
  ...["normalize_whitespace", "number_of_words", "array_to_sentence_string", "slugify", "newline_to_br", "strip_html"],
  ...["escape", "escape_once", "xml_escape", "url_encode", "url_decode", "cgi_escape", "uri_escape", "base64_encode", "base64_decode"],
  ...["abs", "at_least", "at_most", "ceil", "floor", "round", "plus", "minus", "times", "divided_by", "modulo", "to_integer"],
  ...["join", "first", "last", "size", "reverse", "sort", "sort_natural", "uniq", "compact", "concat", "map", "sum"],
  ...["where", "reject", "group_by", "has", "find", "find_index", "push", "pop", "shift", "unshift"],
  ...["date", "date_to_xmlschema", "date_to_rfc822", "date_to_string", "date_to_long_string"],
  ...["default", "json", "jsonify", "inspect", "raw"],
];

type Registry = Record<string, unknown>;

/** Takes away whatever is not in the lists above. To be called once on a new engine. */
export function narrowLiquid(engine: { readonly tags: Registry; readonly filters: Registry }): void {
  for (const name of Object.keys(engine.tags)) if (!LIQUID_TAGS.includes(name)) delete engine.tags[name];
  for (const name of Object.keys(engine.filters)) if (!LIQUID_FILTERS.includes(name)) delete engine.filters[name];
}

/** Whether a text has anything to render. */
export const isLiquid = (text: string): boolean => text.includes("{{") || text.includes("{%");

export const PARTIAL_RULE = "the partial's name must be a quoted template id";

/** What is wrong, in words that quote the template's source only. `line` and `column` count from 1. */
export type LiquidFault = { readonly message: string; readonly line: number; readonly column: number };

/** What is said of a source that no stack can hold. */
export const NESTED = "is nested too deep";

const MAX_MESSAGE = 160;

/** Reads what the engine threw: its errors carry the place as `token.getPosition()` and again at the end of the message. */
export function liquidFault(thrown: unknown): LiquidFault {
  const [line, column] = positionOf(thrown);
  if (isStackOverflow(thrown)) return { message: NESTED, line, column };
  const text = thrown instanceof Error ? thrown.message.replace(/(, (line|col):\d+)+$/, "") : "cannot be read";
  return { message: text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text, line, column };
}

function isStackOverflow(thrown: unknown): boolean {
  const original = typeof thrown === "object" && thrown !== null && "originalError" in thrown ? thrown.originalError : thrown;
  return original instanceof RangeError && original.message.startsWith("Maximum call stack");
}

function positionOf(thrown: unknown): readonly [number, number] {
  const token = typeof thrown === "object" && thrown !== null && "token" in thrown ? thrown.token : undefined;
  if (typeof token !== "object" || token === null || !("getPosition" in token) || typeof token.getPosition !== "function") return [1, 1];
  const [line, column]: readonly unknown[] = token.getPosition();
  return [typeof line === "number" ? line : 1, typeof column === "number" ? column : 1];
}

/** `tag "foo" not found (line 2, column 3)`. */
export const faultText = ({ message, line, column }: LiquidFault): string => `${message} (line ${line}, column ${column})`;
