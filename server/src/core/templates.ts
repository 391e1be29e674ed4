// Why: a template and its variables become content. Templates are compiled once per settings object and forgotten with it.
// It must never render what the template's own declarations forbid: such input is refused with the variable's pointer.
import type { TemplateSettings, VariableType } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Priority } from "@nexus/protocol/frames.ts";
import { LIQUID_PARTIAL_DEPTH } from "@nexus/protocol/liquid.ts";
import { isTooDeep, MAX_DEPTH } from "./depth.ts";
import { compileLiquid, LIQUID, type LiquidText, liquidRenderer, type Partials, TemplateFault } from "./liquid-template.ts";
import { compileTree, renderTree, type Tree, textsOf } from "./payload-tree.ts";
import { SIMPLE, type SimpleText, simpleRenderer, type Variables } from "./simple-template.ts";
import { checkVariables, typedVariables } from "./template-variables.ts";

/** What a template makes: `payloadJson` is compact JSON text, `ttl` is in seconds. */
export type Rendered = {
  readonly kind: "rendered";
  readonly eventType: string;
  readonly payloadJson: string;
  readonly priority: Priority;
  readonly ttl: number | undefined;
};

/** A template of the same tenant; a promise only where a store has to be asked. */
export type FindTemplate = (id: string) => TemplateSettings | undefined | Promise<TemplateSettings | undefined>;

export type RenderInput = { readonly variables?: Variables | undefined; readonly locale?: string | undefined };

/** `document`: a Liquid payload that is one text and renders to JSON, or is a partial of others. */
type Body =
  | { readonly kind: "simple"; readonly tree: Tree<SimpleText> }
  | { readonly kind: "liquid"; readonly tree: Tree<LiquidText>; readonly partials: ReadonlySet<string> }
  | { readonly kind: "document"; readonly text: LiquidText };

type Compiled = { readonly payload: Body; readonly locales: ReadonlyMap<string, Body> };

/** A memo, not state: the same settings always compile to the same trees, or fail with the same words. */
const compiled = new WeakMap<TemplateSettings, Compiled | TemplateFault>();

/**
 * Renders by the rules of docs/templates.md. `locale` is a BCP 47 tag; shorter tags are tried in turn (`de-AT`, `de`),
 * then the template's own payload. `find` is asked for partials only; the answer is a promise only where `find`'s was.
 * Refuses with `validation_error`: a required variable is missing, a typed one has another type (pointers under
 * `/variables`), the template does not compile or render (pointer `/template_id`).
 */
export function renderTemplate(
  settings: TemplateSettings,
  input: RenderInput = {},
  find: FindTemplate = () => undefined,
): Rendered | Refusal | Promise<Rendered | Refusal> {
  const checked = checkVariables(settings.variables, input.variables ?? {});
  if ("code" in checked) return checked;
  return drive(rendering(settings, checked.values, input.locale), settings.template_id, find);
}

/** Compiles every payload of a template; undefined when all is well, otherwise what is wrong and at which text of `settings`. */
export function templateFault(settings: TemplateSettings): { readonly pointer: string; readonly detail: string } | undefined {
  const types = typedVariables(settings.variables);
  const payloads = [
    ["/payload", settings.payload] as const,
    ...settings.locales.map(({ payload }, at) => [`/locales/${at}/payload`, payload] as const),
  ];
  for (const [pointer, payload] of payloads) {
    try {
      compileBody(settings.engine, payload, types);
    } catch (error) {
      if (!(error instanceof TemplateFault)) throw error;
      return { pointer: `${pointer}${error.pointer}`, detail: error.detail };
    }
  }
  return undefined;
}

/** Asks for partials by yielding their ids. Throws `TemplateFault`. */
type Rendering = Generator<string, Rendered, TemplateSettings | undefined>;

function* rendering(settings: TemplateSettings, values: Variables, locale: string | undefined): Rendering {
  const body = bodyOf(settings, locale);
  const partials: Collected = new Map();
  for (const id of partialsOf(body)) yield* collect(id, [], partials, locale);
  return {
    kind: "rendered",
    eventType: settings.event_type,
    payloadJson: renderBody(body, values, partials),
    priority: settings.priority,
    ttl: settings.ttl_seconds,
  };
}

type Collected = Map<string, LiquidText>;

/** A render may need this many partials in all. */
const MAX_PARTIALS = 64;

/**
 * One partial and those it renders in turn, each with the payload of the locale that was asked for. `path`: the partials
 * on the way here. Each is visited once: what its partials lead to does not depend on who renders it.
 */
function* collect(
  id: string,
  path: readonly string[],
  into: Collected,
  locale: string | undefined,
): Generator<string, void, TemplateSettings | undefined> {
  if (path.includes(id)) throw new TemplateFault(`partials render each other without end: ${[...path, id].join(" → ")}`);
  if (into.has(id)) return;
  if (path.length >= LIQUID_PARTIAL_DEPTH) throw new TemplateFault(`partials are nested deeper than ${LIQUID_PARTIAL_DEPTH}`);
  if (into.size >= MAX_PARTIALS) throw new TemplateFault(`needs more than ${MAX_PARTIALS} partials`);
  const settings = yield id;
  if (!settings) throw new TemplateFault(`the partial ${id} is no template of the tenant`);
  const text = partialText(id, bodyOf(settings, locale));
  into.set(id, text);
  for (const inner of text.partials) yield* collect(inner, [...path, id], into, locale);
}

function partialText(id: string, body: Body): LiquidText {
  if (body.kind === "document") return body.text;
  throw new TemplateFault(`the template ${id} cannot be a partial: its engine must be Liquid and its payload one text`);
}

/** Runs a rendering, waiting only where `find` makes it. */
function drive(steps: Rendering, templateId: string, find: FindTemplate): Rendered | Refusal | Promise<Rendered | Refusal> {
  const refused = (error: unknown): Refusal => {
    if (!(error instanceof TemplateFault)) throw error;
    const detail = error.pointer === "" ? error.detail : `${error.pointer}: ${error.detail}`;
    const fields = [{ pointer: "/template_id", detail }];
    return { code: "validation_error", detail: `The template ${templateId} cannot be rendered: ${detail}`, fields };
  };
  const waiting = async (asked: Promise<TemplateSettings | undefined>): Promise<Rendered | Refusal> => {
    try {
      let step = steps.next(await asked);
      while (!step.done) step = steps.next(await find(step.value));
      return step.value;
    } catch (error) {
      return refused(error);
    }
  };
  try {
    let step = steps.next();
    while (!step.done) {
      const found = find(step.value);
      if (found instanceof Promise) return waiting(found);
      step = steps.next(found);
    }
    return step.value;
  } catch (error) {
    return refused(error);
  }
}

function bodyOf(settings: TemplateSettings, locale: string | undefined): Body {
  let known = compiled.get(settings);
  if (!known) {
    known = compileAll(settings);
    compiled.set(settings, known);
  }
  if (known instanceof TemplateFault) throw known;
  return localized(known.locales, locale) ?? known.payload;
}

function compileAll(settings: TemplateSettings): Compiled | TemplateFault {
  const types = typedVariables(settings.variables);
  const body = (payload: unknown) => compileBody(settings.engine, payload, types);
  try {
    const locales = settings.locales.map(({ locale, payload }) => [locale.toLowerCase(), body(payload)] as const);
    return { payload: body(settings.payload), locales: new Map(locales) };
  } catch (error) {
    if (error instanceof TemplateFault) return error;
    throw error;
  }
}

function compileBody(engine: TemplateSettings["engine"], payload: unknown, types: ReadonlyMap<string, VariableType>): Body {
  if (engine === "Simple") return { kind: "simple", tree: compileTree(payload, SIMPLE, types) };
  if (typeof payload === "string") return { kind: "document", text: compileLiquid(payload, "") };
  const tree = compileTree(payload, LIQUID, types);
  return { kind: "liquid", tree, partials: new Set([...textsOf(tree)].flatMap((text) => [...text.partials])) };
}

function partialsOf(body: Body): Iterable<string> {
  if (body.kind === "simple") return [];
  return body.kind === "liquid" ? body.partials : body.text.partials;
}

function renderBody(body: Body, values: Variables, partials: Partials): string {
  if (body.kind === "simple") return renderTree(body.tree, simpleRenderer(values));
  if (body.kind === "liquid") return body.tree.kind === "json" ? body.tree.json : renderTree(body.tree, liquidRenderer(values, partials));
  return compactJson(liquidRenderer(values, partials).text(body.text));
}

/** A document's text as one line of JSON. */
function compactJson(text: string): string {
  if (isTooDeep(text)) throw new TemplateFault(`renders JSON that nests deeper than ${MAX_DEPTH} levels`);
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new TemplateFault("does not render to JSON: write values as {{ value | json }}, and no comma after the last item", {
      cause: error,
    });
  }
}

function localized(locales: ReadonlyMap<string, Body>, locale: string | undefined): Body | undefined {
  if (locale === undefined || locales.size === 0) return undefined;
  for (let tag = locale.toLowerCase(); tag !== ""; tag = tag.slice(0, Math.max(tag.lastIndexOf("-"), 0))) {
    const found = locales.get(tag);
    if (found) return found;
  }
  return undefined;
}
